"""The options of a ceremony: the site's request to the authenticator."""

import json
from collections.abc import Iterable
from datetime import timedelta

from flask import current_app
from webauthn import generate_authentication_options, generate_registration_options, options_to_json
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

from app.models import Passkey, User
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


def creation_options(challenge: str, user: User, passkeys: Iterable[Passkey]) -> str:
    """Return creation options (L3 5.4) as JSON text, for one more passkey of a user who has these."""
    options = generate_registration_options(
        rp_id=current_app.config["RP_ID"],
        rp_name=current_app.config["SITE_NAME"],
        user_id=user.user_handle,
        user_name=user.email,
        user_display_name=user.email,
        challenge=challenge.encode(),
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
    return json.dumps(options_to_json_dict(options) | {"extensions": {"credProps": True}})


def request_options(challenge: str, passkeys: Iterable[Passkey] = ()) -> str:
    """Return request options (L3 5.5) as JSON text.

    To sign in, they name no passkey: each is discoverable, so the authenticator knows which ones it has.
    """
    options = generate_authentication_options(
        rp_id=current_app.config["RP_ID"],
        challenge=challenge.encode(),
        timeout=TIMEOUT_MS,
        allow_credentials=_descriptors(passkeys),
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return options_to_json(options)


def _descriptors(passkeys: Iterable[Passkey]) -> list[PublicKeyCredentialDescriptor]:
    return [
        PublicKeyCredentialDescriptor(
            id=passkey.credential_id,
            transports=[AuthenticatorTransport(name) for name in passkey.transports.split()],
        )
        for passkey in passkeys
    ]
