"""A ceremony's messages, decoded for the page. The words about them are in the templates.

Everything in a response may be wrong, missing or hostile. So this module decodes what it can, and leaves out the rest.
It decides nothing: the verdicts are from checks.py.
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from itertools import groupby, takewhile
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from webauthn.helpers import decode_credential_public_key, decoded_public_key_to_cryptography

from app.ceremonies import base64url
from app.ceremonies.attempts import CeremonyError
from app.user_agents import authenticator
from learn.inside import ranges
from learn.inside.ceremonies import Ceremony
from learn.inside.checks import Result
from learn.inside.ranges import Range

# Cut longer values on the page. The raw forms are complete.
LONGEST_VALUE = 400
MOST_BYTES_SHOWN = 512

# The members that matter first. The others follow in their own order.
OPTIONS_FIRST = ("challenge", "rp.id", "rpId", "rp.name", "user.id", "user.name", "user.displayName")

# COSE's names (RFC 9053, RFC 8812).
ALGORITHMS = {-8: "EdDSA", -7: "ES256", -257: "RS256"}

# The message that each group of checks is about.
MESSAGE_OF = {"challenge": 5, "who": 5, "browser": 2, "authenticator": 4, "signature": 4, "site": 6}

# The part of the response that a refusal is about: a member of the client data, a range of bytes, or a member of the
# credential. The page marks it.
MARKED = {
    "wrong_type": "type",
    "wrong_origin": "origin",
    "cross_origin": "crossOrigin",
    "wrong_rp_id": "rp_id_hash",
    "user_not_present": "flags",
    "user_not_verified": "flags",
    "inconsistent_backup_flags": "flags",
    "backup_eligibility_changed": "flags",
    "wrong_signature": "signature",
    "wrong_user_handle": "userHandle",
    "unknown_passkey": "id",
    "removed_passkey": "id",
    "credential_id_mismatch": "id",
    "credential_id_too_long": "id",
    "algorithm_not_offered": "public_key",
    "unusable_key": "public_key",
    "weak_key": "public_key",
}
MESSAGE_OF_PART = {"flags": 4, "public_key": 4, "id": 5}


@dataclass(frozen=True)
class Member:
    """A member of a message: its name and its value as text."""

    name: str
    value: str


@dataclass(frozen=True)
class Part:
    """Bytes with named ranges."""

    data: bytes = b""
    ranges: Sequence[Range] = ()

    def __getitem__(self, name: str) -> Range | None:
        return next((each for each in self.ranges if each.name == name), None)


@dataclass(frozen=True)
class Group:
    """Checks that are about the same thing, with the number of the first one."""

    name: str
    first: int
    results: list[Result]


@dataclass(frozen=True)
class Story:
    """The contents of a ceremony's page. A part that could not be decoded is empty."""

    is_registration: bool
    groups: list[Group]
    failed: Result | None
    opened: int
    """The number of the message that is open without a choice: the failed one, or the most telling one."""
    marked: str
    options: list[Member] = field(default_factory=list)
    options_json: str = ""
    credential: list[Member] = field(default_factory=list)
    response: list[Member] = field(default_factory=list)
    response_json: str = ""
    client_data: list[Member] = field(default_factory=list)
    client_data_json: bytes = b""
    origin: str = ""
    origin_host: str = ""
    hashed: str = ""
    """The name whose SHA-256 is the RP ID hash: the site's RP ID or the page's host, or "" if it is neither."""
    authenticator_data: Part = Part()
    attestation: list[Member] = field(default_factory=list)
    public_key: Part = Part()
    """The COSE key: of the response, or the one that the site had stored."""
    pem: str = ""
    algorithm: int = 0
    signature: Part = Part()
    provider: str = ""
    issued_at: datetime | None = None
    arrived_at: datetime | None = None

    @property
    def client_data_text(self) -> str:
        """The client data as text."""
        return self.client_data_json.decode("utf-8", "replace")

    @property
    def client_data_hash(self) -> bytes:
        """The part of the client data that the authenticator signs."""
        return sha256(self.client_data_json).digest()

    @property
    def seconds(self) -> float | None:
        """The time between the challenge and the response."""
        return (self.arrived_at - self.issued_at).total_seconds() if self.issued_at and self.arrived_at else None

    @property
    def passed(self) -> int:
        """How many checks passed."""
        return sum(result.verdict == "passed" for group in self.groups for result in group.results)

    @property
    def failed_number(self) -> int:
        """The number of the check that failed. Earlier ones may not have been reached: they need facts of the site."""
        results = [result for group in self.groups for result in group.results]
        return next(number for number, result in enumerate(results, 1) if result.verdict == "failed")

    @property
    def count(self) -> int:
        """How many checks there are."""
        return sum(len(group.results) for group in self.groups)


def tell(ceremony: Ceremony, results: Sequence[Result]) -> Story:
    """Return what the page shows of a ceremony with these results of its checks."""
    facts = ceremony.facts
    credential = _object(_parse(ceremony.response))
    response = _object(credential.get("response"))
    client_data_json = _bytes(response.get("clientDataJSON"))
    client_data = _object(_parse(client_data_json.decode("utf-8-sig", "replace")))
    is_registration = ceremony.kind == "registration"
    attestation: dict[str, Any] = {}
    if is_registration:
        attestation = _attestation(_bytes(response.get("attestationObject")))
        data = attestation.get("authData", b"")
        signature = _object(attestation.get("attStmt")).get("sig", b"")
    else:
        data, signature = _bytes(response.get("authenticatorData")), _bytes(response.get("signature"))
    authenticator_data = Part(data, ranges.authenticator_data(data)) if data else Part()
    attested = authenticator_data["public_key"]
    key = attested.data if attested else b""
    if not is_registration:
        key = _bytes(_object(facts.passkey).get("public_key"))
    public_key = Part(key, ranges.cose_key(key)) if key else Part()
    algorithm = _algorithm(public_key)
    failed = next((result for result in results if result.verdict == "failed"), None)
    marked = MARKED.get(ceremony.refused, "")
    opened = MESSAGE_OF.get(failed.check.group, 5) if failed else 5 if ceremony.refused else 4
    origin = client_data.get("origin")
    return Story(
        is_registration=is_registration,
        groups=groups(results),
        failed=failed,
        opened=MESSAGE_OF_PART.get(marked, opened),
        marked=marked,
        options=_sorted(_members(_object(facts.options))),
        options_json=_json(facts.options) if facts.options else "",
        credential=[member for member in _members(credential) if not member.name.startswith("response")],
        response=_members(response),
        response_json=_json(credential) if credential else ceremony.response,
        client_data=_members(client_data),
        client_data_json=client_data_json,
        origin=origin if isinstance(origin, str) else "",
        origin_host=_host(origin),
        hashed=_hashed(authenticator_data["rp_id_hash"], (facts.rp_id, _host(origin))),
        authenticator_data=authenticator_data,
        attestation=[
            Member(name, _value(name, attestation[name])) for name in ("fmt", "attStmt") if name in attestation
        ],
        public_key=public_key,
        pem=_pem(key),
        algorithm=algorithm,
        signature=Part(signature, ranges.signature(signature, algorithm)) if signature else Part(),
        provider=_provider(authenticator_data, facts.passkey),
        issued_at=_moment(facts.issued_at),
        arrived_at=_moment(facts.arrived_at),
    )


def printable(text: object, longest: int = LONGEST_VALUE) -> str:
    """Return a text that any page can show: without control characters, and cut if it is very long."""
    characters = str(text)
    cut = characters[:longest] + "…" if len(characters) > longest else characters
    return "".join(
        character if character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cs", "Cf") else "\ufffd"
        for character in cut
    )


def is_zero(data: bytes) -> bool:
    """Return True if all bytes are zero."""
    return not any(data)


def in_hex(data: bytes) -> str:
    """Return bytes in hexadecimal, two characters each. Cut them if they are many."""
    shown = data[:MOST_BYTES_SHOWN].hex(" ")
    return shown + (f" … and {len(data) - MOST_BYTES_SHOWN} more" if len(data) > MOST_BYTES_SHOWN else "")


def plain(value: object) -> str:
    """Return a value of CBOR as text: bytes in hexadecimal."""
    return value.hex() if isinstance(value, bytes) else _text(value)


def differing(one: str, other: str) -> list[tuple[str, str, str]]:
    """Return both texts in three pieces each: the words that both begin with, those that differ, and the same end."""
    words = [re.findall(r"\w+|\W", text) for text in (one, other)]
    start = _count_equal(*words)
    end = _count_equal(*(each[start:][::-1] for each in words))
    pieces = [(each[:start], each[start : len(each) - end], each[len(each) - end :]) for each in words]
    return [("".join(first), "".join(middle), "".join(last)) for first, middle, last in pieces]


def _count_equal(one: Sequence[str], other: Sequence[str]) -> int:
    """Return how many words of the beginning are equal."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def groups(results: Iterable[Result]) -> list[Group]:
    """Return the checks in groups, in the order in which they were made."""
    found, first = [], 1
    for name, members in groupby(results, key=lambda result: result.check.group):
        found.append(Group(name, first, list(members)))
        first += len(found[-1].results)
    return found


def _parse(text: str) -> Any:
    """Return the value of JSON text, or None."""
    with suppress(ValueError, RecursionError):
        return json.loads(text)
    return None


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _bytes(text: Any) -> bytes:
    """Return the bytes of base64url text, or none."""
    with suppress(CeremonyError):
        return base64url.decode(text)
    return b""


def _attestation(data: bytes) -> dict[str, Any]:
    """Return the members of an attestation object (L3 6.5.4) that have the right types."""
    members = {each.name: each.value for each in ranges.attestation_object(data)} if data else {}
    types = {"fmt": str, "attStmt": dict, "authData": bytes}
    return {name: members[name] for name, type in types.items() if isinstance(members.get(name), type)}


def _members(value: dict[str, Any], prefix: str = "") -> list[Member]:
    """Return the members of an object. Those of an object within it are named with a dot: `rp.id`."""
    members = []
    for name, each in value.items():
        if isinstance(each, dict) and each and not prefix:
            members += _members(each, f"{name}.")
        else:
            members.append(Member(prefix + name, _value(name, each)))
    return members


def _sorted(members: list[Member]) -> list[Member]:
    first = [member for name in OPTIONS_FIRST for member in members if member.name == name]
    return first + [member for member in members if member not in first]


def _value(name: str, value: Any) -> str:
    if name == "pubKeyCredParams" and isinstance(value, list):
        numbers = [number for each in value if isinstance(number := _object(each).get("alg"), int)]
        if len(numbers) == len(value):
            return ", ".join(f"{ALGORITHMS.get(number, '?')} ({number})" for number in numbers)
    return value if isinstance(value, str) else _text(value)


def _text(value: Any) -> str:
    """Return a value as JSON, with bytes in hexadecimal."""
    with suppress(ValueError, TypeError, RecursionError):
        return json.dumps(
            value, ensure_ascii=False, default=lambda each: each.hex() if isinstance(each, bytes) else "?"
        )
    return "…"


def _json(value: Any) -> str:
    with suppress(ValueError, RecursionError):
        return json.dumps(value, ensure_ascii=False, indent=2)
    return "…"


def _host(origin: Any) -> str:
    """Return the host of an origin, or ""."""
    found = re.fullmatch(r"https?://([\w.-]+)(:\d+)?", origin, re.ASCII) if isinstance(origin, str) else None
    return found[1] if found else ""


def _hashed(hash: Range | None, names: Iterable[str]) -> str:
    return next((name for name in names if hash and hash.data == sha256(name.encode()).digest()), "")


def _algorithm(key: Part) -> int:
    found = key["alg"]
    return found.value if found and isinstance(found.value, int) else 0


def _pem(key: bytes) -> str:
    """Return a COSE key as PEM, or "" if it is not usable. Any exception means that."""
    with suppress(Exception):
        public_key = decoded_public_key_to_cryptography(decode_credential_public_key(key))
        return public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return ""


def _provider(data: Part, passkey: dict[str, Any] | None) -> str:
    """Return the name of the authenticator's model, or ""."""
    attested = data["aaguid"]
    if attested and len(attested.data) == 16:
        return authenticator(str(UUID(bytes=attested.data)))[0]
    return authenticator(str(_object(passkey).get("aaguid", "")))[0]


def _moment(milliseconds: int | None) -> datetime | None:
    with suppress(ValueError, OverflowError):
        return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else None
    return None
