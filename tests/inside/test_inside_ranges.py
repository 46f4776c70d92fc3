"""The bytes of a ceremony: every byte has a name, and CBOR is read as cbor2 and CTAP2 have it."""

import json
from contextlib import suppress

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authenticator import EDDSA, ES256, RS256, Authenticator, decode
from learn.inside import ranges
from learn.inside.ranges import read_cbor
from tests.conftest import ROOT
from tests.malformed import NOT_CANONICAL, unfolding_cbor

VECTORS = {
    vector["name"]: vector for vector in json.loads((ROOT / "tests" / "vectors" / "w3c-webauthn-l3.json").read_text())
}

READERS = {
    "authenticator data": ranges.authenticator_data,
    "attestation object": ranges.attestation_object,
    "COSE key": ranges.cose_key,
    "ES256": lambda data: ranges.signature(data, ES256),
    "EdDSA": lambda data: ranges.signature(data, EDDSA),
    "RS256": lambda data: ranges.signature(data, RS256),
    "another algorithm": lambda data: ranges.signature(data, -47),
}

OPTIONS = {
    "challenge": "AAAA",
    "rp": {"id": "localhost"},
    "user": {"id": "AAAA", "name": "ada@example.org"},
    "pubKeyCredParams": [{"alg": algorithm} for algorithm in (EDDSA, ES256, RS256)],
}


def attestation_object(**knobs) -> bytes:
    """Return what an authenticator writes."""
    return decode(Authenticator(**knobs).create(OPTIONS, attestation="packed")["response"]["attestationObject"])


def named(found: list[ranges.Range]) -> dict[str, ranges.Range]:
    """Return the ranges by name. Asserts that each name occurs once."""
    by_name = {range.name: range for range in found}
    assert len(by_name) == len(found)
    return by_name


def check_joined(found: list[ranges.Range], data: bytes) -> None:
    """Assert that the ranges follow each other, and are the whole input."""
    assert b"".join(range.data for range in found) == data
    assert [range.start for range in found] == [0, *(range.end for range in found[:-1])][: len(found)]


# Complete.


@pytest.mark.parametrize("name", VECTORS)
def test_every_byte_of_the_vectors_is_named(name):
    vector = VECTORS[name]
    attestation = ranges.attestation_object(bytes.fromhex(vector["registration"]["attestationObject"]))
    assert [range.name for range in attestation] == ["head", "fmt", "attStmt", "authData"]
    data = ranges.authenticator_data(named(attestation)["authData"].value)
    ids = ["aaguid", "credential_id_length", "credential_id", "public_key"]
    assert [range.name for range in data] == ["rp_id_hash", "flags", "counter", *ids]
    assert named(data)["credential_id"].data.hex() == vector["registration"]["credential_id"]
    key = ranges.cose_key(named(data)["public_key"].data)
    assert [range.name for range in key] in (
        ["head", "kty", "alg", "crv", "x", "y"],
        ["head", "kty", "alg", "crv", "x"],
        ["head", "kty", "alg", "n", "e"],
    )
    assertion = bytes.fromhex(vector["authentication"]["authenticatorData"])
    assert [range.name for range in ranges.authenticator_data(assertion)] == ["rp_id_hash", "flags", "counter"]


def test_values_are_decoded():
    data = named(ranges.attestation_object(attestation_object()))["authData"].value
    found = named(ranges.authenticator_data(data))
    flags = {"UP": True, "RFU1": False, "UV": True, "BE": True, "BS": True, "RFU2": False, "AT": True, "ED": False}
    assert (found["flags"].value, found["counter"].value, found["credential_id_length"].value) == (flags, 0, 32)
    key = named(ranges.cose_key(found["public_key"].data))
    assert (key["kty"].value, key["alg"].value, key["crv"].value, len(key["x"].value)) == (2, ES256, 1, 32)


@pytest.mark.parametrize(
    ("algorithm", "names"),
    [(ES256, ["header", "r_header", "r", "s_header", "s"]), (EDDSA, ["r", "s"]), (RS256, ["s"])],
)
def test_signature_is_taken_apart(algorithm, names):
    phone = Authenticator(algorithm=algorithm)
    phone.create(OPTIONS)
    signature = decode(phone.get({"challenge": "AAAA"})["response"]["signature"])
    found = ranges.signature(signature, algorithm)
    assert [range.name for range in found] == names
    check_joined(found, signature)


def test_data_after_the_end_is_the_rest():
    data = attestation_object()
    assert named(ranges.attestation_object(data + b"more"))["rest"].data == b"more"
    assert named(ranges.authenticator_data(bytes(37) + b"more"))["rest"].start == 37


@pytest.mark.parametrize("kept", [0, 10, 32, 33, 36, 37, 50, 54, 60, 88, 100])
def test_truncated_authenticator_data_is_read_as_far_as_it_goes(kept):
    whole = ranges.authenticator_data(named(ranges.attestation_object(attestation_object()))["authData"].value)
    data = b"".join(range.data for range in whole)[:kept]
    found = ranges.authenticator_data(data)
    check_joined(found, data)
    readable = [range for range in found if range.name != "unreadable"]
    assert readable == whole[: len(readable)]
    assert whole[len(readable)].end > kept


# Any bytes.


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
@settings(max_examples=150, deadline=None, database=None)
@given(st.binary(max_size=300))
def test_ranges_of_any_bytes_are_those_bytes(read, data):
    check_joined(read(data), data)


SAMPLES = [attestation_object(), attestation_object(algorithm=EDDSA)]
CHANGES = st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), max_size=3)


@settings(max_examples=200, deadline=None, database=None)
@given(st.sampled_from(SAMPLES), CHANGES)
def test_ranges_of_changed_bytes_are_those_bytes(sample, changes):
    changed = bytearray(sample)
    for place, value in changes:
        changed[place % len(changed)] = value
    found = ranges.attestation_object(bytes(changed))
    check_joined(found, bytes(changed))
    for range in found:
        if isinstance(range.value, bytes):
            check_joined(ranges.authenticator_data(range.value), range.value)


# CBOR.

SCALARS = st.none() | st.booleans() | st.integers(-(2**64), 2**64 - 1) | st.text(max_size=30) | st.binary(max_size=300)
# cbor2 sorts keys of different major types by length first, as RFC 7049 does. CTAP2 sorts them by type first.
KEYS = [st.integers(0, 2**64 - 1), st.text(max_size=10)]
VALUES = st.one_of(
    SCALARS,
    st.tuples(SCALARS, SCALARS),
    *(st.dictionaries(keys, SCALARS | st.tuples(SCALARS), max_size=4) for keys in KEYS),
)


@settings(max_examples=200, deadline=None, database=None)
@given(VALUES)
def test_cbor_is_read_as_cbor2_wrote_it(value):
    data = cbor2.dumps(value, canonical=True)
    item = read_cbor(b"before" + data + b"after", len(b"before"))
    assert (item.value, item.end, item.is_canonical) == (value, len(b"before" + data), True)


@settings(max_examples=300, deadline=None, database=None)
@given(st.binary(min_size=1, max_size=20))
def test_bytes_that_are_read_as_cbor_are_cbor(data):
    try:
        end = read_cbor(data).end
    except ValueError:
        return
    cbor2.loads(data[:end])


@pytest.mark.parametrize("data", NOT_CANONICAL)
def test_cbor_in_another_form_is_not_canonical(data):
    # Some are refused: an indefinite length, a tag, a key twice.
    with suppress(ValueError):
        assert not read_cbor(bytes.fromhex(data)).is_canonical


MALFORMED = {
    "": "cut short",
    "19": "cut short",
    "1900": "cut short",
    "42ff": "cut short",
    "a100": "cut short",
    "5bffffffffffffffff": "cut short",
    "9bffffffffffffffff": "cut short",
    "61ff": "utf-8",
    "f800": "a simple value in two bytes",
    "1c": "a tag, or an indefinite length",
    "9fff": "a tag, or an indefinite length",
    "c000": "a tag, or an indefinite length",
    "8181818180": "nested too deep",
    "a200000000": "a key twice",
    "a1a000": "a map as a key",
}


@pytest.mark.parametrize(("data", "reason"), MALFORMED.items())
def test_malformed_cbor_is_refused(data, reason):
    with pytest.raises(ValueError, match=reason):
        read_cbor(bytes.fromhex(data))


def test_cbor_that_unfolds_into_gigabytes_is_refused():
    with pytest.raises(ValueError, match="a tag"):
        read_cbor(unfolding_cbor())
