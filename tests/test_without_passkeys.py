"""FLASK_PASSKEYS_ENABLED=false: no page offers a passkey, no route accepts one, and signing in by email works."""

import json

import pytest

from tests.conftest import ADA, Visitor, database_uri, expect, parse, text_of
from tests.test_protection import paths


@pytest.fixture
def app(make_app):
    """Return the site as it was when it had passkeys."""
    return make_app()


@pytest.fixture
def ada(app, make_app, phone, monkeypatch):
    """Return Ada, whose account requires a passkey, on the site after passkeys were turned off."""
    before = Visitor(app)
    before.sign_in_by_link(ADA)
    before.make_passkey(phone)
    codes = before.require_passkey()
    options = before.confirmation_options()
    after = Visitor(
        make_app(
            FLASK_PASSKEYS_ENABLED="false",
            FLASK_SECRET_KEY=app.config["SECRET_KEY"],
            FLASK_SQLALCHEMY_DATABASE_URI=database_uri(app),
        )
    )
    after.codes, after.options = codes, options
    name = app.config["SESSION_COOKIE_NAME"]
    after.client.set_cookie(name, before.client.get_cookie(name).value)
    return after


def test_no_page_offers_a_passkey(make_app):
    visitor = Visitor(make_app(FLASK_PASSKEYS_ENABLED="false"))
    assert visitor.sign_in_by_link(ADA).location == "/account/welcome"
    assert expect(visitor.get("/account/welcome?next=/account/activity"), 303).location == "/account/activity"
    for signed_in in (True, False):
        for path in paths(visitor.app, "GET"):
            if path.startswith(("/sign-in", "/account")) or path == "/":
                page = visitor.get(path)
                if page.status_code == 200 and page.mimetype == "text/html":
                    main = parse(page).find(".//main")
                    buttons = [text_of(each) for each in main.iter() if each.tag in ("button", "passkey-sign-in")]
                    assert not [each for each in buttons if "passkey" in each], path
                    assert "webauthn" not in page.text, path
        if signed_in:
            visitor.sign_out()


@pytest.mark.parametrize(
    "path",
    [
        "/sign-in/passkey",
        "/sign-in/passkey/options",
        "/account/passkeys",
        "/account/passkeys/options",
        "/account/passkeys/1/remove",
    ],
)
def test_routes_for_passkeys_are_not_found(ada, unchanged, path):
    with unchanged():
        expect(ada.post(path, {"credential": "{}"}), 404)


def test_passkey_is_no_longer_a_proof(ada, phone, reasons):
    expect(ada.post("/account/confirm", {"credential": json.dumps(phone.get(ada.options))}), 403)
    assert reasons == ["passkeys_disabled"]


def test_password_managers_find_no_account_page(ada):
    expect(ada.get("/.well-known/passkey-endpoints"), 404)


def test_recovery_code_is_enough_for_the_second_step(ada):
    assert ada.is_signed_in()
    ada.sign_out()
    token = ada.open_second_step(ADA)
    expect(ada.post("/sign-in/second-step", {"token": token, "code": ada.codes[0]}), 303)
    assert ada.is_signed_in()
    page = ada.get("/account")
    [row] = [each for each in parse(page).iter("a") if each.get("href") == "/account/require-passkey"]
    assert text_of(row) == "Require a passkey: on"
    assert "Create a new one below" not in page.text
    expect(ada.post("/account/require-passkey", {"require": "no"}), 303)
    Visitor(ada.app).sign_in_by_link(ADA)


def test_tour_has_three_steps(make_app):
    visitor = Visitor(make_app(FLASK_PASSKEYS_ENABLED="false"))
    steps = [text_of(each) for each in parse(visitor.get("/")).findall(".//ol/li")]
    assert len(steps) == 3
    visitor.sign_in_by_link(ADA)
    visitor.sign_out()
    assert "That’s the whole flow" in visitor.get("/").text
