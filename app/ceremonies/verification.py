"""The two ceremonies of WebAuthn, from the relying party's side: the options it makes and what it checks.

The library checks what it can; what it leaves to us is checked here, each with its section of Web Authentication
Level 3. The rows that ceremonies leave behind are passkeys.py's.
"""

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from flask import current_app

from app import single_use
from app.ceremonies import ctap2_cbor, public_keys
from app.ceremonies.attempts import Attempt, CeremonyError, refusing

if TYPE_CHECKING:
    from webauthn.authentication.verify_authentication_response import VerifiedAuthentication
    from webauthn.helpers.cose import COSEAlgorithmIdentifier
    from webauthn.helpers.structs import PublicKeyCredentialDescriptor
    from webauthn.registration.verify_registration_response import VerifiedRegistration

CHALLENGE_LIFETIME = timedelta(minutes=10)
REGISTRATION = single_use.Purpose("registration", CHALLENGE_LIFETIME)
AUTHENTICATION = single_use.Purpose("authentication", CHALLENGE_LIFETIME)
CONFIRMATION = single_use.Purpose("confirmation", CHALLENGE_LIFETIME)
TIMEOUT_MS = int(CHALLENGE_LIFETIME.total_seconds() * 1000)

# L3 4, "credential ID": at most 1023 bytes.
LONGEST_CREDENTIAL_ID = 1023

# L3 5.8.4.
TRANSPORTS = ("ble", "hybrid", "internal", "nfc", "smart-card", "usb")

BASE64URL = re.compile(r"[A-Za-z0-9_-]+")


def creation_options(challenge: str, user_handle: bytes, name: str, exclude: Iterable[tuple[bytes, str]]) -> str:
    """Return creation options (L3 5.4) as JSON text.

    `exclude` is what the user has already: credential ids and their transports.
    """
    from webauthn import generate_registration_options
    from webauthn.helpers import options_to_json_dict, structs

    options = generate_registration_options(
        rp_id=current_app.config["RP_ID"],
        rp_name=current_app.config["SITE_NAME"],
        user_id=user_handle,
        user_name=name,
        user_display_name=name,
        challenge=challenge.encode(),
        timeout=TIMEOUT_MS,
        attestation=structs.AttestationConveyancePreference.NONE,
        authenticator_selection=structs.AuthenticatorSelectionCriteria(
            # Only a discoverable credential is offered in autofill.
            resident_key=structs.ResidentKeyRequirement.REQUIRED,
            user_verification=structs.UserVerificationRequirement.REQUIRED,
        ),
        supported_pub_key_algs=_algorithms(),
        exclude_credentials=_descriptors(exclude),
    )
    # L3 10.1.3: have the browser say whether the credential came out discoverable.
    return json.dumps(options_to_json_dict(options) | {"extensions": {"credProps": True}})


def request_options(challenge: str, allow: Iterable[tuple[bytes, str]] = ()) -> str:
    """Return request options (L3 5.5) as JSON text.

    To sign in, they name no credential: every passkey here is discoverable, so the authenticator knows which it has.
    """
    from webauthn import generate_authentication_options, options_to_json
    from webauthn.helpers import structs

    options = generate_authentication_options(
        rp_id=current_app.config["RP_ID"],
        challenge=challenge.encode(),
        timeout=TIMEOUT_MS,
        allow_credentials=_descriptors(allow),
        user_verification=structs.UserVerificationRequirement.REQUIRED,
    )
    return options_to_json(options)


def open_response(
    attempt: Attempt, response: str, purpose: single_use.Purpose, **bound_to: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Spend the challenge that the response answers. Returns the credential, and what the library is to expect of it.

    The challenge needs no comparing: it is a token of ours, signed, for this ceremony and this session or browser.
    A token has one text, and the base64url of that has one, too (L3 7.1 step 8, 7.2 step 11).
    """
    if not current_app.config["PASSKEYS_ENABLED"]:
        raise CeremonyError("passkeys_disabled")
    with refusing("not_json"):
        credential = json.loads(response)
    challenge = decode(_client_data(credential)["challenge"])
    # Bytes that are not ASCII are no token of ours.
    text = challenge.decode("ascii", "replace")
    token = single_use.read(purpose, text, **bound_to)
    single_use.spend(token.id, token.expires_at)
    attempt.challenge, attempt.response, attempt.began = text, response, token.made_at
    # L3 7.1 step 25. The library holds `id` against it.
    if len(decode(credential["rawId"])) > LONGEST_CREDENTIAL_ID:
        raise CeremonyError("credential_id_too_long")
    return credential, {
        "expected_challenge": challenge,
        "expected_rp_id": current_app.config["RP_ID"],
        "expected_origin": current_app.config["SITE_URL"],
        "require_user_verification": True,
    }


def verify_registration(credential: dict[str, Any], expected: dict[str, Any]) -> "VerifiedRegistration":
    """Check an opened response to creation options: L3 7.1. Raises what `attempt` turns into CeremonyError."""
    from webauthn import verify_registration_response
    from webauthn.helpers import parse_cbor

    _refuse_framed(credential)
    # L3 7.1 step 13. Browsers and password managers write this map, each in an order of its own.
    attestation_object = decode(credential["response"]["attestationObject"])
    with refusing("malformed_cbor"):
        if ctap2_cbor.end_of(attestation_object, canonical=False) < len(attestation_object):
            raise ValueError("more after the attestation object")
        attestation = parse_cbor(attestation_object)
    # L3 6.5.4: it has these three members.
    if not isinstance(attestation, dict) or attestation.keys() != {"fmt", "attStmt", "authData"}:
        raise CeremonyError("malformed_attestation", "not the three members of an attestation object")
    ctap2_cbor.check_authenticator_data(attestation["authData"])
    # L3 7.1 steps 21 to 24. The options asked for no statement that names a maker, and one gives no trust: only none
    # and self attestation pass.
    statement = attestation["attStmt"]
    if attestation["fmt"] == "none":
        trusted = statement == {}
    else:
        trusted = attestation["fmt"] == "packed" and isinstance(statement, dict) and "x5c" not in statement
    if not trusted:
        raise CeremonyError("attestation_not_accepted")
    if not isinstance(statement.get("sig", b""), bytes):
        raise CeremonyError("malformed_attestation", "a signature that is not bytes")
    verified = verify_registration_response(credential=credential, supported_pub_key_algs=_algorithms(), **expected)
    if verified.credential_id != decode(credential["rawId"]):
        raise CeremonyError("credential_id_mismatch")
    # It would never be offered in autofill. A browser that doesn't say is taken at its word: it was required.
    if credential.get("clientExtensionResults", {}).get("credProps", {}).get("rk") is False:
        raise CeremonyError("not_discoverable")
    _load_key(verified.credential_public_key)
    return verified


def verify_authentication(
    credential: dict[str, Any], expected: dict[str, Any], public_key: bytes, backup_eligible: bool
) -> "VerifiedAuthentication":
    """Check an opened response to request options against the credential record: L3 7.2. Raises what `attempt` turns
    into CeremonyError."""
    from webauthn import verify_authentication_response

    _refuse_framed(credential)
    ctap2_cbor.check_authenticator_data(decode(credential["response"]["authenticatorData"]))
    # The library reads base64url less strictly.
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


def _client_data(credential: dict[str, Any]) -> dict[str, Any]:
    """Return what the browser says about the ceremony: L3 7.1 steps 5 and 6, 7.2 steps 8 and 9."""
    data = decode(credential["response"]["clientDataJSON"])
    with refusing("not_utf8"):
        # The specification's decoder drops a byte order mark. `json.loads` alone would take UTF-16 and UTF-32, too.
        text = data.decode("utf-8-sig")
    with refusing("malformed_client_data"):
        client_data = json.loads(text, parse_constant=_refuse_constant)
        if not isinstance(client_data, dict) or "challenge" not in client_data:
            raise ValueError("no object with a challenge")
    return client_data


def _refuse_constant(name: str) -> None:
    """Python's decoder knows NaN and Infinity; JSON doesn't."""
    raise ValueError(f"{name} is not JSON")


def _refuse_framed(credential: dict[str, Any]) -> None:
    """L3 7.1 steps 10 and 11, 7.2 steps 13 and 14: no other site's page holds ours."""
    client_data = _client_data(credential)
    if client_data.get("crossOrigin", False) is not False or "topOrigin" in client_data:
        raise CeremonyError("cross_origin")


def is_backup_eligible(verified: "VerifiedRegistration | VerifiedAuthentication") -> bool:
    """Whether the authenticator says that the credential may leave the device (the BE flag)."""
    return verified.credential_device_type == "multi_device"


def decode(text: str) -> bytes:
    """Decode base64url (RFC 4648 5, without padding). Raises CeremonyError `not_base64url`, also where the same bytes
    have another text: Python's decoder skips what it can't read, and bits that no byte needs."""
    with refusing("not_base64url"):
        if not BASE64URL.fullmatch(text):
            raise ValueError("other characters, or none")
        data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        if encode(data) != text:
            raise ValueError("not the text that these bytes have")
    return data


def encode(data: bytes) -> str:
    """Return base64url, as WebAuthn's JSON has it."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def transports(credential: dict[str, Any]) -> str:
    """Return the transports that the response tells of, space-separated, as far as they are known ones."""
    told = credential["response"].get("transports") or []
    return " ".join(word for word in TRANSPORTS if word in told)


def _descriptors(credentials: Iterable[tuple[bytes, str]]) -> list["PublicKeyCredentialDescriptor"]:
    from webauthn.helpers import structs

    return [
        structs.PublicKeyCredentialDescriptor(
            id=id, transports=[structs.AuthenticatorTransport(word) for word in transports.split()]
        )
        for id, transports in credentials
    ]


def _load_key(public_key: bytes) -> None:
    """Load the key once, so that none is stored that could never sign in."""
    from webauthn.helpers import decode_credential_public_key, decoded_public_key_to_cryptography

    with refusing("unusable_key"):
        decoded = decode_credential_public_key(public_key)
        key = decoded_public_key_to_cryptography(decoded)
    public_keys.check(key, decoded.alg)


def _algorithms() -> list["COSEAlgorithmIdentifier"]:
    """Ed25519, ES256 and RS256, in the order of our preference."""
    from webauthn.helpers.cose import COSEAlgorithmIdentifier as Algorithm

    return [Algorithm.EDDSA, Algorithm.ECDSA_SHA_256, Algorithm.RSASSA_PKCS1_v1_5_SHA_256]
