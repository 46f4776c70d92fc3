"""The verification of a response: the checks of the library, and ours for everything that the library leaves out.

Each check of ours names its step in L3 7.1 (registration) or 7.2 (authentication).
"""

import json
from datetime import UTC, datetime
from typing import Any

from flask import current_app
from webauthn import verify_authentication_response, verify_registration_response
from webauthn.authentication.verify_authentication_response import VerifiedAuthentication
from webauthn.helpers import decode_credential_public_key, decoded_public_key_to_cryptography, parse_cbor
from webauthn.registration.verify_registration_response import VerifiedRegistration

from app import single_use
from app.ceremonies import ctap2_cbor, public_keys
from app.ceremonies.attempts import Attempt, CeremonyError, refusing
from app.ceremonies.base64url import decode
from app.ceremonies.options import ALGORITHMS
from app.models import milliseconds, now
from app.refusals import Refusal
from app.single_use import Token

# L3 4, "credential ID".
LONGEST_CREDENTIAL_ID = 1023

# L3 5.8.4.
TRANSPORTS = ("ble", "hybrid", "internal", "nfc", "smart-card", "usb")


def open_response(attempt: Attempt, **bound_to: str) -> Token:
    """Parse the response and spend its challenge. Return the challenge's token, and fill in the attempt's `credential`,
    `challenge`, `began` and `facts`.

    There is no expected challenge to compare with: the challenge is a token of ours, signed, for this ceremony, and
    bound to this session or browser. A token has one text, and that text has one form in base64url (L3 7.1 step 8, 7.2
    step 11). Raises CeremonyError, and Refusal as `single_use.read` and `single_use.spend` do.
    """
    if not current_app.config["PASSKEYS_ENABLED"]:
        raise CeremonyError("passkeys_disabled")
    challenge, facts = parse(attempt), attempt.facts
    facts.origin, facts.rp_id = current_app.config["SITE_URL"], current_app.config["RP_ID"]
    facts.arrived_at = milliseconds(now())
    (facts.bound_to,) = bound_to
    try:
        token = single_use.read(attempt.purpose, challenge, **bound_to)
        facts.issued_at = int(token.claims["at"])
        single_use.spend(token)
    except Refusal as refusal:
        if refusal.reason in ("expired", "already_used"):
            attempt.challenge = challenge
        raise
    attempt.challenge = challenge
    attempt.began = datetime.fromtimestamp(facts.issued_at / 1000, UTC)
    # L3 7.1 step 25. The library checks that `id` equals `rawId`.
    if len(decode(attempt.credential["rawId"])) > LONGEST_CREDENTIAL_ID:
        raise CeremonyError("credential_id_too_long")
    return token


def parse(attempt: Attempt) -> str:
    """Parse the response into the attempt's `credential`, and return its challenge, which should be a token of ours."""
    with refusing("not_json"):
        attempt.credential = json.loads(attempt.response)
    # Bytes that are not ASCII are no token of ours.
    return decode(_client_data(attempt.credential)["challenge"]).decode("ascii", "replace")


def expectations(attempt: Attempt) -> dict[str, Any]:
    """Return the values that the library compares with: the spent challenge, and this site's RP ID and origin, which
    `open_response` has added to the facts."""
    return {
        "expected_challenge": attempt.challenge.encode(),
        # L3 7.1 step 14, 7.2 step 15.
        "expected_rp_id": attempt.facts.rp_id,
        # L3 7.1 step 9, 7.2 step 12: the exact origin.
        "expected_origin": attempt.facts.origin,
        # The options only ask for it. The library checks it only if we say so.
        "require_user_verification": True,
    }


def verify_registration(credential: dict[str, Any], expected: dict[str, Any]) -> VerifiedRegistration:
    """Check an opened response to creation options: L3 7.1. Call this within an Attempt."""
    _refuse_framed(credential)
    _check_attestation(decode(credential["response"]["attestationObject"]))
    verified = verify_registration_response(credential=credential, supported_pub_key_algs=ALGORITHMS, **expected)
    if verified.credential_id != decode(credential["rawId"]):
        raise CeremonyError("credential_id_mismatch")
    # Autofill offers only discoverable passkeys. If the browser doesn't say, we trust the options, which required one.
    if credential.get("clientExtensionResults", {}).get("credProps", {}).get("rk") is False:
        raise CeremonyError("not_discoverable")
    # Load the key once, so that none is stored that could never sign in.
    with refusing("unusable_key"):
        decoded = decode_credential_public_key(verified.credential_public_key)
        key = decoded_public_key_to_cryptography(decoded)
    public_keys.check(key, decoded.alg)
    return verified


def verify_authentication(
    credential: dict[str, Any], expected: dict[str, Any], public_key: bytes, backup_eligible: bool
) -> VerifiedAuthentication:
    """Check an opened response to request options against its credential record: L3 7.2. Call this within an
    Attempt."""
    _refuse_framed(credential)
    ctap2_cbor.check_authenticator_data(decode(credential["response"]["authenticatorData"]))
    # The library's decoder is less strict about base64url.
    decode(credential["response"]["signature"])
    verified = verify_authentication_response(
        credential=credential,
        credential_public_key=public_key,
        # The library would refuse a counter that went back, and lock the owner out.
        credential_current_sign_count=0,
        **expected,
    )
    # L3 7.2 step 19: backup eligibility never changes.
    if is_backup_eligible(verified) != backup_eligible:
        raise CeremonyError("backup_eligibility_changed")
    return verified


def check_user_handle(handle: bytes | None, expected: bytes) -> None:
    """L3 7.2 step 6: a user handle in the response must be that of the passkey's user."""
    if handle is not None and handle != expected:
        raise CeremonyError("wrong_user_handle")


def is_backup_eligible(verified: VerifiedRegistration | VerifiedAuthentication) -> bool:
    """Return True if the authenticator says that the credential may be synced to other devices (the BE flag)."""
    return verified.credential_device_type == "multi_device"


def known_transports(credential: dict[str, Any]) -> str:
    """Return the transports of the response that L3 5.8.4 knows, separated by spaces."""
    claimed = credential["response"].get("transports") or []
    return " ".join(name for name in TRANSPORTS if name in claimed)


def _client_data(credential: dict[str, Any]) -> dict[str, Any]:
    """Return the client data, in which the browser describes the ceremony: L3 7.1 steps 5 and 6, 7.2 steps 8 and 9."""
    data = decode(credential["response"]["clientDataJSON"])
    with refusing("not_utf8"):
        # The specification's decoder drops a byte order mark. `json.loads(bytes)` would also take UTF-16 and UTF-32.
        text = data.decode("utf-8-sig")
    with refusing("malformed_client_data"):
        client_data = json.loads(text, parse_constant=_refuse_constant)
        if not isinstance(client_data, dict) or "challenge" not in client_data:
            raise ValueError("no object with a challenge")
    return client_data


def _refuse_constant(name: str) -> None:
    """Refuse NaN and Infinity. Python's decoder accepts them, but JSON doesn't have them."""
    raise ValueError(f"{name} is not JSON")


def _refuse_framed(credential: dict[str, Any]) -> None:
    """L3 7.1 steps 10 and 11, 7.2 steps 13 and 14: refuse a ceremony inside another site's page."""
    client_data = _client_data(credential)
    if client_data.get("crossOrigin", False) is not False or "topOrigin" in client_data:
        raise CeremonyError("cross_origin")


def _check_attestation(attestation_object: bytes) -> None:
    """Check the attestation object's encoding and statement: L3 7.1 steps 13 and 21 to 24."""
    # Browsers and password managers write this map themselves, each in its own order. So it isn't canonical.
    with refusing("malformed_cbor"):
        if ctap2_cbor.end_of(attestation_object, canonical=False) < len(attestation_object):
            raise ValueError("more after the attestation object")
        attestation = parse_cbor(attestation_object)
    # L3 6.5.4: it has these three members.
    if not isinstance(attestation, dict) or attestation.keys() != {"fmt", "attStmt", "authData"}:
        raise CeremonyError("malformed_attestation", "not the three members of an attestation object")
    ctap2_cbor.check_authenticator_data(attestation["authData"])
    # The options asked for no statement about the authenticator's maker, and we trust none. So we accept only "none"
    # and self attestation.
    statement = attestation["attStmt"]
    is_none = attestation["fmt"] == "none" and statement == {}
    is_self = attestation["fmt"] == "packed" and isinstance(statement, dict) and "x5c" not in statement
    if not (is_none or is_self):
        raise CeremonyError("attestation_not_accepted")
    if not isinstance(statement.get("sig", b""), bytes):
        raise CeremonyError("malformed_attestation", "a signature that is not bytes")
