"""The test vectors of Web Authentication Level 3 (section "Test Vectors"), and the outcome of each under our policy.

They come from https://example.org, with every attestation format and some algorithms that this site doesn't offer.
Where a vector is refused, POLICY has the reason that we find first. `test_vector_passes_without_our_policy` shows that
there is no other.
"""

import json
from collections.abc import Callable
from pathlib import Path

import cbor2
import pytest
from webauthn.helpers import parse_attestation_object

from app.ceremonies import verification
from app.ceremonies.attempts import Attempt, CeremonyError
from app.ceremonies.options import REGISTRATION
from authenticator import encode
from tests.conftest import PUBLIC

VECTORS = {
    vector["name"]: vector
    for vector in json.loads((Path(__file__).parent / "vectors" / "w3c-webauthn-l3.json").read_text())
}

ACCEPTED = "accepted"
STATEMENT = "attestation_not_accepted"
NOT_OFFERED = "algorithm_not_offered"
NOT_VERIFIED = "user_not_verified"
CROSS_ORIGIN = "cross_origin"

# The outcomes for each vector: of its registration; of its registration without the statement, as a browser sends it to
# a site that asks for none (L3 5.1.3); and of its authentication, if there can be one.
POLICY = {
    "none.ES256": (NOT_VERIFIED, NOT_VERIFIED, NOT_VERIFIED),
    "packed-self.ES256": (ACCEPTED, ACCEPTED, NOT_VERIFIED),
    "none.ES256.crossOrigin": (CROSS_ORIGIN, CROSS_ORIGIN, CROSS_ORIGIN),
    "none.ES256.topOrigin": (CROSS_ORIGIN, CROSS_ORIGIN, CROSS_ORIGIN),
    "none.ES256.long-credential-id": (NOT_VERIFIED, NOT_VERIFIED, ACCEPTED),
    "packed.ES256": (STATEMENT, ACCEPTED, ACCEPTED),
    "packed.ES384": (STATEMENT, NOT_VERIFIED, None),
    "packed.ES512": (STATEMENT, NOT_OFFERED, None),
    "packed.RS256": (STATEMENT, ACCEPTED, NOT_VERIFIED),
    "packed.EdDSA": (STATEMENT, NOT_VERIFIED, NOT_VERIFIED),
    "packed.Ed448": (STATEMENT, NOT_VERIFIED, None),
    "tpm.ES256": (STATEMENT, ACCEPTED, ACCEPTED),
    "android-key.ES256": (STATEMENT, ACCEPTED, NOT_VERIFIED),
    "apple.ES256": (STATEMENT, NOT_VERIFIED, NOT_VERIFIED),
    "fido-u2f.ES256": (STATEMENT, NOT_VERIFIED, NOT_VERIFIED),
}


@pytest.fixture(autouse=True)
def example_org(make_app):
    """Run the test on the site that the vectors were made for."""
    app = make_app(**PUBLIC)
    with app.app_context():
        yield app


def test_there_is_a_policy_for_every_vector():
    assert list(POLICY) == list(VECTORS)


@pytest.mark.parametrize("name", VECTORS)
def test_registration_has_the_outcome_of_our_policy(name):
    assert outcome_of(lambda: register(VECTORS[name], with_statement=True)) == POLICY[name][0]


@pytest.mark.parametrize("name", VECTORS)
def test_registration_without_a_statement_has_the_outcome_of_our_policy(name):
    assert outcome_of(lambda: register(VECTORS[name], with_statement=False)) == POLICY[name][1]


@pytest.mark.parametrize("name", [name for name in VECTORS if POLICY[name][2]])
def test_authentication_has_the_outcome_of_our_policy(name):
    assert outcome_of(lambda: authenticate(VECTORS[name])) == POLICY[name][2]


@pytest.mark.parametrize("name", [name for name in VECTORS if POLICY[name][2] not in (None, CROSS_ORIGIN)])
def test_vector_passes_without_our_policy(name):
    """Without a statement, and without the need for user verification, every key of an algorithm that we offer
    registers unchanged, and signs in."""
    vector = VECTORS[name]
    registered = register(vector, with_statement=False, user_verification=False)
    assert registered.credential_id.hex() == vector["registration"]["credential_id"]
    assert registered.aaguid.replace("-", "") == vector["registration"]["aaguid"]
    assert authenticate(vector, user_verification=False).credential_id == registered.credential_id


@pytest.mark.parametrize("name", ["packed.ES384", "packed.ES512", "packed.Ed448"])
def test_other_algorithms_are_refused_without_our_policy(name):
    assert outcome_of(lambda: register(VECTORS[name], with_statement=False, user_verification=False)) == NOT_OFFERED


@pytest.mark.parametrize("name", [name for name in VECTORS if POLICY[name][2]])
def test_signature_with_one_bit_changed_is_refused(name):
    vector = VECTORS[name]
    signature = bytearray.fromhex(vector["authentication"]["signature"])
    signature[-1] ^= 1
    changed = vector | {"authentication": vector["authentication"] | {"signature": signature.hex()}}
    expected = CROSS_ORIGIN if POLICY[name][2] == CROSS_ORIGIN else "wrong_signature"
    assert outcome_of(lambda: authenticate(changed, user_verification=False)) == expected


def outcome_of(ceremony: Callable[[], object]) -> str:
    """Run a ceremony. Return ACCEPTED, or the reason for which it is refused."""
    try:
        with Attempt(REGISTRATION, ""):
            ceremony()
    except CeremonyError as error:
        return error.reason
    return ACCEPTED


def register(vector: dict, with_statement: bool, user_verification: bool = True):
    """Register as the vector does."""
    attestation_object = bytes.fromhex(vector["registration"]["attestationObject"])
    if not with_statement:
        attestation = cbor2.loads(attestation_object)
        attestation_object = cbor2.dumps(attestation | {"fmt": "none", "attStmt": {}})
    response = {
        "clientDataJSON": base64url(vector["registration"]["clientDataJSON"]),
        "attestationObject": encode(attestation_object),
    }
    return verification.verify_registration(
        credential(vector, response), expectation(vector["registration"], user_verification)
    )


def authenticate(vector: dict, user_verification: bool = True):
    """Authenticate as the vector does, with the public key of its registration."""
    registered = parse_attestation_object(bytes.fromhex(vector["registration"]["attestationObject"])).auth_data
    assert registered.attested_credential_data
    response = {
        name: base64url(vector["authentication"][name]) for name in ("clientDataJSON", "authenticatorData", "signature")
    }
    return verification.verify_authentication(
        credential(vector, response),
        expectation(vector["authentication"], user_verification),
        public_key=registered.attested_credential_data.credential_public_key,
        backup_eligible=registered.flags.be,
    )


def credential(vector: dict, response: dict) -> dict:
    """Return the credential as toJSON() makes it."""
    id = base64url(vector["registration"]["credential_id"])
    return {"id": id, "rawId": id, "type": "public-key", "clientExtensionResults": {}, "response": response}


def expectation(ceremony: dict, user_verification: bool) -> dict:
    """Return what `open_response` returns for our own challenges. The vectors' challenges are no tokens."""
    return {
        "expected_challenge": bytes.fromhex(ceremony["challenge"]),
        "expected_rp_id": "example.org",
        "expected_origin": "https://example.org",
        "require_user_verification": user_verification,
    }


def base64url(hexadecimal: str) -> str:
    """Return hexadecimal text of a vector as base64url, as browsers write it."""
    return encode(bytes.fromhex(hexadecimal))
