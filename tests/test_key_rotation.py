"""A new secret key: nothing is lost if the old key is a fallback. Otherwise links, codes and sessions end cleanly."""

import pytest

from authenticator import Authenticator
from tests.conftest import ADA, Visitor, database_uri, expect


@pytest.fixture
def rotated(make_app):
    """Return the same site with another key: `rotated(app, keeping_the_old_one)`."""

    def rotate(app, keeping_the_old_one: bool):
        fallbacks = (
            {"FLASK_SECRET_KEY_FALLBACKS": f"an-even-older-key, {app.config['SECRET_KEY']}"}
            if keeping_the_old_one
            else {}
        )
        return make_app(FLASK_SECRET_KEY="another" * 8, FLASK_SQLALCHEMY_DATABASE_URI=database_uri(app), **fallbacks)

    return rotate


def moved(visitor: Visitor, app) -> Visitor:
    """Return the same browser at the site with the other key. Its mail is in the old site's outbox."""
    twin = Visitor(app)
    name = app.config["SESSION_COOKIE_NAME"]
    cookie = visitor.client.get_cookie(name)
    if cookie:
        twin.client.set_cookie(name, cookie.value)
    return twin


def test_session_survives_a_new_key(visitor, rotated):
    visitor.sign_in_by_link(ADA)
    assert moved(visitor, rotated(visitor.app, True)).is_signed_in()


@pytest.mark.parametrize("by", ["link", "code"])
def test_mail_in_flight_survives_a_new_key(visitor, rotated, by):
    visitor.ask(ADA)
    mail = visitor.read_mail()
    after = moved(visitor, rotated(visitor.app, True))
    if by == "link":
        expect(after.get(mail.link), 200)
        expect(after.post(mail.link), 303)
    else:
        expect(after.post("/sign-in/code", {"code": mail.code}), 303)
    assert after.is_signed_in()


def test_challenge_survives_a_new_key(visitor, rotated):
    phone = Authenticator()
    visitor.sign_in_by_link(ADA)
    visitor.make_passkey(phone)
    visitor.sign_out()
    credential = phone.get(visitor.request_options())
    expect(moved(visitor, rotated(visitor.app, True)).authenticate(credential), 303)


def test_link_code_and_session_end_without_the_old_key(visitor, rotated, reasons):
    visitor.ask(ADA)
    mail = visitor.read_mail()
    after = moved(visitor, rotated(visitor.app, False))
    expect(after.post("/sign-in/code", {"code": mail.code}), 400)
    expect(after.get(mail.link), 410)
    assert reasons == ["no_request", "malformed_token"]
    visitor.post(mail.link)
    assert visitor.is_signed_in()
    again = moved(visitor, rotated(visitor.app, False))
    assert not again.is_signed_in()
    expect(again.sign_in_by_link(ADA), 303)
