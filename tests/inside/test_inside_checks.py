"""The checks of Look inside: the verdicts that altered responses ought to get, and the places that the checks name.

tests/conftest.py compares them with the site's verdict, on every response that any test sends. But both could be wrong
in the same way. So the verdicts here are the specification's, and no site is asked.
"""

import ast
import json
import re
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from app.ceremonies.attempts import REASONS, Facts
from authenticator import (
    BE,
    BS,
    ED,
    EDDSA,
    ES256,
    MISSING,
    RS256,
    UP,
    UV,
    Authenticator,
    changed,
    cose_key,
    decode,
    encode,
    respelled,
)
from learn.inside import checks
from learn.inside.ceremonies import Ceremony
from tests.conftest import ROOT
from tests.inside.agreement import UNREAD, verdict
from tests.test_refusals import MODULES, called, texts
from tests.test_vectors import CROSS_ORIGIN, POLICY, VECTORS, base64url, credential

ASKED, ARRIVED = 1_800_000_000_000, 1_800_000_008_000
ACCOUNT = {"user_handle": encode(b"h" * 64), "email": "ada@example.org", "is_disabled": False}
CREATION_OPTIONS = {
    "challenge": encode(b"a question"),
    "rp": {"id": "localhost", "name": "Latchkey"},
    "user": {"id": ACCOUNT["user_handle"], "name": "ada@example.org"},
    "pubKeyCredParams": [{"type": "public-key", "alg": algorithm} for algorithm in (EDDSA, ES256, RS256)],
    "authenticatorSelection": {"userVerification": "required"},
}
REQUEST_OPTIONS = {"challenge": encode(b"a question"), "rpId": "localhost", "userVerification": "required"}
FACTS = Facts(
    origin="http://localhost:8000",
    rp_id="localhost",
    bound_to="session",
    issued_at=ASKED,
    arrived_at=ARRIVED,
    are_options_as_sent=True,
    account=ACCOUNT,
)

P256, P384 = (ec.generate_private_key(curve()).public_key() for curve in (ec.SECP256R1, ec.SECP384R1))
RSA_1024 = rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key()


def registration(
    alter: Callable[[dict], dict] = lambda response: response, phone: Authenticator | None = None, **knobs
) -> Ceremony:
    """Return a registration with this fault, as a transcript has it."""
    response = alter((phone or Authenticator()).create(CREATION_OPTIONS, **knobs))
    proof = {"has_mark": True, "proved_at": ASKED - 60_000, "recovering_until": None}
    facts = replace(FACTS, options=CREATION_OPTIONS, passkeys=0, proof=proof, is_duplicate=False)
    return Ceremony("registration", json.dumps(response), facts)


def sign_in(
    alter: Callable[[dict], dict] = lambda response: response,
    phone: Authenticator | None = None,
    kind: str = "authentication",
    **knobs,
) -> Ceremony:
    """Return a sign-in with this fault, as a transcript has it."""
    phone = phone or Authenticator()
    phone.create(CREATION_OPTIONS)
    key = phone.credentials[0].private_key.public_key()
    response = alter(phone.get(REQUEST_OPTIONS, **knobs))
    record = {
        "public_key": encode(cbor2.dumps(cose_key(key, phone.algorithm), canonical=True)),
        "sign_count": 5,
        "backup_eligible": phone.synced,
        "backup_state": phone.synced,
    }
    return Ceremony(kind, json.dumps(response), replace(FACTS, options=REQUEST_OPTIONS, lookup="found", passkey=record))


def failing(ceremony: Ceremony) -> str:
    """Return the key of the check that fails, or "" if each one passes."""
    results = checks.judge(ceremony)
    assert [result.check for result in results] == [*checks.CHECKS[ceremony.kind]]
    failed = [result for result in results if result.verdict == checks.FAILED]
    if not failed:
        assert {result.verdict for result in results} == {checks.PASSED}
        return ""
    # All before it have passed, and none after it was reached.
    at = results.index(failed[0])
    assert {result.verdict for result in results[:at]} <= {checks.PASSED}
    assert {result.verdict for result in results[at + 1 :]} <= {checks.NOT_REACHED}
    return failed[0].check.key


def part(name: str, change: Callable[[bytes], bytes]) -> dict[str, dict]:
    """Return the knob that changes the bytes of this part."""
    return {"mangle": {name: change}}


def set_to(name: str, value: object) -> dict[str, Callable[[dict], dict]]:
    """Return the knob that changes this member of the response."""
    return {"alter": lambda response: changed(response, name, value)}


def recoded(encoding: str) -> dict[str, dict]:
    return part("clientDataJSON", lambda data: data.decode().encode(encoding))


# Faults of both ceremonies: what is wrong, the knobs, and the check that ought to fail. "" is a response that must be
# accepted.
BOTH = {
    "nothing": ({}, ""),
    "another type": ({"client_data": {"type": "payment.get"}}, "type"),
    "another challenge": ({"client_data": {"challenge": encode(b"another")}}, "challenge"),
    "a challenge with other bits at its end": (
        {"client_data": {"challenge": respelled(encode(b"a question"))}},
        "answer",
    ),
    "another port": ({"client_data": {"origin": "http://localhost:6660"}}, "origin"),
    "another scheme": ({"client_data": {"origin": "https://localhost:8000"}}, "origin"),
    "a subdomain": ({"client_data": {"origin": "http://old.localhost:8000"}}, "origin"),
    "our origin with a slash": ({"client_data": {"origin": "http://localhost:8000/"}}, "origin"),
    "a list with our origin": ({"client_data": {"origin": ["http://localhost:8000"]}}, "origin"),
    "a frame": ({"client_data": {"crossOrigin": True}}, "framed"),
    "a page around ours": ({"client_data": {"topOrigin": "https://evil.example"}}, "framed"),
    "no word about frames": ({"client_data": {"crossOrigin": None}}, ""),
    # Level 2 had this member. The library reads it after the origin.
    "an unknown token binding": ({"client_data": {"tokenBinding": {"status": "x"}}}, "origin"),
    "a token binding without a status": ({"client_data": {"tokenBinding": {}}}, "complete"),
    "another port and an unknown token binding": (
        {"client_data": {"origin": "http://localhost:6660", "tokenBinding": {"status": "x"}}},
        "origin",
    ),
    # 5.8.1.3: there may be other members. 7.1 step 5: a byte order mark is dropped.
    "another member": ({"client_data": {"hello": "world"}}, ""),
    "a byte order mark": (part("clientDataJSON", lambda data: b"\xef\xbb\xbf" + data), ""),
    "two byte order marks": (part("clientDataJSON", lambda data: b"\xef\xbb\xbf" * 2 + data), "answer"),
    "UTF-16": (recoded("utf-16"), "answer"),
    "UTF-32 without a mark": (recoded("utf-32-le"), "answer"),
    "Latin-1": ({"client_data": {"x": "y"}} | part("clientDataJSON", lambda data: data + b"\xe9"), "answer"),
    "NaN": (part("clientDataJSON", lambda data: data.replace(b"false", b"NaN")), "answer"),
    "a comma too many": (part("clientDataJSON", lambda data: data.replace(b"}", b",}")), "answer"),
    "client data with a line break": (set_to("clientDataJSON", "AA\nAA"), "answer"),
    "client data as plain base64": (set_to("clientDataJSON", "+/+/"), "answer"),
    "another RP ID": ({"rp_id": "evil.example"}, "rp_id"),
    "our RP ID in capitals": ({"rp_id": "LOCALHOST"}, "rp_id"),
    "nobody there": ({"flags": UV | BE | BS}, "present"),
    "nobody verified": ({"flags": UP | BE | BS}, "verified"),
    "a backup that can't be": ({"flags": UP | UV | BS}, "backup_flags"),
    # 6.1: flags that are reserved for later have no meaning.
    "reserved flags": ({"flags": UP | UV | BE | BS | 0x22}, ""),
    "a byte too many": (part("authenticatorData", lambda data: data + b"\0"), "readable"),
    "a byte too few": (part("authenticatorData", lambda data: data[:-1]), "readable"),
    "extensions that nobody asked for": ({"extensions": cbor2.dumps({"credProtect": 2})}, ""),
    "extensions announced and missing": ({"flags": UP | UV | BE | BS | ED}, "readable"),
    "extensions that are a list": ({"extensions": cbor2.dumps(["credProtect"])}, "readable"),
    "extensions that are a number": ({"extensions": b"\0"}, "readable"),
    "extensions twice": ({"extensions": cbor2.dumps({"a": 1}) * 2}, "readable"),
    # CTAP 2.2, 8: keys in order, the shortest heads, no tags, four levels.
    "extensions in another order": ({"extensions": bytes.fromhex("a2616200616100")}, "readable"),
    "an extension with a long head": ({"extensions": bytes.fromhex("a161611801")}, "readable"),
    "an extension with a tag": ({"extensions": bytes.fromhex("a16161c001")}, "readable"),
    "an extension that is not UTF-8": ({"extensions": bytes.fromhex("a161ff01")}, "readable"),
    "an id with padding": ({"alter": lambda response: response | {"id": response["id"] + "="}}, "complete"),
    "two ids": ({"alter": lambda response: response | {"id": encode(bytes(32))}}, "complete"),
    "no id": (set_to("id", MISSING), "complete"),
    "no raw id": (set_to("rawId", MISSING), "credential_id"),
    "a password": (set_to("type", "password"), "complete"),
    "another way of attaching": (set_to("authenticatorAttachment", "wishful"), "complete"),
    "no word about attaching": (set_to("authenticatorAttachment", MISSING), ""),
    "JSON that is no object": ({"alter": lambda response: [response]}, "answer"),
}

CREATED = {
    "a key for another algorithm": ({"public_key": cose_key(P256, -47)}, "algorithm"),
    "a P-384 key labelled ES256": ({"public_key": cose_key(P384, ES256)}, "usable"),
    "a P-256 key labelled EdDSA": ({"public_key": cose_key(P256, EDDSA)}, "usable"),
    "a point off the curve": ({"public_key": cose_key(P256, ES256) | {-3: bytes(32)}}, "usable"),
    "a key without y": ({"public_key": {1: 2, 3: ES256, -1: 1, -2: bytes(32)}}, "algorithm"),
    "a compressed point": ({"public_key": cose_key(P256, ES256) | {-3: True}}, "usable"),
    "a short RSA key": ({"public_key": cose_key(RSA_1024, RS256)}, "usable"),
    "an RSA key with e = 1": ({"public_key": {1: 3, 3: RS256, -1: b"\xff" * 256, -2: b"\x01"}}, "usable"),
    "the neutral point": ({"public_key": {1: 1, 3: EDDSA, -1: 6, -2: b"\x01" + bytes(31)}}, "usable"),
    "a point of order 4": ({"public_key": {1: 1, 3: EDDSA, -1: 6, -2: bytes(32)}}, "usable"),
    "a point of order 8": (
        {
            "public_key": {
                **{1: 1, 3: EDDSA, -1: 6},
                -2: bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
            }
        },
        "usable",
    ),
    "self-attestation": ({"attestation": "packed"}, ""),
    "self-attestation with another key": (
        {"attestation": "packed", "public_key": cose_key(P256, ES256)},
        "self_signed",
    ),
    # 8.2: alg of the statement is that of the key.
    "self-attestation by another algorithm": ({"attestation": ("packed", {"alg": -8, "sig": b"s"})}, "self_signed"),
    "a maker's certificate": (
        {"attestation": ("packed", {"alg": ES256, "sig": b"s", "x5c": [b"certificate"]})},
        "statement",
    ),
    "another format": ({"attestation": ("apple", {})}, "statement"),
    "none with a statement": ({"attestation": ("none", {"alg": ES256})}, "statement"),
    "an attestation object in another order": (
        part("attestationObject", lambda data: cbor2.dumps(dict(reversed(cbor2.loads(data).items())))),
        "",
    ),
    "an attestation object and more": (part("attestationObject", lambda data: data + b"\xa0"), "readable"),
    "an attestation object of four": (
        part("attestationObject", lambda data: cbor2.dumps(cbor2.loads(data) | {"": 0})),
        "readable",
    ),
    "an id of 1023 bytes": ({"credential_id": bytes(1023)}, ""),
    "an id of 1024 bytes": ({"credential_id": bytes(1024)}, "credential_id"),
    "an id in the attestation that is another": (
        {"alter": lambda response: response | dict.fromkeys(("id", "rawId"), encode(bytes(32)))},
        "attested_id",
    ),
    "not discoverable": (set_to("clientExtensionResults", {"credProps": {"rk": False}}), "discoverable"),
    "no word about discoverable": (set_to("clientExtensionResults", {}), ""),
    "no transports": (set_to("transports", MISSING), ""),
    "transports that are a number": (set_to("transports", 5), "transports"),
    "a synced passkey that is not backed up yet": ({"flags": UP | UV | BE}, ""),
}

USED = {
    "another user handle": ({"user_handle": bytes(64)}, "owner"),
    "no user handle": (set_to("userHandle", MISSING), "user_handle"),
    "no backup any more": ({"flags": UP | UV | BE}, ""),
    "no backup possible any more": ({"flags": UP | UV}, "eligibility"),
    "a signature with one bit changed": (
        part("signature", lambda data: data[:-1] + bytes([data[-1] ^ 1])),
        "signature",
    ),
    "a signature and more": (part("signature", lambda data: data + b"\0"), "signature"),
    "no signature": (set_to("signature", MISSING), "readable"),
    # CVE-2022-21449: r and s are 0.
    "a signature of zeros": (part("signature", lambda _: bytes.fromhex("3006020100020100")), "signature"),
    "authenticator data that was not signed": (
        {"alter": lambda response: changed(response, "authenticatorData", other_counter(response))},
        "signature",
    ),
    # Step 22: a warning, and no refusal.
    "a counter that went back": ({"sign_count": 4}, ""),
    "a counter that stands still": ({"sign_count": 5}, ""),
    "a counter that goes on": ({"sign_count": 6}, ""),
}


def other_counter(response: dict) -> str:
    return encode(decode(response["response"]["authenticatorData"])[:36] + b"\x07")


@pytest.mark.parametrize("fault", BOTH | CREATED)
def test_altered_registration_gets_the_verdict_of_the_specification(fault):
    knobs, key = (BOTH | CREATED)[fault]
    assert failing(registration(**knobs)) == key


@pytest.mark.parametrize("kind", ["authentication", "confirmation"])
@pytest.mark.parametrize("fault", BOTH | USED)
def test_altered_sign_in_gets_the_verdict_of_the_specification(fault, kind):
    knobs, key = (BOTH | USED)[fault]
    # Step 6: if the user is known before, the authenticator may leave the handle out.
    expected = "" if (fault, kind) == ("no user handle", "confirmation") else key
    assert failing(sign_in(kind=kind, **knobs)) == expected


@pytest.mark.parametrize("algorithm", [EDDSA, ES256, RS256])
def test_each_algorithm_is_verified(algorithm):
    for attestation in ("none", "packed"):
        assert failing(registration(phone=Authenticator(algorithm=algorithm), attestation=attestation)) == ""
    assert failing(sign_in(phone=Authenticator(algorithm=algorithm))) == ""
    flipped = part("signature", lambda data: data[:-1] + bytes([data[-1] ^ 1]))
    assert failing(sign_in(phone=Authenticator(algorithm=algorithm), **flipped)) == "signature"


def test_random_keys_are_not_weak():
    """In test_registration.py, each key of small order is refused, and Look inside agrees."""
    for _ in range(100):
        assert not checks.keys.is_weak(ed25519.Ed25519PrivateKey.generate().public_key())


# The site's facts.

FACTS_THAT_FAIL = [
    ("registration", {"passkeys": 50}, "", "room", "enough_passkeys"),
    (
        "registration",
        {"proof": {"has_mark": False, "proved_at": ASKED, "recovering_until": None}},
        "",
        "proof",
        "not_proven",
    ),
    (
        "registration",
        {"proof": {"has_mark": True, "proved_at": ASKED - 600_000, "recovering_until": None}},
        "",
        "proof",
        "not_proven",
    ),
    (
        "registration",
        {"proof": {"has_mark": True, "proved_at": ARRIVED + 30_001, "recovering_until": ASKED}},
        "",
        "proof",
        "not_proven",
    ),
    ("registration", {"is_duplicate": True}, "", "new", "duplicate_credential"),
    ("registration", {"arrived_at": ASKED + 600_001}, "", "fresh", "expired"),
    ("authentication", {"lookup": "unknown"}, "", "known", "unknown_passkey"),
    ("authentication", {"lookup": "removed"}, "", "known", "removed_passkey"),
    ("confirmation", {"lookup": "other_account"}, "", "known", "other_account"),
    ("authentication", {"email": "eve@example.org"}, "", "address", "other_account"),
    ("authentication", {"account": ACCOUNT | {"is_disabled": True}}, "", "enabled", "account_disabled"),
    ("authentication", {"options": None}, "malformed_token", "challenge", "malformed_token"),
    ("authentication", {"issued_at": None}, "from_the_future", "fresh", "from_the_future"),
    ("authentication", {"issued_at": None}, "expired", "fresh", "expired"),
    ("authentication", {"issued_at": None}, "bound_to_another_browser", "fresh", "bound_to_another_browser"),
    ("authentication", {"options": None}, "already_used", "first_time", "already_used"),
    ("authentication", {}, "removed_passkey", "kept", "removed_passkey"),
]


@pytest.mark.parametrize(("kind", "facts", "refused", "key", "reason"), FACTS_THAT_FAIL)
def test_fact_fails_its_check(kind, facts, refused, key, reason):
    ceremony = registration() if kind == "registration" else sign_in(kind=kind)
    ceremony = replace(ceremony, facts=replace(ceremony.facts, **facts), refused=refused)
    assert failing(ceremony) == key
    assert verdict(checks.judge(ceremony)) == reason


@pytest.mark.parametrize("seconds", [0, 1, 3599])
def test_recovery_code_is_proof_for_an_hour(seconds):
    ceremony = registration()
    recovering = {"has_mark": False, "proved_at": 0, "recovering_until": ASKED + 3_600_000 - seconds * 1000}
    assert failing(replace(ceremony, facts=replace(ceremony.facts, proof=recovering))) == ""


def test_checks_without_their_fact_are_not_reached_and_the_others_go_on():
    """As for the response of another site, of which there are only options and origin."""
    facts = Facts(origin="http://localhost:8000", rp_id="localhost", options=REQUEST_OPTIONS)
    results = checks.judge(replace(sign_in(client_data={"type": "webauthn.create"}), facts=facts))
    reached = {result.check.key: result.verdict for result in results if result.verdict != checks.NOT_REACHED}
    passed = ["answer", "challenge", "credential_id", "user_handle", "framed", "readable", "complete"]
    assert reached == dict.fromkeys(passed, checks.PASSED) | {"type": checks.FAILED}
    results = checks.judge(replace(sign_in(), facts=facts))
    missing = [result.check.key for result in results if result.verdict == checks.NOT_REACHED]
    assert {"fresh", "first_time", "known", "owner", "signature", "eligibility", "enabled", "counter"} <= {*missing}
    assert not [result for result in results if result.verdict == checks.FAILED]


def test_user_verification_counts_if_the_options_require_it():
    ceremony = sign_in(flags=UP | BE | BS)
    wish = replace(ceremony.facts, options=REQUEST_OPTIONS | {"userVerification": "preferred"})
    assert (failing(ceremony), failing(replace(ceremony, facts=wish))) == ("verified", "")


# The specification's test vectors, under this site's policy.


def of_vector(name: str, ceremony: str, with_statement: bool = True) -> Ceremony:
    """Return a ceremony of the vectors, as a transcript of https://example.org would have it."""
    vector, found = VECTORS[name], VECTORS[name][ceremony]
    attestation = cbor2.loads(bytes.fromhex(vector["registration"]["attestationObject"]))
    response = {"clientDataJSON": base64url(found["clientDataJSON"])}
    options = (CREATION_OPTIONS if ceremony == "registration" else REQUEST_OPTIONS) | {
        "challenge": base64url(found["challenge"])
    }
    facts = replace(registration().facts, origin="https://example.org", rp_id="example.org", options=options)
    if ceremony == "registration":
        statement = {} if with_statement else {"fmt": "none", "attStmt": {}}
        response["attestationObject"] = encode(cbor2.dumps(attestation | statement))
    else:
        data = attestation["authData"]
        key = data[55 + int.from_bytes(data[53:55]) :]
        record = {"public_key": encode(key), "sign_count": 0, "backup_eligible": bool(data[32] & BE)}
        facts = replace(facts, passkey=record, lookup="found")
        response |= {part: base64url(found[part]) for part in ("authenticatorData", "signature")}
        response["userHandle"] = ACCOUNT["user_handle"]
    return Ceremony(ceremony, json.dumps(credential(vector, response)), facts)


@pytest.mark.parametrize("name", VECTORS)
def test_vectors_get_the_verdict_of_our_policy(name):
    outcomes = [
        verdict(checks.judge(of_vector(name, "registration"))),
        verdict(checks.judge(of_vector(name, "registration", with_statement=False))),
    ]
    assert [outcome or "accepted" for outcome in outcomes] == [*POLICY[name][:2]]
    if POLICY[name][2]:
        assert (verdict(checks.judge(of_vector(name, "authentication"))) or "accepted") == POLICY[name][2]


@pytest.mark.parametrize("name", [name for name in VECTORS if POLICY[name][2] not in (None, CROSS_ORIGIN)])
def test_signatures_of_the_vectors_are_right(name):
    ceremony = of_vector(name, "authentication")
    relaxed = replace(
        ceremony, facts=replace(ceremony.facts, options={"challenge": ceremony.facts.options["challenge"]})
    )
    assert failing(relaxed) == ""


# Hostile input.

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)
GOOD = {"registration": registration(attestation="packed"), "authentication": sign_in()}
GOOD["confirmation"] = replace(GOOD["authentication"], kind="confirmation")
UNHURRIED = settings(max_examples=200, deadline=None, database=None)


def check_showable(ceremony: Ceremony) -> None:
    """Assert that there are results, and that a page can show them."""
    results = checks.judge(ceremony)
    assert len(results) == len(checks.CHECKS[ceremony.kind])
    for result in results:
        for text in (result.expected, result.found):
            assert len(text.encode()) < 1000
        assert (result.verdict == checks.FAILED) == bool(result.reason)
        assert not result.reason or result.reason in result.check.reasons


@UNHURRIED
@given(st.sampled_from([*GOOD]), st.data())
def test_any_member_gives_results(kind, data):
    response = json.loads(GOOD[kind].response)
    name = data.draw(st.sampled_from([*response, *response["response"]]))
    value = data.draw(JSON | st.binary(max_size=200).map(encode))
    check_showable(replace(GOOD[kind], response=json.dumps(changed(response, name, value))))


@UNHURRIED
@given(st.sampled_from([*GOOD]), JSON | st.fixed_dictionaries({"type": JSON, "origin": JSON, "crossOrigin": JSON}))
def test_any_client_data_gives_results(kind, value):
    response = json.loads(GOOD[kind].response)
    if isinstance(value, dict):
        value |= {"challenge": encode(b"a question")}
    data = encode(json.dumps(value).encode())
    check_showable(replace(GOOD[kind], response=json.dumps(changed(response, "clientDataJSON", data))))


@UNHURRIED
@given(st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), max_size=3), st.binary(max_size=40))
def test_any_bytes_of_an_attestation_object_give_results(changes, more):
    response = json.loads(GOOD["registration"].response)
    data = bytearray(decode(response["response"]["attestationObject"]) + more)
    for place, value in changes:
        data[place % len(data)] = value
    text = json.dumps(changed(response, "attestationObject", encode(bytes(data))))
    check_showable(replace(GOOD["registration"], response=text))


@UNHURRIED
@given(
    JSON | st.dictionaries(st.sampled_from([1, 3, -1, -2, -3]), st.integers(-300, 10) | st.binary(max_size=70) | JSON)
)
def test_any_public_key_gives_results(key):
    response = json.loads(GOOD["registration"].response)
    data = decode(response["response"]["attestationObject"])
    attestation = cbor2.loads(data)
    attestation["authData"] = attestation["authData"][:87] + cbor2.dumps(key, canonical=True)
    text = json.dumps(changed(response, "attestationObject", encode(cbor2.dumps(attestation))))
    check_showable(replace(GOOD["registration"], response=text))


@pytest.mark.parametrize("kind", GOOD)
@pytest.mark.parametrize("text", ["", "null", "[" * 50_000, '{"a":' * 20_000, "9" * 5000, '"\\ud800"', "\ud800", "\0"])
def test_any_text_gives_results(kind, text):
    check_showable(replace(GOOD[kind], response=text))


@pytest.mark.parametrize("kind", GOOD)
@pytest.mark.parametrize("name", ["options", "passkey", "account", "proof"])
@pytest.mark.parametrize("value", [None, {}, [], 5, "text", {"pubKeyCredParams": 5, "challenge": []}])
def test_facts_that_are_incomplete_give_results(kind, name, value):
    check_showable(replace(GOOD[kind], facts=replace(GOOD[kind].facts, **{name: value})))


def test_kind_that_is_none_has_no_checks():
    assert checks.judge(Ceremony("", "", Facts())) == []


# The places that the checks name.

ALL = [pytest.param(check, id=f"{kind}-{check.key}") for kind, found in checks.CHECKS.items() for check in found]


@pytest.mark.parametrize("check", ALL)
def test_line_and_tests_of_a_check_exist(check):
    line = (ROOT / check.file).read_text().splitlines()[checks.line_of(check) - 1]
    assert check.line in line
    assert check.tests
    for test in check.tests:
        file, name = test.split("::")
        assert f"def {name}(" in (ROOT / "tests" / file).read_text(), test


@pytest.mark.parametrize("check", ALL)
def test_check_is_explained(check):
    assert check.why.startswith("Without it, ")
    assert check.why.endswith(".")
    assert check.by in ("site", "library")
    # No word is left to fill in.
    assert not re.search(r"[{}]", check.title + check.why)


@pytest.mark.parametrize("kind", checks.CHECKS)
def test_checks_of_a_group_are_neighbours(kind):
    groups = [check.group for check in checks.CHECKS[kind]]
    # The page has a heading per group.
    neighbours = [group for group, before in zip(groups, ["", *groups], strict=False) if group != before]
    order = ["challenge", "who", "browser", "authenticator", "signature", "site"]
    assert neighbours == order
    assert len({check.key for check in checks.CHECKS[kind]}) == len(groups)


def reasons_of_ceremonies() -> set[str]:
    """Return each reason that the modules of the ceremonies refuse a response for, collected from their source."""
    found = {*REASONS.values(), "malformed_response"}
    for path, module in MODULES.items():
        functions = [module]
        if path.name == "passkeys.py" and path.parent.name == "app":
            wanted = ("finish_", "_find", "_check")
            functions = [node for node in ast.walk(module) if getattr(node, "name", "").startswith(wanted)]
        elif path.name != "single_use.py" and path.parent.name != "ceremonies":
            continue
        for function in functions:
            for node in ast.walk(function):
                if called(node) in ("CeremonyError", "Refusal", "refusing"):
                    found |= {*texts(node.args[0])}
    return found


def test_each_reason_of_a_ceremony_belongs_to_a_check():
    found = reasons_of_ceremonies()
    assert {"wrong_origin", "unusable_key", "already_used", "enough_passkeys", "not_json", "other_account"} <= found
    known = {reason for check in sum(checks.CHECKS.values(), ()) for reason in check.reasons}
    assert found - known - UNREAD == {"bound_to_another_"}
    assert known - found == {"bound_to_another_session", "bound_to_another_browser"}


# The tables of docs/security.md.

# Rows without a check: the site's part is before or after the response is checked, or there is nothing to check.
WITHOUT_A_CHECK = {"registration": {"1-4", "12", "18-19", "23-24", "29"}, "authentication": {"1-4", "5", "23", "25"}}


def rows_of_table(headline: str) -> list[tuple[str, str, str, tuple[str, ...]]]:
    """Return the steps, file, name and tests of each row of this table."""
    _, _, text = (ROOT / "docs" / "security.md").read_text().partition(f"### {headline}\n")
    lines = re.findall(r"^\| (\d.*)\|$", text.partition("\n#")[0], re.MULTILINE)
    rows = []
    for step, _how, where, tests in (line.split(" | ") for line in lines):
        file, _, name = where.replace("`", "").partition(" ")
        rows.append((step.partition(" ")[0], file, name, tuple(re.findall(r"`([^`]+::[^`]+)`", tests))))
    return rows


@pytest.mark.parametrize(
    ("kind", "headline"), [("registration", "Registration (7.1)"), ("authentication", "Authentication (7.2)")]
)
def test_table_of_the_steps_and_the_checks_agree(kind, headline):
    rows = rows_of_table(headline)
    of_checks = [(check.steps, check.file, check.name, check.tests) for check in checks.CHECKS[kind] if check.step]
    assert sorted(row for row in rows if row[0] not in WITHOUT_A_CHECK[kind]) == sorted(of_checks)
    # Every step of the section is in the table, once or several times, and in order.
    covered = [number for steps, *_ in rows for number in range_of(steps)]
    assert covered == sorted(covered)
    assert {*covered} == {*range(1, 30 if kind == "registration" else 26)}


def range_of(steps: str) -> range:
    """Return the numbers of "5" or "5-6"."""
    first, _, last = steps.partition("-")
    return range(int(first), int(last or first) + 1)


def test_rp_id_hash_is_that_of_the_recorded_rp_id():
    [result] = [result for result in checks.judge(sign_in()) if result.check.key == "rp_id"]
    assert result.expected == result.found == sha256(b"localhost").hexdigest()
