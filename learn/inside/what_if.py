"""What if? One thing in a response is changed, and the site's own verification says what it thinks of that.

Nobody here has the private key, so a changed part can't be signed again. The checks before the signature still show
which of them would have noticed.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from app import single_use
from app.ceremonies import options, verification
from app.ceremonies.attempts import Attempt, CeremonyError
from app.ceremonies.base64url import decode, encode
from learn.inside.ceremonies import PURPOSES, Ceremony

ELSEWHERE = "https://evil.example"

Credential = dict[str, Any]


@dataclass(frozen=True)
class Change:
    """A change to a response."""

    name: str
    words: str
    make: Callable[[Credential], None]
    """Changes the parsed response in place."""
    part: str = "clientDataJSON"
    """The change can be made to a response with this part."""


def _client_data(**members: str) -> Callable[[Credential], None]:
    def make(credential: Credential) -> None:
        response = credential["response"]
        client_data = json.loads(decode(response["clientDataJSON"])) | members
        response["clientDataJSON"] = encode(json.dumps(client_data, separators=(",", ":")).encode())

    return make


def _swap_type(credential: Credential) -> None:
    is_registration = "attestationObject" in credential["response"]
    _client_data(type="webauthn.get" if is_registration else "webauthn.create")(credential)


def _authenticator_data(change: Callable[[bytes], bytes]) -> Callable[[Credential], None]:
    """Change the first 37 bytes of the authenticator data (WebAuthn L3 6.1), wherever they are."""

    def make(credential: Credential) -> None:
        response = credential["response"]
        name = "attestationObject" if "attestationObject" in response else "authenticatorData"
        data = decode(response[name])
        # In an attestation object, they follow the text "authData" and the head of a byte string, whose length is in
        # one or two bytes.
        at = 0
        if name == "attestationObject":
            head = data.index(b"hauthData") + len(b"hauthData")
            at = head + (2 if data[head] == 0x58 else 3)
        response[name] = encode(data[:at] + change(data[at : at + 37]) + data[at + 37 :])

    return make


def _flip(flag: int) -> Callable[[bytes], bytes]:
    return lambda data: data[:32] + bytes([data[32] ^ flag]) + data[33:]


def _last_byte(name: str) -> Callable[[Credential], None]:
    def make(credential: Credential) -> None:
        data = decode(credential["response"][name])
        credential["response"][name] = encode(data[:-1] + bytes([data[-1] ^ 1]))

    return make


CHANGES = [
    Change("origin", "the origin: another page asked", _client_data(origin=ELSEWHERE)),
    Change("challenge", "the challenge: one that this site didn’t issue", _client_data(challenge=encode(bytes(32)))),
    Change("type", "the type: the answer to the other ceremony", _swap_type),
    Change(
        "rp_id",
        "the RP ID: made for another site",
        _authenticator_data(lambda data: sha256(b"evil.example").digest() + data[32:]),
    ),
    Change("user_present", "the flag UP: nobody was there", _authenticator_data(_flip(0x01))),
    Change("user_verified", "the flag UV: nobody unlocked the device", _authenticator_data(_flip(0x04))),
    Change("backup_eligible", "the flag BE: whether it may be backed up", _authenticator_data(_flip(0x08))),
    Change("backup_state", "the flag BS: whether it is backed up", _authenticator_data(_flip(0x10))),
    Change(
        "counter",
        "the counter: one more",
        _authenticator_data(lambda data: data[:33] + ((int.from_bytes(data[33:]) + 1) % 2**32).to_bytes(4)),
    ),
    Change("user_handle", "the user handle: another account’s", _last_byte("userHandle"), part="userHandle"),
    Change("signature", "the signature: one bit of it", _last_byte("signature"), part="signature"),
]


def changes_for(ceremony: Ceremony) -> list[Change]:
    """Return the changes that can be made to this ceremony's response. There is none if it can't be read."""
    return [change for change in CHANGES if _changed(ceremony, change)]


def find(name: str) -> Change | None:
    """Return the change of this name, or None."""
    return next((change for change in CHANGES if change.name == name), None)


def try_change(ceremony: Ceremony, change: Change) -> Ceremony | None:
    """Return the ceremony with its response changed and judged again, or None if that change can't be made.

    Everything except for the change is taken as it was. So its challenge may be used once more.
    """
    response = _changed(ceremony, change)
    return replace(ceremony, response=response, refused=refusal(ceremony, response)) if response else None


def refusal(ceremony: Ceremony, response: str) -> str:
    """Return the reason for which the site's verification refuses a changed response, or "" if it accepts it."""
    facts, purpose = ceremony.facts, PURPOSES[ceremony.kind]
    try:
        with Attempt(purpose, response, facts=facts) as attempt:
            attempt.challenge = verification.parse(attempt)
            # Our own challenge has been spent, and may have expired since. Any other must be a token of ours.
            if attempt.challenge != verification.parse(Attempt(purpose, ceremony.response)):
                single_use.read(purpose, attempt.challenge)
            expected = verification.expectations(attempt)
            if purpose is options.REGISTRATION:
                verification.verify_registration(attempt.credential, expected)
                return ""
            if not (facts.passkey and facts.account):
                raise CeremonyError("unknown_passkey")
            handle = attempt.credential["response"].get("userHandle")
            verification.check_user_handle(decode(handle) if handle else None, decode(facts.account["user_handle"]))
            key, backup_eligible = decode(facts.passkey["public_key"]), facts.passkey["backup_eligible"]
            verification.verify_authentication(attempt.credential, expected, key, backup_eligible)
    except CeremonyError as refused:
        return refused.reason
    return ""


def _changed(ceremony: Ceremony, change: Change) -> str:
    """Return the changed response as JSON text, or "" if it doesn't have the part."""
    try:
        credential = json.loads(ceremony.response)
        if change.part not in credential["response"]:
            return ""
        change.make(credential)
        return json.dumps(credential)
    # The response may be anything that a browser can send.
    except (CeremonyError, LookupError, TypeError, ValueError, AttributeError, RecursionError):
        return ""
