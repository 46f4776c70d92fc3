"""Sessions: signing in and out, ending those of other browsers, their lifetime, and their number and token."""

import re
from datetime import timedelta

import pytest
import time_machine
from itsdangerous import URLSafeTimedSerializer
from sqlalchemy import select

from app.database import db
from app.models import Session, now
from authenticator import decode
from tests import mails
from tests.conftest import (
    ADA,
    UNTIL_PROOF_EXPIRES,
    Visitor,
    date_sessions,
    expect,
    kinds,
    options_of,
    parse,
    rows,
    text_of,
)

IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1"  # noqa: E501

# Signing in and out.


def test_signing_in_by_link_replaces_the_session_of_this_browser(visitor, app):
    visitor.sign_in_by_link(ADA)
    before = visitor.twin()
    visitor.sign_in_by_link("grace@example.org")
    assert visitor.is_signed_in()
    assert not before.is_signed_in()
    with app.app_context():
        assert len(db.session.scalars(select(Session)).all()) == 1


def test_signing_in_to_another_account_ends_the_session_before(ada, app):
    ada.sign_in_by_link("eve@example.org")
    assert kinds(app, user_id=1) == ["signed_in", "passkey_added", "session_ended"]


def test_cookie_from_before_signing_out_does_not_work(visitor):
    visitor.sign_in_by_link(ADA)
    kept = visitor.twin()
    assert visitor.sign_out().location == "/"
    assert kept.get("/account").location == "/sign-in?next=/account"


# Other browsers' sessions.


def test_sessions_are_listed_and_ended(ada, phone):
    other = Visitor(ada.app)
    other.client.environ_base["HTTP_USER_AGENT"] = IPHONE
    other.sign_in_by_passkey(phone)
    page = text_of(parse(ada.get("/account")))
    assert "Safari on iOS Signed in just now by passkey · last seen just now" in page
    [id] = [row.id for row in rows(ada.app, Session) if row.method == "passkey"]
    expect(ada.post(f"/account/sessions/{id}/revoke"), 303)
    assert not other.is_signed_in()
    assert ada.is_signed_in()


def test_all_other_sessions_are_ended(ada):
    others = [Visitor(ada.app) for _ in range(3)]
    for other in others:
        other.sign_in_by_link(ADA)
    expect(ada.post("/account/sessions/revoke-all"), 303)
    assert [other.is_signed_in() for other in others] == [False] * 3
    assert ada.is_signed_in()


def test_session_without_fresh_proof_cannot_end_another(ada, proof_expired, unchanged, reasons):
    """Otherwise a thief with a copied cookie could sign the owner out again and again."""
    owner = Visitor(ada.app)
    owner.sign_in_by_link(ADA)
    ada.get("/account")
    [id] = [
        row.id for row in rows(ada.app, Session) if row.method == "link" and row.proved_at > now() - UNTIL_PROOF_EXPIRES
    ]
    with unchanged():
        for path, deed in (("revoke-all", "sign out all other browsers"), (f"{id}/revoke", "sign out another browser")):
            page = expect(ada.post(f"/account/sessions/{path}"), 403)
            assert deed in text_of(parse(page))
    assert reasons == ["not_proven"] * 2
    assert owner.is_signed_in()


def test_another_accounts_session_is_not_found(ada, eve, unchanged):
    [id] = [row.id for row in rows(ada.app, Session) if row.user_id == 1]
    with unchanged():
        expect(eve.post(f"/account/sessions/{id}/revoke"), 404)
        eve.post("/account/sessions/revoke-all")
    assert ada.is_signed_in()


@pytest.mark.parametrize("number", [0, 2**31 - 1, 2**31, 9**40, "x", -1])
def test_invalid_session_number_is_not_found(ada, unchanged, number):
    with unchanged():
        expect(ada.post(f"/account/sessions/{number}/revoke"), 404)


# The clock.


def test_session_ends_after_fourteen_days_without_use(ada, app):
    began = now()
    with time_machine.travel(began + timedelta(days=13)):
        assert ada.is_signed_in()
    with time_machine.travel(began + timedelta(days=26)):
        assert ada.is_signed_in()
    with time_machine.travel(began + timedelta(days=41)):
        assert not ada.is_signed_in()


def test_session_ends_after_ninety_days_of_use(ada):
    began = now()
    for days in range(10, 90, 10):
        with time_machine.travel(began + timedelta(days=days)):
            assert ada.is_signed_in()
    with time_machine.travel(began + timedelta(days=90, seconds=1)):
        assert not ada.is_signed_in()


def test_last_seen_is_written_every_five_minutes(ada, app, snapshot):
    seen = rows(app, Session)[0].seen_at
    with time_machine.travel(now() + timedelta(minutes=4)):
        ada.get("/account")
        assert rows(app, Session)[0].seen_at == seen
    with time_machine.travel(now() + timedelta(minutes=6)):
        ada.get("/account")
        assert rows(app, Session)[0].seen_at > seen


@pytest.mark.parametrize(("seconds", "is_one"), [(30, True), (31, False), (3600, False)])
def test_session_dated_more_than_thirty_seconds_ahead_does_not_count(ada, app, clock, seconds, is_one):
    date_sessions(app, created_at=now() + timedelta(seconds=seconds))
    assert ada.is_signed_in() == is_one
    assert len(rows(app, Session)) == 1


@pytest.mark.parametrize("days", [15, 91])
def test_expired_session_is_deleted_when_it_is_used(ada, app, clock, days):
    clock.shift(timedelta(days=days))
    assert not ada.is_signed_in()
    assert rows(app, Session) == []
    # Setting the clock back doesn't revive the session.
    clock.shift(timedelta(days=-days))
    assert not ada.is_signed_in()


def test_last_seen_in_the_future_is_corrected(ada, app, clock):
    """Otherwise the session would live without use until that time, and two weeks longer."""
    date_sessions(app, seen_at=now() + timedelta(days=10))
    ada.get("/account")
    assert rows(app, Session)[0].seen_at == now()


# The number and the token of a session.


def test_token_of_a_session_is_in_no_page_url_challenge_mail_or_log(ada, app, phone, site_log):
    other = Visitor(app)
    other.sign_in_by_passkey(phone)
    tokens = [session.token for session in rows(app, Session)]
    pages = [ada.get(path) for path in ("/account", "/account/confirm", "/account/activity", "/account/welcome")]
    pages.append(ada.post("/account/confirm", {"mail": "code"}))
    expect(ada.post("/account/email", {"email": "new@example.org"}), 303)
    with ada.client.session_transaction(base_url=ada.site_url) as cookie:
        signed = [
            cookie["email_change"],
            decode(ada.creation_options()["challenge"]).decode(),
            decode(options_of(ada.get("/account/confirm"), "passkey-sign-in")["challenge"]).decode(),
            re.search(r'name="proof" value="([^"]+)"', pages[-1].text)[1],
        ]
    # Tokens are signed, but not encrypted: everybody can read them.
    claims = [URLSafeTimedSerializer("whatever").loads_unsafe(text)[1][1] for text in signed]
    assert [each["session"] for each in claims] == ["1"] * 4
    assert 'action="/account/sessions/2/revoke"' in pages[0].text
    expect(ada.post("/account/sessions/2/revoke"), 303)
    shown = [page.text for page in pages] + [mails.text_of(mail) for mail in mails.outbox(app)]
    for token in tokens:
        assert token not in f"{shown}{claims}{site_log.events}"


def test_session_number_is_never_used_twice(app, ada):
    """A challenge of one session must not work in the next one."""
    ada.sign_out()
    ada.sign_in_by_link(ADA)
    assert [session.id for session in rows(app, Session)] == [2]
