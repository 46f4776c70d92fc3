"""Signals: the page asks the authenticator to forget a passkey, and only one that is proven to be unknown here."""

import time_machine

from app.models import now
from authenticator import Authenticator, encode
from tests.conftest import UNTIL_PROOF_EXPIRES, expect, signals


def test_removal_signals_the_id_of_the_passkey_once(ada, phone):
    ada.post("/account/passkeys/1/remove")
    told = {"method": "signalUnknownCredential", "rpId": "localhost", "credentialId": encode(phone.credentials[0].id)}
    assert signals(ada.get("/account")) == [told]
    assert signals(ada.get("/account")) == []


def test_sign_in_with_a_removed_passkey_signals_its_id_and_no_other(ada, phone, eve):
    ada.post("/account/passkeys/1/remove")
    ada.sign_out()
    removed = ada.authenticate(phone.get(ada.request_options()))
    assert [signal["credentialId"] for signal in signals(removed)] == [encode(phone.credentials[0].id)]
    # A site on another port may have made this passkey. Here it is unknown, but there it may be an owner's only one.
    for device in (phone, eve.key):
        response = ada.authenticate(device.get(ada.request_options(), user_handle=bytes(64)))
        assert (response.status_code, signals(response)) == (400, [])


def test_refused_registration_signals_the_id_that_was_made(ada, phone):
    device = Authenticator()
    response = ada.register(device.create(ada.creation_options(), client_data={"origin": "https://evil.example"}))
    assert [signal["credentialId"] for signal in signals(response)] == [encode(device.credentials[0].id)]


def test_late_registration_signals_the_id_that_was_made(ada):
    device = Authenticator()
    credential = device.create(ada.creation_options())
    with time_machine.travel(now() + UNTIL_PROOF_EXPIRES):
        response = expect(ada.register(credential), 400)
    assert [signal["credentialId"] for signal in signals(response)] == [encode(device.credentials[0].id)]


def test_passkey_that_is_registered_already_is_not_signalled(ada, phone):
    again = Authenticator().create(ada.creation_options(), credential_id=phone.credentials[0].id)
    assert signals(expect(ada.register(again), 400)) == []
