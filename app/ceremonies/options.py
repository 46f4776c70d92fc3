"""The options of a ceremony: the site's request to the authenticator."""

import json
from collections.abc import Iterable
from datetime import timedelta
from hashlib import sha256
from typing import Any

from flask import current_app
from webauthn import generate_authentication_options, generate_registration_options
from webauthn.helpers import options_to_json_dict
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.structs import (
    AttestationConveyancePreference,
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from app import single_use
from app.ceremonies import base64url
from app.models import Passkey, User, milliseconds, now
from app.single_use import Purpose

# A challenge is a signed token: see single_use.py.
CHALLENGE_LIFETIME = timedelta(minutes=10)
REGISTRATION = Purpose("registration", CHALLENGE_LIFETIME)
AUTHENTICATION = Purpose("authentication", CHALLENGE_LIFETIME)
CONFIRMATION = Purpose("confirmation", CHALLENGE_LIFETIME)
TIMEOUT_MS = CHALLENGE_LIFETIME // timedelta(milliseconds=1)

# Ed25519, ES256 and RS256, in the order of our preference.
ALGORITHMS = [
    COSEAlgorithmIdentifier.EDDSA,
    COSEAlgorithmIdentifier.ECDSA_SHA_256,
    COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256,
]


# A challenge has 16 bytes at least (L3 13.4.3). This one is replaced by a token.
NO_CHALLENGE = bytes(16)


def issue(purpose: Purpose, options: dict[str, Any], **bound_to: str) -> str:
    """Return the options as JSON text, with a challenge for this ceremony, session or browser.

    The challenge also has the time in milliseconds, and the options' digest. So nothing is stored, and later we know
    whether the options that we make again are those that the browser got.
    """
    challenge = single_use.issue(purpose, options=digest(options), at=str(milliseconds(now())), **bound_to)
    return json.dumps(with_challenge(options, challenge))


def with_challenge(options: dict[str, Any], challenge: str) -> dict[str, Any]:
    """Return the options with this challenge, as the browser gets them."""
    return options | {"challenge": base64url.encode(challenge.encode())}


def digest(options: dict[str, Any]) -> str:
    """Return 16 characters that stand for these options. They don't depend on the challenge."""
    return sha256(json.dumps(options | {"challenge": ""}).encode()).hexdigest()[:16]


def creation_options(user: User, passkeys: Iterable[Passkey]) -> dict[str, Any]:
    """Return creation options (L3 5.4) without their challenge, for one more passkey of a user who has these."""
    options = generate_registration_options(
        rp_id=current_app.config["RP_ID"],
        rp_name=current_app.config["SITE_NAME"],
        user_id=user.user_handle,
        user_name=user.email,
        user_display_name=user.email,
        challenge=NO_CHALLENGE,
        timeout=TIMEOUT_MS,
        attestation=AttestationConveyancePreference.NONE,
        authenticator_selection=AuthenticatorSelectionCriteria(
            # Autofill offers only discoverable credentials.
            resident_key=ResidentKeyRequirement.REQUIRED,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
        supported_pub_key_algs=ALGORITHMS,
        exclude_credentials=_descriptors(passkeys),
    )
    # L3 10.1.3: the browser then says whether the credential is discoverable.
    return options_to_json_dict(options) | {"extensions": {"credProps": True}}


def request_options(passkeys: Iterable[Passkey] = ()) -> dict[str, Any]:
    """Return request options (L3 5.5) without their challenge.

    To sign in, they name no passkey: each is discoverable, so the authenticator knows which ones it has.
    """
    options = generate_authentication_options(
        rp_id=current_app.config["RP_ID"],
        challenge=NO_CHALLENGE,
        timeout=TIMEOUT_MS,
        allow_credentials=_descriptors(passkeys),
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return options_to_json_dict(options)


def _descriptors(passkeys: Iterable[Passkey]) -> list[PublicKeyCredentialDescriptor]:
    return [
        PublicKeyCredentialDescriptor(
            id=passkey.credential_id,
            transports=[AuthenticatorTransport(name) for name in passkey.transports.split()],
        )
        for passkey in passkeys
    ]
