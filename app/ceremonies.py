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

from app import ctap2_cbor, single_use
from app.attempts import Attempt, CeremonyError

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
    """
    if not current_app.config["PASSKEYS_ENABLED"]:
        raise CeremonyError("passkeys_disabled")
    credential = json.loads(response)
    challenge = decode(_client_data(credential)["challenge"])
    token = single_use.read(purpose, challenge.decode("ascii"), **bound_to)
    single_use.spend(token.id, token.expires_at)
    attempt.challenge, attempt.response, attempt.began = challenge.decode("ascii"), response, token.made_at
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
    attestation_object = decode(credential["response"]["attestationObject"])
    ctap2_cbor.check(attestation_object)
    attestation = parse_cbor(attestation_object)
    ctap2_cbor.check_authenticator_data(attestation["authData"])
    # A statement that would name a maker was not asked for, and gives no trust: only none and self attestation pass.
    if attestation["fmt"] == "none":
        trusted = attestation["attStmt"] == {}
    else:
        trusted = attestation["fmt"] == "packed" and "x5c" not in attestation["attStmt"]
    if not trusted:
        raise CeremonyError("attestation_not_accepted")
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
    return json.loads(decode(credential["response"]["clientDataJSON"]))


def _refuse_framed(credential: dict[str, Any]) -> None:
    """L3 7.1 steps 10 and 11, 7.2 steps 13 and 14: no other site's page holds ours."""
    client_data = _client_data(credential)
    if client_data.get("crossOrigin", False) is not False or "topOrigin" in client_data:
        raise CeremonyError("cross_origin")


def is_backup_eligible(verified: "VerifiedRegistration | VerifiedAuthentication") -> bool:
    """Whether the authenticator says that the credential may leave the device (the BE flag)."""
    return verified.credential_device_type == "multi_device"


def decode(text: str) -> bytes:
    """Decode base64url (RFC 4648 5, without padding), and nothing else: Python's decoder skips what it can't read."""
    if not BASE64URL.fullmatch(text):
        raise CeremonyError("malformed_response", "not base64url")
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


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
    """Load the key once, as RFC 9053 and L3 5.8.5 want it, so that none is stored that could never sign in."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from webauthn.helpers import decode_credential_public_key, decoded_public_key_to_cryptography

    try:
        decoded = decode_credential_public_key(public_key)
        key = decoded_public_key_to_cryptography(decoded)
    except Exception as error:
        raise CeremonyError("unusable_key", type(error).__name__) from error
    usable = {
        -8: isinstance(key, ed25519.Ed25519PublicKey),
        -7: isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name == "secp256r1",
        -257: isinstance(key, rsa.RSAPublicKey) and 2048 <= key.key_size <= 8192,
    }
    if not usable[decoded.alg]:
        raise CeremonyError("unusable_key", f"{type(key).__name__} for algorithm {decoded.alg:d}")


def _algorithms() -> list["COSEAlgorithmIdentifier"]:
    """Ed25519, ES256 and RS256, in the order of our preference."""
    from webauthn.helpers.cose import COSEAlgorithmIdentifier as Algorithm

    return [Algorithm.EDDSA, Algorithm.ECDSA_SHA_256, Algorithm.RSASSA_PKCS1_v1_5_SHA_256]
