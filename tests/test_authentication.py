"""Signing in with a passkey: the responses that are accepted, and the reasons for which others are refused.

test_ceremonies.py has the reasons that creating a passkey shares, and says how a response is refused.
"""

from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import select

from app.database import db
from app.models import Passkey, Session, now
from authenticator import (
    BE,
    BS,
    EDDSA,
    ES256,
    MISSING,
    RS256,
    UP,
    UV,
    Authenticator,
    NotAllowedError,
    changed,
    encode,
    respelled,
)
from tests import mails
from tests.conftest import rows

REMOVED = (
    "This passkey was removed from its account. You can’t sign in with it any more. We asked your device to forget it. "
    "If your device still offers it, delete it there. Sign in with another passkey or a link by email."
)
VAGUE = "That didn’t sign you in. Try again, or ask for a link by email."


@pytest.fixture
def ada(ada):
    """Return Ada, signed out."""
    ada.sign_out()
    return ada


@pytest.fixture
def bobs_phone(stranger):
    """Return Bob's phone. He has created a passkey on it."""
    phone = Authenticator()
    stranger.sign_in_by_link("bob@example.org")
    stranger.make_passkey(phone)
    stranger.sign_out()
    return phone


@pytest.fixture
def refuses(ada, reasons, unchanged) -> Callable[..., None]:
    """Assert that Ada's response is refused for `reason`. It spends its challenge and changes nothing else."""

    def check(credential: object, reason: str, spent: int = 1, sentence: str = VAGUE) -> None:
        with unchanged(spent=spent):
            response = ada.authenticate(credential)
        assert (response.status_code, reasons) == (400, [reason])
        assert ada.alert(response) == sentence
        assert not ada.is_signed_in()

    return check


def the_passkey(app) -> Passkey:
    """Return the only passkey of the site."""
    [passkey] = rows(app, Passkey)
    return passkey


# The options.


def test_request_options_name_no_credential(ada):
    """Every passkey here is discoverable: the authenticator knows its passkeys, and the page reveals none."""
    options = ada.request_options()
    assert (options["rpId"], options["userVerification"]) == ("localhost", "required")
    assert not options.get("allowCredentials")


def test_device_without_a_passkey_offers_none(ada):
    with pytest.raises(NotAllowedError):
        Authenticator().get(ada.request_options())


# Responses that are accepted.


def test_passkey_signs_in(ada, phone, app, events):
    response = ada.sign_in_by_passkey(phone)
    assert response.location == "/account"
    assert ada.is_signed_in()
    assert ("signed_in", {"user": 1, "detail": "passkey"}) in events
    assert the_passkey(app).last_used_at is not None


@pytest.mark.parametrize("algorithm", [EDDSA, ES256, RS256])
def test_every_algorithm_that_was_offered_signs_in(visitor, algorithm):
    phone = Authenticator(algorithm=algorithm)
    visitor.sign_in_by_link("ada@example.org")
    visitor.make_passkey(phone)
    visitor.sign_out()
    visitor.sign_in_by_passkey(phone)


def test_passkey_signs_in_at_any_browser(ada, phone, stranger):
    stranger.sign_in_by_passkey(phone)
    assert stranger.is_signed_in()
    assert not ada.is_signed_in()


def test_passkey_leads_to_the_requested_page(ada, phone):
    response = ada.authenticate(phone.get(ada.request_options()), next="/account/welcome")
    assert response.location == "/account/welcome"


def test_each_of_two_tabs_has_a_challenge_of_its_own(ada, phone):
    first, second = ada.request_options(), ada.request_options()
    assert ada.authenticate(phone.get(second)).status_code == 303
    assert ada.authenticate(phone.get(first)).status_code == 303


def test_second_sign_in_replaces_the_session_of_this_browser(ada, phone, app):
    first, second = ada.request_options(), ada.request_options()
    ada.authenticate(phone.get(first))
    ada.authenticate(phone.get(second))
    with app.app_context():
        assert len(db.session.scalars(select(Session)).all()) == 1


# The signature counter and the backup state: L3 7.2 steps 19, 22 and 24. The site records them, and locks nobody out.


def test_counter_that_is_always_zero_is_normal(ada, phone, app, events):
    ada.sign_in_by_passkey(phone)
    ada.sign_out()
    ada.sign_in_by_passkey(phone)
    assert "counter_went_back" not in [event.name for event in events]
    assert the_passkey(app).sign_count == 0


@pytest.fixture
def security_key(visitor) -> Authenticator:
    """Return a security key that has signed Ada in once. Its counter is at 5."""
    key = Authenticator(synced=False)
    visitor.sign_in_by_link("ada@example.org")
    visitor.make_passkey(key, sign_count=4)
    visitor.sign_out()
    visitor.sign_in_by_passkey(key)
    visitor.sign_out()
    return key


def test_growing_counter_is_stored(visitor, security_key, app, events):
    visitor.sign_in_by_passkey(security_key)
    assert the_passkey(app).sign_count == 6
    visitor.sign_out()
    visitor.sign_in_by_passkey(security_key, sign_count=2**32 - 1)
    assert the_passkey(app).sign_count == 2**32 - 1
    assert "counter_went_back" not in [event.name for event in events]


@pytest.mark.parametrize("sign_count", [5, 4, 0])
def test_counter_that_goes_back_is_flagged_and_signs_in(visitor, security_key, app, events, sign_count):
    visitor.sign_in_by_passkey(security_key, sign_count=sign_count)
    assert ("counter_went_back", {"user": 1}) in events
    assert mails.notices(app)[0] == ("ada@example.org", "One of your passkeys may have been copied")
    assert visitor.is_signed_in()
    assert the_passkey(app).sign_count == sign_count


def test_counter_that_goes_back_often_sends_one_notice_an_hour(visitor, security_key, app, events):
    """Otherwise somebody with a copy of the key could flood the inbox."""
    for _ in range(3):
        visitor.sign_in_by_passkey(security_key, sign_count=1)
        visitor.sign_out()
    assert [event.name for event in events].count("counter_went_back") == 3
    copied = ("ada@example.org", "One of your passkeys may have been copied")
    assert mails.notices(app).count(copied) == 1
    with time_machine.travel(now() + timedelta(hours=2)):
        visitor.sign_in_by_passkey(security_key, sign_count=1)
        assert mails.notices(app).count(copied) == 2


def test_backup_state_is_updated(ada, phone, app):
    for flags, backed_up in ((UP | UV | BE, False), (UP | UV | BE | BS, True)):
        ada.sign_in_by_passkey(phone, flags=flags)
        assert the_passkey(app).backup_state is backed_up
        ada.sign_out()


# The challenge.


def test_challenge_of_another_browser_is_refused(ada, phone, stranger, refuses):
    """Otherwise another site could have its visitors sign our challenge, and sign in with their responses."""
    options = ada.request_options() | {"challenge": stranger.request_options()["challenge"]}
    refuses(phone.get(options), "bound_to_another_browser", spent=0)


def test_browser_without_cookies_is_refused(ada, phone, stranger, reasons, unchanged):
    credential = phone.get(ada.request_options())
    with unchanged():
        response = stranger.authenticate(credential)
    assert (response.status_code, reasons) == (400, ["bound_to_another_browser"])


def test_challenge_works_once(ada, phone, bobs_phone, refuses):
    options = ada.request_options()
    ada.authenticate(phone.get(options))
    ada.sign_out()
    sentence = "This works only once, and it was used already. Please try again."
    refuses(bobs_phone.get(options), "already_used", spent=0, sentence=sentence)


# The owner of the passkey: L3 7.2 step 6.


def test_passkey_that_was_never_registered_is_refused(ada, refuses):
    """All sites on localhost share the RP ID, so their passkeys are offered here, too."""
    other = Authenticator()
    ada.sign_in_by_link("ada@example.org")
    options = ada.creation_options()
    other.create(options | {"user": options["user"] | {"id": encode(bytes(64))}})
    ada.sign_out()
    refuses(other.get(ada.request_options()), "unknown_passkey")


def test_removed_passkey_is_refused(ada, phone, refuses):
    ada.sign_in_by_passkey(phone)
    ada.post("/account/passkeys/1/remove")
    ada.sign_out()
    refuses(phone.get(ada.request_options()), "removed_passkey", sentence=REMOVED)


def test_user_handle_of_another_user_is_refused(ada, phone, bobs_phone, refuses):
    handle = bobs_phone.credentials[0].user_handle
    refuses(phone.get(ada.request_options(), user_handle=handle), "wrong_user_handle")


def test_unknown_user_handle_is_refused(ada, phone, refuses):
    refuses(phone.get(ada.request_options(), user_handle=bytes(64)), "wrong_user_handle")


def test_missing_user_handle_is_refused(ada, phone, refuses):
    refuses(changed(phone.get(ada.request_options()), "userHandle", MISSING), "malformed_response")


def test_id_of_another_passkey_is_refused(ada, phone, bobs_phone, refuses):
    """Bob says that he is Ada, and signs with the key that he has."""
    credential, target = bobs_phone.get(ada.request_options()), phone.credentials[0]
    for name, value in (("id", target.id), ("rawId", target.id), ("userHandle", target.user_handle)):
        credential = changed(credential, name, encode(value))
    refuses(credential, "wrong_signature")


def test_credential_id_of_1024_bytes_is_refused(ada, phone, refuses):
    long_id = encode(bytes(1024))
    refuses(phone.get(ada.request_options()) | {"id": long_id, "rawId": long_id}, "credential_id_too_long")


# The backup flags: L3 7.2 steps 18 and 19.


def test_passkey_that_can_no_longer_be_backed_up_is_refused(ada, phone, refuses):
    refuses(phone.get(ada.request_options(), flags=UP | UV), "backup_eligibility_changed")


def test_passkey_that_can_suddenly_be_backed_up_is_refused(visitor, security_key, reasons, unchanged):
    with unchanged(spent=1):
        response = visitor.authenticate(security_key.get(visitor.request_options(), flags=UP | UV | BE))
    assert (response.status_code, reasons) == (400, ["backup_eligibility_changed"])


# The signature: L3 7.2 steps 20 and 21.


@pytest.mark.parametrize("algorithm", [EDDSA, ES256, RS256])
def test_signature_by_another_key_is_refused(visitor, reasons, unchanged, algorithm):
    phone, thief = Authenticator(algorithm=algorithm), Authenticator(algorithm=algorithm)
    visitor.sign_in_by_link("ada@example.org")
    options = visitor.creation_options()
    visitor.register(phone.create(options))
    thief.create(options, credential_id=phone.credentials[0].id)
    visitor.sign_out()
    with unchanged(spent=1):
        response = visitor.authenticate(thief.get(visitor.request_options()))
    assert (response.status_code, reasons) == (400, ["wrong_signature"])


def test_signature_over_another_challenge_is_refused(ada, phone, refuses):
    """A stolen signature works only for the challenge that it was made for."""
    caught, fresh = phone.get(ada.request_options()), phone.get(ada.request_options())
    client_data = fresh["response"]["clientDataJSON"]
    refuses(changed(caught, "clientDataJSON", client_data), "wrong_signature")


def test_signature_over_other_authenticator_data_is_refused(ada, phone, refuses):
    """An attacker in between must not turn "touched" into "verified"."""
    unverified = phone.get(ada.request_options(), flags=UP | BE | BS)
    verified = phone.get(ada.request_options())["response"]["authenticatorData"]
    refuses(changed(unverified, "authenticatorData", verified), "wrong_signature")


@pytest.mark.parametrize(
    "signature", [b"\0", b"\0" * 64, b"\x30\x00", b"\x30\x06\x02\x01\x00\x02\x01\x00", b"\xff" * 5000], ids=len
)
def test_malformed_signature_is_refused(ada, phone, refuses, signature):
    """ES256 signs in ASN.1 DER: a sequence of two integers. With both 0, Java took every message (CVE-2022-21449)."""
    refuses(phone.get(ada.request_options(), mangle={"signature": lambda _: signature}), "wrong_signature")


# Malformed.


@pytest.mark.parametrize("field", ["rawId", "authenticatorData", "signature", "userHandle"])
def test_second_text_for_the_same_bytes_is_refused(visitor, refuses, field):
    key = Authenticator(algorithm=EDDSA)  # Its signatures have 64 bytes, so each has two texts.
    visitor.sign_in_by_link("bob@example.org")
    visitor.make_passkey(key)
    visitor.sign_out()
    credential = key.get(visitor.request_options())
    text = (credential | credential["response"])[field]
    refuses(changed(credential, field, respelled(text)), "not_base64url")


@pytest.mark.parametrize("kept", [1, 32, 33, 36])
def test_truncated_authenticator_data_is_refused(ada, phone, refuses, kept):
    credential = phone.get(ada.request_options(), mangle={"authenticatorData": lambda data: data[:kept]})
    refuses(credential, "malformed_authenticator_data")
