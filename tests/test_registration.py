"""Creating a passkey: the responses that are accepted, and the reasons for which others are refused.

test_ceremonies.py has the reasons that signing in shares, and says how a response is refused.
"""

from collections.abc import Callable

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from app import passkeys
from app.models import Passkey
from authenticator import (
    BE,
    EDDSA,
    ES256,
    MISSING,
    RS256,
    UP,
    UV,
    Authenticator,
    InvalidStateError,
    changed,
    cose_key,
    decode,
    encode,
    respelled,
)
from tests.conftest import Visitor, expect, rows
from tests.malformed import unfolding_cbor

# On localhost, the sentence ends with help for developers.
VAGUE = (
    "The passkey could not be added. Nothing has changed. Please try again. No fingerprint reader or screen lock? "
    "Chrome’s developer tools have a virtual one. The doctor says how to turn it on, and what this browser can do."
)

SMALL_RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key()


@pytest.fixture
def ada(visitor):
    """Return Ada, who has signed in by email and has no passkey yet."""
    visitor.sign_in_by_link("ada@example.org")
    return visitor


@pytest.fixture
def bob(stranger):
    """Return Bob, who is signed in at another browser."""
    stranger.sign_in_by_link("bob@example.org")
    return stranger


@pytest.fixture
def refuses(ada, reasons, unchanged) -> Callable[..., None]:
    """Assert that Ada's response is refused for `reason`. It spends its challenge and changes nothing else."""

    def check(credential: object, reason: str, spent: int = 1, sentence: str = VAGUE) -> None:
        with unchanged(spent=spent):
            response = ada.register(credential)
        assert (response.status_code, reasons) == (400, [reason])
        assert ada.alert(response) == sentence

    return check


# The options.


def test_options_ask_for_a_discoverable_verified_passkey_and_no_attestation(ada):
    options = ada.creation_options()
    assert options["rp"] == {"id": "localhost", "name": "Latchkey"}
    assert options["attestation"] == "none"
    assert [parameters["alg"] for parameters in options["pubKeyCredParams"]] == [EDDSA, ES256, RS256]
    selection = options["authenticatorSelection"]
    assert (selection["residentKey"], selection["userVerification"]) == ("required", "required")
    # Security keys are allowed, too.
    assert "authenticatorAttachment" not in selection


def test_user_handle_is_64_random_bytes_and_stays(ada, bob):
    handles = [decode(visitor.creation_options()["user"]["id"]) for visitor in (ada, ada, bob)]
    assert [len(handle) for handle in handles] == [64, 64, 64]
    assert handles[0] == handles[1] != handles[2]


def test_device_with_a_passkey_is_asked_to_make_no_second(ada, phone):
    ada.make_passkey(phone)
    assert ada.creation_options()["excludeCredentials"] == [
        {"id": encode(phone.credentials[0].id), "type": "public-key", "transports": ["hybrid", "internal"]}
    ]
    with pytest.raises(InvalidStateError):
        phone.create(ada.creation_options())


# Responses that are accepted.


def test_passkey_is_added(ada, phone, app, events):
    response = ada.make_passkey(phone)
    assert response.location == "/account"
    assert "passkey_added" in [event.name for event in events]
    [passkey] = rows(app, Passkey)
    assert passkey.credential_id == phone.credentials[0].id
    assert (passkey.backup_eligible, passkey.backup_state) == (True, True)
    assert (passkey.sign_count, passkey.transports) == (0, "hybrid internal")
    assert passkey.last_used_at is None


@pytest.mark.parametrize("algorithm", [EDDSA, ES256, RS256])
def test_every_algorithm_that_was_offered_registers(ada, algorithm, app):
    ada.make_passkey(Authenticator(algorithm=algorithm))
    assert len(rows(app, Passkey)) == 1


@pytest.mark.parametrize("algorithm", [EDDSA, ES256, RS256])
def test_self_attestation_is_accepted(ada, algorithm, app):
    ada.make_passkey(Authenticator(algorithm=algorithm), attestation="packed")
    assert len(rows(app, Passkey)) == 1


def test_security_key_registers_with_its_counter(ada, app):
    ada.make_passkey(Authenticator(synced=False), sign_count=2**32 - 1)
    [passkey] = rows(app, Passkey)
    assert (passkey.backup_eligible, passkey.backup_state) == (False, False)
    assert (passkey.sign_count, passkey.transports) == (2**32 - 1, "usb")


def test_passkey_that_is_not_synced_yet_registers(ada, phone, app):
    ada.make_passkey(phone, flags=UP | UV | BE)
    [passkey] = rows(app, Passkey)
    assert (passkey.backup_eligible, passkey.backup_state) == (True, False)


def test_attestation_object_in_any_order_is_accepted(ada, phone, app):
    """Browsers and password managers write it. Only the authenticator data in it has one form."""

    def rewritten(data: bytes) -> bytes:
        members = cbor2.loads(data)
        items = [cbor2.dumps(name) + cbor2.dumps(members[name]) for name in ("authData", "fmt", "attStmt")]
        return b"\xb8\x03" + b"".join(items)  # This writes the number of members in more bytes than it needs.

    ada.make_passkey(phone, mangle={"attestationObject": rewritten})
    assert len(rows(app, Passkey)) == 1


def test_client_data_with_more_members_is_accepted(ada, phone, app):
    """L3 5.8.1.3: there may be more members one day. Some browsers add one, to find servers that fail on it."""
    ada.make_passkey(phone, client_data={"other_keys_can_be_added_here": "do not compare against a template"})
    assert len(rows(app, Passkey)) == 1


def test_credential_id_of_1023_bytes_is_accepted(ada, phone, app):
    ada.make_passkey(phone, credential_id=bytes(1023))
    assert len(rows(app, Passkey)[0].credential_id) == 1023


def test_unknown_transports_are_left_out(ada, phone, app):
    told = ["usb", "telepathy", 5, None, "ble"]
    ada.register(changed(phone.create(ada.creation_options()), "transports", told))
    assert rows(app, Passkey)[0].transports == "ble usb"


def test_response_without_transports_is_accepted(ada, phone, app):
    ada.register(changed(phone.create(ada.creation_options()), "transports", MISSING))
    assert rows(app, Passkey)[0].transports == ""


def test_account_may_have_several_passkeys(ada, app):
    for _ in range(3):
        ada.make_passkey(Authenticator())
    assert len(rows(app, Passkey)) == 3


# The challenge.


def test_challenge_of_another_user_is_refused(ada, bob, phone, refuses):
    options = ada.creation_options() | {"challenge": bob.creation_options()["challenge"]}
    refuses(phone.create(options), "bound_to_another_session", spent=0)


def test_passkey_beyond_the_limit_is_refused(ada, refuses, monkeypatch):
    monkeypatch.setattr(passkeys, "MOST_PASSKEYS", 3)
    for _ in range(2):
        ada.make_passkey(Authenticator())
    begun = ada.creation_options()
    ada.make_passkey(Authenticator())
    sentence = "This account can’t have more passkeys. Remove one that you don’t use, and try again."
    refuses(Authenticator().create(begun), "enough_passkeys", sentence=sentence)
    # The device isn't asked to make another one.
    expect(ada.post("/account/passkeys/options"), 403)
    assert ada.alert(expect(ada.post("/account/passkeys"), 400)) == sentence


def test_challenge_of_another_session_is_refused(ada, phone, refuses):
    other = Visitor(ada.app)
    other.sign_in_by_link("ada@example.org")
    refuses(phone.create(other.creation_options()), "bound_to_another_session", spent=0)


def test_challenge_works_once(ada, phone, refuses):
    options = ada.creation_options()
    ada.register(phone.create(options))
    sentence = "This works only once, and it was used already. Please try again."
    refuses(Authenticator().create(options), "already_used", spent=0, sentence=sentence)


@pytest.mark.parametrize("id", [MISSING, 5, "not base64url!"])
def test_used_challenge_stays_the_reason_if_the_id_cannot_be_read(ada, phone, refuses, id):
    """Here the site reads the id only to have the device forget the passkey."""
    options = ada.creation_options()
    ada.register(phone.create(options))
    late = changed(Authenticator().create(options), "rawId", id)
    sentence = "This works only once, and it was used already. Please try again."
    refuses(late, "already_used", spent=0, sentence=sentence)


# The credential's id: L3 7.1 steps 25 and 26.


def test_credential_id_of_1024_bytes_is_refused(ada, phone, refuses):
    refuses(phone.create(ada.creation_options(), credential_id=bytes(1024)), "credential_id_too_long")


def test_outer_id_that_is_not_the_attested_id_is_refused(ada, phone, refuses):
    credential = phone.create(ada.creation_options())
    refuses(credential | {"id": encode(bytes(32)), "rawId": encode(bytes(32))}, "credential_id_mismatch")


def test_passkey_of_this_account_is_refused_a_second_time(ada, phone, refuses):
    ada.make_passkey(phone)
    credential = Authenticator().create(ada.creation_options(), credential_id=phone.credentials[0].id)
    refuses(credential, "duplicate_credential", sentence="This passkey is registered already.")


def test_passkey_of_another_account_is_refused(ada, bob, phone, refuses):
    """Credential ids are no secret. Somebody who knows one must not take it over, nor lock its owner out."""
    bob.make_passkey(phone)
    credential = Authenticator().create(ada.creation_options(), credential_id=phone.credentials[0].id)
    refuses(credential, "duplicate_credential", sentence="This passkey is registered already.")
    bob.sign_out()
    bob.sign_in_by_passkey(phone)


# Extension outputs.


def test_passkey_that_is_not_discoverable_is_refused(ada, phone, refuses):
    """Autofill would never offer it."""
    outputs = {"credProps": {"rk": False}}
    refuses(phone.create(ada.creation_options()) | {"clientExtensionResults": outputs}, "not_discoverable")


@pytest.mark.parametrize("outputs", [{}, {"credProps": {}}, {"credProps": {"rk": True}}, MISSING], ids=str)
def test_passkey_is_added_unless_the_browser_says_that_it_is_not_discoverable(ada, phone, app, outputs):
    ada.register(changed(phone.create(ada.creation_options()), "clientExtensionResults", outputs))
    assert len(rows(app, Passkey)) == 1


@pytest.mark.parametrize("outputs", [None, 5, "text", [], {"credProps": None}, {"credProps": []}, {"credProps": "rk"}])
def test_malformed_extension_results_are_refused(ada, phone, refuses, outputs):
    credential = changed(phone.create(ada.creation_options()), "clientExtensionResults", outputs)
    refuses(credential, "malformed_response")


# The attestation statement: L3 7.1 steps 21 to 24. The site asks for none, and trusts none.


@pytest.mark.parametrize(
    "format", ["tpm", "android-key", "android-safetynet", "fido-u2f", "apple", "compound", "", None]
)
def test_another_attestation_format_is_refused(ada, phone, refuses, format):
    refuses(phone.create(ada.creation_options(), attestation=(format, {})), "attestation_not_accepted")


def test_statement_with_a_makers_certificates_is_refused(ada, phone, refuses):
    """The real one of the specification's test vectors is refused in test_vectors.py."""
    statement = {"alg": ES256, "sig": b"signature", "x5c": [b"certificate"]}
    refuses(phone.create(ada.creation_options(), attestation=("packed", statement)), "attestation_not_accepted")


@pytest.mark.parametrize("statement", [{"alg": ES256}, {"sig": b""}, {"": None}, [], 0, None, b"", ""])
def test_attestation_of_none_with_a_statement_is_refused(ada, phone, refuses, statement):
    refuses(phone.create(ada.creation_options(), attestation=("none", statement)), "attestation_not_accepted")


def test_self_attestation_signed_with_another_key_is_refused(ada, phone, refuses):
    other_key = cose_key(ec.generate_private_key(ec.SECP256R1()).public_key(), ES256)
    credential = phone.create(ada.creation_options(), attestation="packed", public_key=other_key)
    refuses(credential, "wrong_signature")


def test_self_attestation_by_another_algorithm_is_refused(ada, phone, refuses):
    statement = {"alg": EDDSA, "sig": b"signature"}
    refuses(phone.create(ada.creation_options(), attestation=("packed", statement)), "malformed_attestation")


@pytest.mark.parametrize("statement", [{}, {"alg": ES256}, {"sig": b"signature"}, {"alg": ES256, "sig": 5}])
def test_self_attestation_without_a_signature_is_refused(ada, phone, refuses, statement):
    refuses(phone.create(ada.creation_options(), attestation=("packed", statement)), "malformed_attestation")


@pytest.mark.parametrize("statement", [[], None, "x5c", ["x5c"]], ids=repr)
def test_statement_that_is_not_a_map_is_refused(ada, phone, refuses, statement):
    refuses(phone.create(ada.creation_options(), attestation=("packed", statement)), "attestation_not_accepted")


# The key: L3 7.1 step 20. The site loads each key before it stores it, so that every passkey can sign in.


@pytest.mark.parametrize("algorithm", [-35, -36, -37, -47, -65535, -9, 7])
def test_algorithm_that_was_not_offered_is_refused(ada, phone, refuses, algorithm):
    key = cose_key(ec.generate_private_key(ec.SECP256R1()).public_key(), algorithm)
    refuses(phone.create(ada.creation_options(), public_key=key), "algorithm_not_offered")


def test_point_off_the_curve_is_refused(ada, phone, refuses):
    key = cose_key(ec.generate_private_key(ec.SECP256R1()).public_key(), ES256) | {-3: bytes(31) + b"\x01"}
    refuses(phone.create(ada.creation_options(), public_key=key), "unusable_key")


def test_p384_key_labelled_es256_is_refused(ada, phone, refuses):
    key = cose_key(ec.generate_private_key(ec.SECP384R1()).public_key(), ES256)
    refuses(phone.create(ada.creation_options(), public_key=key), "unusable_key")


def test_p256_key_labelled_rs256_is_refused(ada, phone, refuses):
    key = cose_key(ec.generate_private_key(ec.SECP256R1()).public_key(), RS256)
    refuses(phone.create(ada.creation_options(), public_key=key), "unusable_key")


def test_rsa_key_with_exponent_one_is_refused(ada, phone, refuses):
    """With e = 1, everybody can sign."""
    key = {1: 3, 3: RS256, -1: b"\xff" * 256, -2: b"\x01"}
    refuses(phone.create(ada.creation_options(), public_key=key), "unusable_key")


def test_short_rsa_key_is_refused(ada, phone, refuses):
    refuses(phone.create(ada.creation_options(), public_key=cose_key(SMALL_RSA_KEY, RS256)), "unusable_key")


def test_rsa_key_too_long_to_be_used_is_refused(ada, phone, refuses):
    """OpenSSL doesn't verify signatures of more than 16384 bits."""
    key = {1: 3, 3: RS256, -1: b"\xff" * 4096, -2: b"\x01\x00\x01"}
    refuses(phone.create(ada.creation_options(), public_key=key), "unusable_key")


def test_short_ed25519_key_is_refused(ada, phone, refuses):
    key = cose_key(ed25519.Ed25519PrivateKey.generate().public_key(), EDDSA)
    refuses(phone.create(ada.creation_options(), public_key=key | {-2: key[-2][:31]}), "unusable_key")


@pytest.mark.parametrize("sign", [0, 0x80], ids=["positive", "negative"])
@pytest.mark.parametrize(
    "y",
    [
        # The list of libsodium's `ge25519_has_small_order`. Their orders are 4, 1, 8, 8, 2, 4 and 1.
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        # The first two once more, plus the prime 2**255 - 19.
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ],
)
def test_ed25519_key_of_small_order_is_refused(ada, phone, refuses, y, sign):
    """With such a key, some signatures verify that were made without a private key."""
    point = bytes.fromhex(y)
    key = {1: 1, 3: EDDSA, -1: 6, -2: point[:31] + bytes([point[31] | sign])}
    refuses(phone.create(ada.creation_options(), public_key=key), "weak_key")


def test_signature_without_a_private_key_verifies_with_a_key_of_order_one():
    """With such a key, a thief at an open session could add a passkey that everybody can use."""
    one = (1).to_bytes(32, "little")
    ed25519.Ed25519PublicKey.from_public_bytes(one).verify(one + bytes(32), b"any message")


def test_ed448_key_labelled_eddsa_is_refused(ada, phone, refuses):
    refuses(phone.create(ada.creation_options(), public_key={1: 1, 3: EDDSA, -1: 7, -2: bytes(57)}), "unusable_key")


# Malformed.


def test_second_text_for_the_same_bytes_is_refused(ada, phone, refuses):
    credential = phone.create(ada.creation_options())
    refuses(changed(credential, "rawId", respelled(credential["rawId"])), "not_base64url")


@pytest.mark.parametrize("value", [5, True])
def test_malformed_transports_are_refused(ada, phone, refuses, value):
    refuses(changed(phone.create(ada.creation_options()), "transports", value), "malformed_response")


@pytest.mark.parametrize(
    "data",
    [
        b"\xff",  # a break, with nothing to break
        b"\xa3",  # a map of three, and then nothing
        b"\x81" * 20_000,  # lists in lists
        b"\xa1\x00" * 20_000,  # maps in maps
        b"\x5b\x00\x00\x00\xff\xff\xff\xff\xff",  # a terabyte of bytes, announced
        b"\x9b\x00\x00\x00\xff\xff\xff\xff\xff",  # a terabyte of members, announced
        b"\xd8\x1d\x00",  # a reference to nothing
        b"\xa2\x00\x00\x00\x00",  # two members with one name
        b"\xbf\xff",  # a map of indefinite length
    ],
    ids=lambda data: data[:12].hex(),
)
def test_attestation_object_that_is_not_cbor_is_refused(ada, phone, refuses, data):
    credential = phone.create(ada.creation_options(), mangle={"attestationObject": lambda _: data})
    refuses(credential, "malformed_cbor")


@pytest.mark.parametrize("rest", [b"\0", b"\xa0", b"more"])
def test_attestation_object_with_bytes_after_it_is_refused(ada, phone, refuses, rest):
    credential = phone.create(ada.creation_options(), mangle={"attestationObject": lambda data: data + rest})
    refuses(credential, "malformed_cbor")


@pytest.mark.parametrize(
    "data",
    [
        None,
        5,
        "text",
        [],
        ["fmt", "attStmt", "authData"],
        {},
        {"fmt": "none", "attStmt": {}},
        {"fmt": "none", "authData": bytes(37)},
        {"attStmt": {}, "authData": bytes(37)},
        {"fmt": "none", "attStmt": {}, "authdata": bytes(37)},
        {"fmt": "none", "attStmt": {}, "authData": bytes(37), "epAtt": True},
    ],
    ids=repr,
)
def test_attestation_object_with_other_members_is_refused(ada, phone, refuses, data):
    credential = phone.create(ada.creation_options(), mangle={"attestationObject": lambda _: cbor2.dumps(data)})
    refuses(credential, "malformed_attestation")


def test_good_attestation_object_with_a_fourth_member_is_refused(ada, phone, refuses):
    fourth = {"attestationObject": lambda data: cbor2.dumps(cbor2.loads(data) | {"": 0})}
    refuses(phone.create(ada.creation_options(), mangle=fourth), "malformed_attestation")


@pytest.mark.parametrize("data", [None, "text", b"", bytes(36), {}, []], ids=repr)
def test_attestation_object_without_authenticator_data_is_refused(ada, phone, refuses, data):
    attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
    credential = phone.create(ada.creation_options(), mangle={"attestationObject": lambda _: attestation})
    refuses(credential, "malformed_authenticator_data")


@pytest.mark.parametrize("kept", [36, 37, 52, 53, 54, 55, 60, 86, 87])
def test_truncated_authenticator_data_is_refused(ada, phone, refuses, kept):
    """The parts end at these bytes: 37, the AAGUID at 53, the id's length at 55, an id of 32 bytes at 87."""
    credential = phone.create(ada.creation_options(), mangle={"authenticatorData": lambda data: data[:kept]})
    refuses(credential, "malformed_authenticator_data")


@pytest.mark.parametrize("kept", [1, 2, 9, 10, 11, -33, -1])
def test_truncated_key_is_refused(ada, phone, refuses, kept):
    credential = phone.create(ada.creation_options(), mangle={"publicKey": lambda key: key[:kept]})
    refuses(credential, "malformed_cbor")


def test_authenticator_data_without_a_credential_is_refused(ada, phone, refuses):
    """The flag AT is off, and so the data ends after 37 bytes."""
    flags_at = 32
    without = {"authenticatorData": lambda data: data[:flags_at] + bytes([UP | UV]) + data[flags_at + 1 : 37]}
    refuses(phone.create(ada.creation_options(), mangle=without), "malformed_authenticator_data")


@pytest.mark.parametrize("key", [0, 4, -7, b"", "", []], ids=repr)  # 4 is the first byte of an uncompressed point.
def test_key_that_is_not_a_map_is_refused(ada, phone, refuses, key):
    refuses(phone.create(ada.creation_options(), public_key=key), "malformed_authenticator_data")


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ({}, "unusable_key"),
        ({1: 2}, "unusable_key"),
        ({3: ES256}, "unusable_key"),
        ({1: 2, 3: 0}, "unusable_key"),
        ({1: 2, 3: ES256}, "unusable_key"),
        ({1: 2, 3: ES256, -1: 1, -2: bytes(32)}, "unusable_key"),
        ({1: 2, 3: ES256, -1: 1, -2: 5, -3: 5}, "unusable_key"),
        ({1: 2, 3: ES256, -1: 1, -2: "text", -3: "text"}, "unusable_key"),
        ({1: 2, 3: ES256, -1: 99, -2: bytes(32), -3: bytes(32)}, "unusable_key"),
        ({1: "OKP", 3: EDDSA, -1: "Ed25519"}, "malformed_cbor"),  # The library would repair this key.
        ({1: "OKP", 3: EDDSA, -1: 6}, "unusable_key"),
        ({1: 1, 3: EDDSA, -1: 6, -2: "text"}, "unusable_key"),
        ({1: 3, 3: RS256, -1: b"", -2: b""}, "unusable_key"),
        ({1: 3, 3: RS256, -1: 5, -2: 5}, "unusable_key"),
        ({1: 99, 3: ES256}, "unusable_key"),
        ({1: 7, 3: -48, -1: b""}, "unusable_key"),
        ({1: 7, 3: -48, -1: b"key"}, "algorithm_not_offered"),
        ({1: [], 3: []}, "unusable_key"),
        ({1: 2, 3: "ES256", -1: 1, -2: bytes(32), -3: bytes(32)}, "algorithm_not_offered"),
    ],
    ids=repr,
)
def test_malformed_key_is_refused(ada, phone, refuses, key, reason):
    refuses(phone.create(ada.creation_options(), public_key=key), reason)


def test_key_that_the_library_would_repair_is_refused_before_it_reads_anything(ada, phone, refuses):
    """The repaired bytes would not be those that the site has checked."""
    key, wrong = {1: "OKP", 3: EDDSA, -1: "Ed25519"}, {"origin": "https://evil.example"}
    refuses(phone.create(ada.creation_options(), public_key=key, client_data=wrong), "malformed_cbor")


@pytest.mark.parametrize("form", ["long head", "indefinite length", "keys in another order", "a key twice", "a tag"])
def test_key_that_is_not_canonical_is_refused(ada, phone, refuses, form):
    """The same key in another form. An ES256 key is a map with five members: 1, 3, -1, -2 and -3."""

    def rewritten(key: bytes) -> bytes:
        # The map's head, `1: 2`, `3: -7`, and the rest.
        head, type, algorithm, rest = key[:1], key[1:3], key[3:5], key[5:]
        assert (head, type, algorithm) == (b"\xa5", b"\x01\x02", b"\x03\x26")
        return {
            "long head": b"\xb8\x05" + type + algorithm + rest,
            "indefinite length": b"\xbf" + type + algorithm + rest + b"\xff",
            "keys in another order": head + algorithm + type + rest,
            "a key twice": b"\xa6" + type + type + algorithm + rest,
            "a tag": b"\xd9\xd9\xf7" + key,
        }[form]

    reason = "malformed_authenticator_data" if form == "a tag" else "malformed_cbor"
    refuses(phone.create(ada.creation_options(), mangle={"publicKey": rewritten}), reason)


def test_key_that_unfolds_into_gigabytes_is_refused(ada, phone, refuses):
    """The library writes a key out again after it has read it."""
    key = cose_key(ec.generate_private_key(ec.SECP256R1()).public_key(), ES256) | {99: "here"}
    unfold = {"authenticatorData": lambda data: data.replace(cbor2.dumps("here"), unfolding_cbor())}
    refuses(phone.create(ada.creation_options(), public_key=key, mangle=unfold), "malformed_cbor")


def test_statement_that_unfolds_into_gigabytes_is_refused(ada, phone, refuses, events):
    """The library prints an algorithm that isn't the key's."""
    statement = {"alg": "here", "sig": b"signature"}
    unfold = {"attestationObject": lambda data: data.replace(cbor2.dumps("here"), unfolding_cbor())}
    credential = phone.create(ada.creation_options(), attestation=("packed", statement), mangle=unfold)
    refuses(credential, "malformed_cbor")
    assert "[[[" not in str(events)


# Visitors who aren't signed in.


def test_visitor_who_is_not_signed_in_cannot_add_a_passkey(ada, phone, stranger, reasons, unchanged):
    credential = phone.create(ada.creation_options())
    with unchanged():
        response = stranger.register(credential)
    assert (response.status_code, reasons) == (401, ["not_signed_in"])


def test_visitor_who_has_signed_out_cannot_add_a_passkey(ada, phone, reasons, unchanged):
    tab, credential = ada.twin(), phone.create(ada.creation_options())
    ada.sign_out()
    with unchanged():
        response = tab.register(credential)
    assert (response.status_code, reasons) == (401, ["not_signed_in"])
