"""Fresh proof: it belongs to the cookie that it was given in, it ends in time, and its mail tells the truth."""

import json
import re
from datetime import timedelta
from html import unescape

import pytest
import time_machine
from itsdangerous import URLSafeTimedSerializer
from sqlalchemy import select, update

from app import proof
from app.database import db
from app.models import Session, now
from tests import mails
from tests.authenticator import Authenticator, decode, encode
from tests.conftest import Visitor, as_text, expect, options_of, parse, text_of
from tests.test_protection import OPTIONS, paths

ADA = "ada@example.org"
STALE = proof.PROOF_LIFETIME + timedelta(seconds=1)

# Every form that needs proof, and what its mail says that somebody wants.
GUARDED = [
    ("/account/passkeys/1/remove", {}, "remove a passkey"),
    ("/account/email", {"email": "new@example.org"}, "change the address"),
    ("/account/delete", {}, "delete the account"),
    ("/account/recovery-codes", {}, "make recovery codes"),
    ("/account/sessions/1/revoke", {}, "sign out another browser"),
    ("/account/sessions/revoke-all", {}, "sign out all other browsers"),
    ("/account/require-passkey", {"require": "yes"}, "turn the passkey requirement on or off"),
    ("/account/confirm", {}, "create a passkey"),
]


@pytest.fixture
def ada(visitor, phone):
    """A visitor who is signed in, and has a passkey on their phone."""
    visitor.sign_in_by_link(ADA)
    visitor.make_passkey(phone)
    return visitor


@pytest.fixture
def later():
    """So much later that no proof is fresh any more."""
    with time_machine.travel(now() + STALE):
        yield


def prove(visitor: Visitor, device: Authenticator) -> None:
    """Prove who it is, by passkey."""
    options = options_of(visitor.get("/account/confirm"), "passkey-sign-in")
    expect(visitor.post("/account/confirm", {"credential": as_text(device.get(options))}), 303)


def rows(app) -> list[Session]:
    """Every session."""
    with app.app_context():
        return list(db.session.scalars(select(Session).order_by(Session.id)))


def date(app, **times) -> None:
    """Give the only session these times, as a clock that was wrong would have."""
    with app.app_context():
        db.session.execute(update(Session).values(**times))
        db.session.commit()


def assert_not_proven(visitor: Visitor) -> None:
    """Assert that every form asks for proof, and that there are no creation options."""
    for path, form, _ in GUARDED:
        expect(visitor.post(path, form), 403)
    expect(visitor.post("/account/passkeys/options"), 403)
    assert expect(visitor.post("/account/passkeys"), 303).location.startswith("/account/confirm")


# Whose proof it is.


def test_a_cookie_copied_before_a_proof_is_not_proven_by_it(ada, phone, later, unchanged):
    thief = ada.twin()
    prove(ada, phone)
    with unchanged():
        assert_not_proven(thief)
    assert thief.is_signed_in()
    ada.make_passkey(Authenticator())


def test_a_cookie_copied_before_a_mailed_code_was_typed_is_not_proven_by_it(ada, later):
    page = ada.post("/account/confirm", {"mail": "code"})
    form = {"proof": re.search(r'name="proof" value="([^"]+)"', page.text)[1], "code": ada.read_code(ADA)}
    thief = ada.twin()
    expect(ada.post("/account/confirm", form), 303)
    assert_not_proven(thief)


def test_a_copied_cookie_does_not_finish_a_passkey_after_the_owners_next_proof(ada, phone, reasons):
    thief = ada.twin()
    begun = thief.creation_options()
    prove(ada, phone)
    expect(thief.register(Authenticator().create(begun)), 400)
    assert reasons == ["not_proven"]


def test_a_copied_cookie_does_not_finish_a_change_of_address_after_the_owners_next_proof(ada, phone, reasons):
    thief = ada.twin()
    expect(thief.post("/account/email", {"email": "eve@example.org"}), 303)
    code = thief.read_code("eve@example.org")
    prove(ada, phone)
    expect(thief.post("/account/email", {"code": code}), 400)
    assert reasons == ["not_proven"]


def test_an_open_tab_finishes_its_changes_after_a_proof_in_another_tab(ada, phone):
    options = ada.creation_options()
    expect(ada.post("/account/email", {"email": "new@example.org"}), 303)
    code = ada.read_code("new@example.org")
    prove(ada, phone)
    expect(ada.register(Authenticator().create(options)), 303)
    expect(ada.post("/account/email", {"code": code}), 303)


def test_a_passkey_begun_on_fresh_proof_is_added_when_the_proof_is_no_longer_fresh(ada):
    nearly = now() + proof.PROOF_LIFETIME - timedelta(seconds=5)
    with time_machine.travel(nearly):
        options = ada.creation_options()
    with time_machine.travel(nearly + timedelta(minutes=9)):
        expect(ada.register(Authenticator().create(options)), 303)


def test_the_copy_that_proved_last_is_proven_and_the_other_may_prove_again(ada, phone, later):
    other = ada.twin()
    prove(ada, phone)
    prove(other, phone)
    assert_not_proven(ada)
    prove(ada, phone)
    assert_not_proven(other)
    expect(ada.post("/account/recovery-codes"), 200)


def test_a_proof_ends_with_a_change_of_the_ways_in_elsewhere(ada, phone, app):
    other = Visitor(app)
    other.sign_in_by_link(ADA)
    ada.make_passkey(Authenticator())
    assert_not_proven(other)
    prove(other, phone)


def test_a_cookie_of_an_earlier_release_is_asked_for_proof(ada, phone):
    """It has no mark yet."""
    with ada.client.session_transaction(base_url=ada.site_url) as cookie:
        del cookie["proof"]
    assert ada.is_signed_in()
    assert_not_proven(ada)
    prove(ada, phone)
    ada.make_passkey(Authenticator())


# The clock.


def test_a_proof_dated_up_to_thirty_seconds_ahead_counts(ada, app, clock):
    """Machines disagree about the time by seconds."""
    date(app, proved_at=now() + timedelta(seconds=30))
    ada.make_passkey(Authenticator())


@pytest.mark.parametrize("seconds", [31, 3600])
def test_a_proof_dated_further_ahead_counts_as_none(ada, app, clock, phone, seconds):
    date(app, proved_at=now() + timedelta(seconds=seconds))
    assert_not_proven(ada)
    prove(ada, phone)
    ada.make_passkey(Authenticator())


@pytest.mark.parametrize(("minutes", "status"), [(61, 403), (60, 200)])
def test_an_hour_of_recovering_that_was_dated_ahead_counts_as_none(ada, app, clock, minutes, status):
    clock.shift(STALE)
    date(app, recovering_until=now() + timedelta(minutes=minutes))
    expect(ada.post("/account/passkeys/options"), status)


@pytest.mark.parametrize(("seconds", "is_one"), [(30, True), (31, False), (3600, False)])
def test_a_session_dated_more_than_thirty_seconds_ahead_counts_as_none(ada, app, clock, seconds, is_one):
    date(app, created_at=now() + timedelta(seconds=seconds))
    assert ada.is_signed_in() == is_one
    assert len(rows(app)) == 1


@pytest.mark.parametrize("days", [15, 91])
def test_an_expired_session_is_deleted_when_it_is_met(ada, app, clock, days):
    clock.shift(timedelta(days=days))
    assert not ada.is_signed_in()
    assert rows(app) == []
    # A clock that is set back revives nothing.
    clock.shift(timedelta(days=-days))
    assert not ada.is_signed_in()


def test_being_seen_by_a_clock_that_was_ahead_is_corrected(ada, app, clock):
    """Or the session would live on without use, until that time and two weeks more."""
    date(app, seen_at=now() + timedelta(days=10))
    ada.get("/account")
    assert rows(app)[0].seen_at == now()


# What a session is called.


def test_the_token_of_a_session_is_in_no_page_url_challenge_mail_or_log(ada, app, phone, site_log):
    other = Visitor(app)
    other.sign_in_by_passkey(phone)
    tokens = [session.token for session in rows(app)]
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
    # What is signed is not encrypted.
    claims = [URLSafeTimedSerializer("whatever").loads_unsafe(text)[1][1] for text in signed]
    assert [each["session"] for each in claims] == ["1"] * 4
    assert 'action="/account/sessions/2/revoke"' in pages[0].text
    expect(ada.post("/account/sessions/2/revoke"), 303)
    shown = [page.text for page in pages] + [mails.text_of(mail) for mail in mails.outbox(app)]
    for token in tokens:
        assert token not in f"{shown}{claims}{site_log.events}"


def test_a_number_of_a_session_is_never_given_twice(app, ada):
    """A challenge of one session must not fit the next."""
    ada.sign_out()
    ada.sign_in_by_link(ADA)
    assert [session.id for session in rows(app)] == [2]


@pytest.mark.parametrize("number", [0, 2**31 - 1, 2**31, 9**40, "x", -1])
def test_a_number_that_no_session_has_is_not_there(ada, unchanged, number):
    with unchanged():
        expect(ada.post(f"/account/sessions/{number}/revoke"), 404)


# The user handle: L3 7.2 step 6.


@pytest.fixture
def key(visitor) -> Authenticator:
    """Ada's security key, which leaves out the user handle where the site has named the credential."""
    visitor.sign_in_by_link(ADA)
    key = Authenticator(synced=False, terse=True)
    visitor.make_passkey(key)
    return key


def test_a_security_key_that_leaves_out_the_user_handle_proves(visitor, key, later):
    options = options_of(visitor.get("/account/confirm"), "passkey-sign-in")
    answer = key.get(options)
    assert "userHandle" not in answer["response"]
    expect(visitor.post("/account/confirm", {"credential": json.dumps(answer)}), 303)


@pytest.mark.parametrize("nothing", [None, ""])
def test_a_user_handle_that_is_empty_counts_as_left_out(visitor, key, later, nothing):
    answer = key.get(options_of(visitor.get("/account/confirm"), "passkey-sign-in"))
    answer["response"]["userHandle"] = nothing
    expect(visitor.post("/account/confirm", {"credential": json.dumps(answer)}), 303)


def test_a_security_key_that_names_another_user_does_not_prove(visitor, later, key, reasons):
    options = options_of(visitor.get("/account/confirm"), "passkey-sign-in")
    key.terse = False
    answer = key.get(options, user_handle=bytes(64))
    expect(visitor.post("/account/confirm", {"credential": json.dumps(answer)}), 403)
    assert reasons == ["wrong_user_handle"]


def test_another_users_key_that_leaves_out_the_user_handle_does_not_prove(visitor, stranger, key, later, reasons):
    stranger.sign_in_by_link("eve@example.org")
    stranger.make_passkey(Authenticator())
    options = options_of(stranger.get("/account/confirm"), "passkey-sign-in")
    options["allowCredentials"] = [{"id": encode(key.credentials[0].id)}]
    answer = key.get(options)
    assert "userHandle" not in answer["response"]
    expect(stranger.post("/account/confirm", {"credential": json.dumps(answer)}), 403)
    assert reasons == ["other_account"]


def test_signing_in_needs_a_user_handle(visitor, key, reasons):
    visitor.sign_out()
    answer = key.get(visitor.request_options())
    del answer["response"]["userHandle"]
    expect(visitor.authenticate(answer), 400)
    assert reasons == ["malformed_response"]


# The mail.


@pytest.mark.parametrize(("path", "form", "deed"), GUARDED, ids=lambda value: value if isinstance(value, str) else "")
def test_the_mail_names_the_form_and_says_what_its_code_can_do(ada, app, later, path, form, deed):
    page = expect(ada.post(path, form | {"mail": "code"}), 200)
    message = mails.newest_with_code(app)
    for subtype in ("plain", "html"):
        text = re.sub(r"<[^>]+>", "", unescape(message.get_body((subtype,)).get_content()))
        text = " ".join(text.split())
        assert f"wants to {deed}." in text
        assert "Anyone who has it can change anything in this account for 10 minutes." in text
        assert "Never give it to anyone" in text
    assert f"You’re about to {deed}," in text_of(parse(page))


def test_a_code_asked_for_with_one_form_proves_for_another(ada, later):
    """As its mail says."""
    page = ada.post("/account/sessions/revoke-all", {"mail": "code"})
    form = {"proof": re.search(r'name="proof" value="([^"]+)"', page.text)[1], "code": ada.read_code(ADA)}
    expect(ada.post("/account/delete", form), 303)


def test_every_form_that_needs_proof_is_in_the_list(ada, later):
    forms = [path for path in paths(ada.app, "POST") if path.startswith("/account") and path not in OPTIONS]
    guarded = [path for path in forms if ada.post(path, {"email": "new@example.org"}).status_code == 403]
    assert sorted(guarded) == sorted(path for path, _, _ in GUARDED)
