"""Attempts to change an account without fresh proof are in its activity, for the owner to see."""

from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import select

from app.database import db
from app.models import Activity, now
from app.proof import PROOF_LIFETIME
from tests.conftest import UNTIL_PROOF_EXPIRES, Visitor, at_once, expect, kinds, parse, text_of

CROWD = 32


@pytest.fixture
def clock():
    """Stop the clock at a time when Ada's proof has expired. A test moves it: `clock.shift(seconds)`."""
    with time_machine.travel(now() + UNTIL_PROOF_EXPIRES, tick=False) as traveller:
        yield traveller


def attempts(app) -> list[str]:
    """Return the forms that were sent without fresh proof, as the activity has recorded them."""
    with app.app_context():
        wanted = select(Activity.detail).where(Activity.kind == "asked_to_confirm").order_by(Activity.id)
        return list(db.session.scalars(wanted))


@pytest.mark.parametrize(
    ("path", "form", "sentence"),
    [
        ("/account/passkeys", {}, "creating a passkey"),
        ("/account/confirm", {}, "creating a passkey"),
        ("/account/passkeys/1/remove", {}, "removing a passkey"),
        ("/account/email", {"email": "eve@example.org"}, "changing the address"),
        ("/account/delete", {}, "deleting the account"),
        ("/account/recovery-codes", {}, "making recovery codes"),
        ("/account/require-passkey", {"require": "yes"}, "turning the passkey requirement on or off"),
        ("/account/sessions/1/revoke", {}, "signing out another browser"),
        ("/account/sessions/revoke-all", {}, "signing out all other browsers"),
    ],
)
def test_attempt_without_proof_is_in_the_activity(ada, clock, path, form, sentence):
    # The button that creates a passkey leads to the page that asks for proof. Other forms are answered with it.
    expect(ada.post(path, form), 303 if path == "/account/passkeys" else 403)
    page = parse(ada.get("/account/activity?kind=asked_to_confirm"))
    assert [text_of(each) for each in page.findall(".//main//li//strong")] == [f"Asked to confirm before {sentence}"]


def test_every_form_that_needs_proof_has_a_description(ada, clock, app):
    with app.test_request_context():
        words = app.jinja_env.get_template("mail/notices.html").module.actions
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith("/account") and "POST" in rule.methods:
            _, path = rule.build(dict.fromkeys(rule.arguments, 1))
            if ada.post(path, {"email": "eve@example.org"}).status_code == 403:
                assert rule.endpoint in {*words, "passkeys.options", "confirm.carry_on"}


def test_request_for_a_code_is_an_attempt_too(ada, clock, app):
    expect(ada.post("/account/delete", {"mail": "code"}), 200)
    assert attempts(app) == ["delete_account.delete"]


def test_session_has_one_row_in_ten_minutes(ada, clock, app, phone):
    other = Visitor(app)
    other.sign_in_by_passkey(phone)
    for _ in range(3):
        expect(ada.post("/account/passkeys/1/remove"), 403)
        ada.post("/account/passkeys")
        clock.shift(199)
    assert attempts(app) == ["passkeys.remove"]
    clock.shift(3)
    expect(ada.post("/account/delete"), 403)
    assert attempts(app) == ["passkeys.remove", "delete_account.delete"]
    expect(other.post("/account/delete"), 403)
    assert len(attempts(app)) == 3


def test_attempts_at_the_same_moment_are_one_row(ada, clock, app):
    tabs, forms = [ada.twin() for _ in range(CROWD)], ["/account/delete", "/account/passkeys"] * (CROWD // 2)
    statuses = at_once(lambda tab, path: tab.post(path).status_code, tabs, forms)
    assert statuses == [403, 303] * (CROWD // 2)
    assert len(attempts(app)) == 1


def test_opening_the_page_is_no_attempt(ada, clock, app):
    expect(ada.get("/account/confirm"), 200)
    expect(ada.get("/account/delete"), 200)
    assert attempts(app) == []


def test_wrong_proof_in_a_proven_session_is_no_attempt(ada, app):
    expect(ada.post("/account/delete", {"credential": "nonsense"}), 403)
    assert attempts(app) == []


def test_credentials_sent_without_proof_do_not_bury_the_activity(ada, clock, app):
    # By now, every challenge has expired.
    clock.shift(PROOF_LIFETIME)
    for _ in range(3):
        expect(ada.register('{"rawId": "AAAA"}'), 400)
    assert attempts(app) == ["passkeys.create"]
    assert "passkey_refused" not in kinds(app)


def test_request_for_a_code_is_an_attempt_where_email_is_not_enough(ada, app, clock):
    clock.shift(-PROOF_LIFETIME - timedelta(seconds=1))
    ada.require_passkey()
    clock.shift(UNTIL_PROOF_EXPIRES)
    expect(ada.post("/account/delete", {"mail": "code"}), 403)
    assert attempts(app) == ["delete_account.delete"]
