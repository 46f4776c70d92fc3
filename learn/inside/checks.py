"""Every check of a ceremony, in the site's order: why it is made, where in the code, and its verdict on a response.

This judges with code of its own, and the tests compare it with the site's verdict on every altered response. Only a few
checks need the site's secret key or its database. They read the facts that the site recorded, and its verdict.

Sections are those of Web Authentication Level 3.
"""

import ast
import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from app import passkeys, proof
from app.ceremonies.base64url import encode
from app.ceremonies.options import CHALLENGE_LIFETIME
from app.single_use import CLOCK_SKEW
from learn.inside.ceremonies import Ceremony
from learn.inside.ranges import ED25519, ES256, RS256, Item, Range, authenticator_data, read_cbor, read_flags

ROOT = Path(passkeys.__file__).parent.parent

PASSED, FAILED, NOT_REACHED = "passed", "failed", "not-reached"

LONGEST_CREDENTIAL_ID = 1023

CURVES: dict[int, Callable[[], ec.EllipticCurve]] = {1: ec.SECP256R1, 2: ec.SECP384R1, 3: ec.SECP521R1}

# The longest text that a result shows.
LONGEST = 100

Key = ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey | rsa.RSAPublicKey

Texts = tuple[str, str]
"""What was expected, and what was found."""


@dataclass(frozen=True)
class Check:
    """One check of a ceremony."""

    key: str
    step: str
    """The step of the specification, such as "7.2-12", or "" if the check is the site's own."""
    group: str
    """"challenge", "who", "browser", "authenticator", "signature" or "site"."""
    title: str
    """What must be true, in plain words."""
    why: str
    """What an attacker could do without it."""
    by: str
    """"library" or "site"."""
    file: str
    name: str
    line: str
    """A text that occurs once in the function `name` of `file`."""
    tests: tuple[str, ...]
    reasons: tuple[str, ...]
    """The refusals that it can lead to. The first is for a value that can't be read at all, if there can be one."""
    judge: "Callable[[Response], Texts]" = field(repr=False, compare=False)
    """Return the texts for the page, or raise `No`. Any other exception is a failure for the first of the reasons."""
    last_step: int = 0
    """The last step, if the check covers several."""

    @property
    def steps(self) -> str:
        """The numbers of the steps: "12" or "13-14"."""
        first = self.step.partition("-")[2]
        return f"{first}-{self.last_step}" if self.last_step else first


@dataclass(frozen=True)
class Result:
    """The verdict of a check on one response."""

    check: Check
    verdict: str
    """"passed", "failed" or "not-reached"."""
    expected: str = ""
    found: str = ""
    reason: str = ""
    """If it failed: the name of the refusal."""


class No(Exception):
    """A check failed, for this reason."""

    def __init__(self, reason: str, expected: str = "", found: str = ""):
        super().__init__(reason)
        self.reason, self.expected, self.found = reason, expected, found


class Unknown(Exception):
    """A check can't be made, because the ceremony ended before the site recorded this fact."""


def judge(ceremony: Ceremony) -> list[Result]:
    """Return the result of every check, in the site's order. After the first that fails, none is reached."""
    response, results = Response(ceremony), []
    has_ended = False
    for check in CHECKS.get(ceremony.kind, ()):
        result = Result(check, NOT_REACHED)
        if not has_ended:
            result = _result(check, response)
            has_ended = result.verdict != PASSED
        results.append(result)
    return results


def _result(check: Check, response: "Response") -> Result:
    try:
        return Result(check, PASSED, *map(_short, check.judge(response)))
    except No as no:
        return Result(check, FAILED, _short(no.expected), _short(no.found), no.reason)
    except Unknown:
        return Result(check, NOT_REACHED)
    except Exception as error:
        # A value of another kind than the check needs: hostile input makes Python and cryptography raise anything.
        return Result(check, FAILED, "", _short(f"{type(error).__name__}: {error}"), check.reasons[0])


@cache
def line_of(check: Check) -> int:
    """Return the number of the line that makes the check. Raises ValueError if there is no such line, or several."""
    source = (ROOT / check.file).read_text()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef) and node.name == check.name:
            lines = range(node.lineno, (node.end_lineno or 0) + 1)
            found = [number for number in lines if check.line in source.splitlines()[number - 1]]
            if len(found) == 1:
                return found[0]
    raise ValueError(f"{check.file} {check.name}: {check.line}")


def _short(text: str) -> str:
    """Return a text that any page can show: a lone surrogate can't be encoded."""
    text = text.encode(errors="backslashreplace").decode()
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _shown(value: object) -> str:
    """Return a value of JSON or CBOR as a short text."""
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, dict):
        return "an object"
    return value if isinstance(value, str) else json.dumps(value, default=lambda data: data.hex())


# Reading a response.


class Response:
    """The parts of a ceremony's response. A part that can't be read raises `No`."""

    def __init__(self, ceremony: Ceremony):
        self.kind, self.refused, self.facts = ceremony.kind, ceremony.refused, ceremony.facts
        self.text = ceremony.response

    @cached_property
    def credential(self) -> Any:
        """The PublicKeyCredential (5.1): any JSON."""
        try:
            return json.loads(self.text)
        except (ValueError, RecursionError) as error:
            raise No("not_json", "JSON", f"{len(self.text)} characters that are not JSON") from error

    def member(self, *path: str) -> Any:
        """Return this member of the credential."""
        value = self.credential
        for name in path:
            if not isinstance(value, dict) or name not in value:
                raise No("malformed_response", ".".join(path), "missing")
            value = value[name]
        return value

    def bytes_of(self, *path: str) -> bytes:
        """Return the bytes of this member of the credential."""
        return _base64url(self.member(*path), ".".join(path))

    @cached_property
    def raw_id(self) -> bytes:
        """The credential id."""
        return self.bytes_of("rawId")

    @cached_property
    def client_data_json(self) -> bytes:
        """The client data, in which the browser describes the ceremony: 5.8.1."""
        return self.bytes_of("response", "clientDataJSON")

    @cached_property
    def client_data(self) -> dict[str, Any]:
        """The client data, as an object that has a challenge."""
        try:
            # The specification drops a byte order mark.
            text = self.client_data_json.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise No("not_utf8", "UTF-8", "bytes that are not UTF-8") from error
        try:
            client_data = json.loads(text, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise No("malformed_client_data", "a JSON object", "not JSON") from error
        if not isinstance(client_data, dict) or "challenge" not in client_data:
            raise No("malformed_client_data", "a JSON object with a challenge", text)
        return client_data

    @cached_property
    def attestation(self) -> dict[str, Any]:
        """The attestation object: 6.5.4."""
        data = self.bytes_of("response", "attestationObject")
        item = _cbor(data)
        if item.end < len(data):
            raise No("malformed_cbor", "nothing after the attestation object", f"{len(data) - item.end} more bytes")
        names = {"fmt", "attStmt", "authData"}
        if not isinstance(item.value, dict) or item.value.keys() != names:
            raise No("malformed_attestation", "fmt, attStmt, authData", _shown(item.value))
        return item.value

    @cached_property
    def authenticator_data(self) -> bytes:
        """The authenticator data: 6.1."""
        if self.kind == "registration":
            data = self.attestation["authData"]
        else:
            data = self.bytes_of("response", "authenticatorData")
        if not isinstance(data, bytes):
            raise No("malformed_authenticator_data", "bytes", _shown(data))
        return data

    @cached_property
    def ranges(self) -> dict[str, Range]:
        """The ranges of the authenticator data, by name."""
        return {range.name: range for range in authenticator_data(self.authenticator_data)}

    @cached_property
    def flags(self) -> dict[str, bool]:
        """The flags of the authenticator data."""
        return read_flags(self.authenticator_data[32])

    @cached_property
    def key(self) -> dict[Any, Any]:
        """The new public key, as a COSE map."""
        return _cbor(self.ranges["public_key"].data).value

    @cached_property
    def signed(self) -> bytes:
        """The bytes that a signature signs."""
        return self.authenticator_data + sha256(self.client_data_json).digest()

    def fact(self, name: str) -> Any:
        """Return a fact that the site has recorded."""
        value = getattr(self.facts, name)
        if value in (None, ""):
            raise Unknown
        return value


def _base64url(text: object, name: str) -> bytes:
    """Return the bytes of a text in base64url (RFC 4648 5). It has no padding, and the bits that are left are zero."""
    if not isinstance(text, str) or not re.fullmatch("[A-Za-z0-9_-]+", text) or len(text) % 4 == 1:
        raise No("not_base64url", f"{name} in base64url", _shown(text))
    data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if encode(data) != text:
        raise No("not_base64url", f"{name} ends in {encode(data)[-1]}", f"it ends in {text[-1]}")
    return data


def _cbor(data: bytes, at: int = 0) -> Item:
    try:
        return read_cbor(data, at)
    except ValueError as error:
        raise No("malformed_cbor", "CBOR", str(error)) from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


# What is judged: the challenge.


def _answer(response: Response) -> Texts:
    _base64url(response.client_data["challenge"], "challenge")
    return "JSON in UTF-8", f"{len(response.client_data_json)} bytes of JSON"


def _challenge(response: Response) -> Texts:
    found = response.client_data["challenge"]
    if response.refused == "malformed_token":
        raise No("malformed_token", "a challenge that this site has signed for this", found)
    if response.facts.options and response.facts.options["challenge"] != found:
        raise No("malformed_token", response.facts.options["challenge"], found)
    return "signed by this site", found


def _fresh(response: Response) -> Texts:
    facts, refused = response.facts, response.refused
    minutes = round(CHALLENGE_LIFETIME.total_seconds() / 60)
    expected = f"asked in this {facts.bound_to}, at most {minutes} minutes ago"
    if refused == "expired":
        raise No("expired", expected, f"more than {minutes} minutes ago")
    if refused == "from_the_future":
        raise No("from_the_future", expected, "dated ahead")
    if refused.startswith("bound_to_another_"):
        raise No(refused, expected, refused.replace("bound_to_", "asked in ").replace("_", " "))
    if facts.issued_at is None or facts.arrived_at is None:
        return expected, ""
    seconds = (facts.arrived_at - facts.issued_at) / 1000
    found = f"{seconds:.1f} seconds ago"
    if seconds > CHALLENGE_LIFETIME.total_seconds():
        raise No("expired", expected, found)
    return expected, found


def _first_time(response: Response) -> Texts:
    if response.refused == "already_used":
        raise No("already_used", "never used before", "used before")
    return "never used before", "never used before"


# Who answers.


def _credential_id(response: Response) -> Texts:
    size = len(response.raw_id)
    expected, found = f"at most {LONGEST_CREDENTIAL_ID} bytes", f"{size} bytes: {encode(response.raw_id)}"
    if size > LONGEST_CREDENTIAL_ID:
        raise No("credential_id_too_long", expected, found)
    return expected, found


def _room(response: Response) -> Texts:
    count, most = response.fact("passkeys"), passkeys.MOST_PASSKEYS
    expected, found = f"fewer than {most} passkeys", f"{count}"
    if count >= most:
        raise No("enough_passkeys", expected, found)
    return expected, found


def _proof(response: Response) -> Texts:
    """The proof must have been fresh when the options were made. Nothing may be dated ahead."""
    given, issued_at, arrived_at = (response.fact(name) for name in ("proof", "issued_at", "arrived_at"))
    lifetime, hour, skew = (
        time.total_seconds() * 1000 for time in (proof.PROOF_LIFETIME, proof.RECOVERY_LIFETIME, CLOCK_SKEW)
    )
    proved_at, until = given["proved_at"], given["recovering_until"]
    is_fresh = given["has_mark"] and issued_at - lifetime < proved_at <= arrived_at + skew
    is_recovering = until is not None and issued_at < until <= arrived_at + hour + skew
    expected = f"a proof in this browser, at most {lifetime / 60_000:.0f} minutes before"
    if not given["has_mark"]:
        found = "a proof in another browser, or none"
    else:
        found = f"{(issued_at - proved_at) / 1000:.0f} seconds before"
    if is_recovering:
        found = "a recovery code, less than an hour before"
    if not (is_fresh or is_recovering):
        raise No("not_proven", expected, found)
    return expected, found


def _handle(response: Response) -> bytes | None:
    if response.kind == "confirmation" and response.member("response").get("userHandle") in (None, ""):
        return None
    return response.bytes_of("response", "userHandle")


def _user_handle(response: Response) -> Texts:
    handle = _handle(response)
    if handle is None:
        return "may be left out here", "left out"
    return "a user handle", encode(handle)


def _known(response: Response) -> Texts:
    lookup = response.fact("lookup")
    found = encode(response.raw_id)
    if lookup == "other_account":
        raise No("other_account", "a passkey of this account", "a passkey of another account")
    if lookup != "found":
        raise No(f"{lookup}_passkey", "a passkey that is registered here", found)
    return "a passkey that is registered here", found


def _owner(response: Response) -> Texts:
    handle, expected = _handle(response), response.fact("account")["user_handle"]
    if handle is None:
        return expected, "left out"
    if encode(handle) != expected:
        raise No("wrong_user_handle", expected, encode(handle))
    return expected, encode(handle)


# What the browser sent.


def _framed(response: Response) -> Texts:
    cross_origin, expected = response.client_data.get("crossOrigin", False), "crossOrigin: false"
    if "topOrigin" in response.client_data:
        raise No("cross_origin", "no topOrigin", f"topOrigin: {_shown(response.client_data['topOrigin'])}")
    found = f"crossOrigin: {_shown(cross_origin)}"
    if cross_origin is not False:
        raise No("cross_origin", expected, found)
    return expected, found if "crossOrigin" in response.client_data else "no word about frames"


def _readable(response: Response) -> Texts:
    """Read authenticator data to its end, and the signature beside it. Each map has the one encoding of CTAP2."""
    data = response.authenticator_data
    if len(data) < 37:
        raise No("malformed_authenticator_data", "at least 37 bytes", f"{len(data)} bytes")
    at, maps = 37, []
    if response.flags["AT"]:
        at, maps = 55 + int.from_bytes(data[53:55]), ["public key"]
    maps += ["extensions"] if response.flags["ED"] else []
    for name in maps:
        if at >= len(data) or data[at] >> 5 != 5:
            raise No("malformed_authenticator_data", f"{name}, as the flags say", f"no map at byte {at}")
        item = _cbor(data, at)
        if not item.is_canonical:
            raise No("malformed_cbor", f"{name} in the canonical form of CTAP2", "another form")
        at = item.end
    if at < len(data):
        raise No("malformed_authenticator_data", f"{at} bytes, as the flags say", f"{len(data)} bytes")
    if response.kind == "registration":
        return "an attestation object in CBOR", f"{len(data)} bytes of authenticator data in it"
    signature = response.bytes_of("response", "signature")
    return "authenticator data and signature", f"{len(data)} and {len(signature)} bytes"


def _statement(response: Response) -> Texts:
    format, statement = response.attestation["fmt"], response.attestation["attStmt"]
    expected, found = "none, or packed without a certificate", _shown(format)
    is_self = format == "packed" and isinstance(statement, dict) and "x5c" not in statement
    if not (is_self or (format == "none" and statement == {})):
        raise No("attestation_not_accepted", expected, f"{found}, statement: {_shown(statement)}")
    if not isinstance(statement.get("sig", b""), bytes):
        raise No("malformed_attestation", "a signature in bytes", _shown(statement["sig"]))
    return expected, found


def _complete(response: Response) -> Texts:
    credential, client_data = response.credential, response.client_data
    attachment = credential.get("authenticatorAttachment")
    if isinstance(attachment, str) and attachment not in ("platform", "cross-platform"):
        raise No("malformed_response", "platform or cross-platform", attachment)
    if not isinstance(response.member("id"), str):
        raise No("malformed_response", "an id", _shown(credential["id"]))
    if response.member("type") != "public-key":
        raise No("malformed_response", "public-key", _shown(credential["type"]))
    if credential["id"] != credential["rawId"]:
        raise No("credential_id_mismatch", credential["rawId"], credential["id"])
    for name in ("type", "origin"):
        if name not in client_data:
            raise No("malformed_client_data", f"{name} in the client data", "missing")
    # Level 2 had it. The library still reads it.
    binding = client_data.get("tokenBinding")
    if isinstance(binding, dict) and binding.get("status") not in ("supported", "present"):
        raise No("malformed_client_data", "tokenBinding.status: supported or present", _shown(binding.get("status")))
    return "public-key", credential["type"]


def _type(response: Response) -> Texts:
    expected = "webauthn.create" if response.kind == "registration" else "webauthn.get"
    return _equal("wrong_type", expected, response.client_data["type"])


def _origin(response: Response) -> Texts:
    return _equal("wrong_origin", response.fact("origin"), response.client_data["origin"])


def _equal(reason: str, expected: str, found: object) -> Texts:
    if found != expected:
        raise No(reason, expected, _shown(found))
    return expected, expected


# What the authenticator wrote.


def _rp_id(response: Response) -> Texts:
    rp_id = response.fact("rp_id")
    expected, found = sha256(rp_id.encode()).hexdigest(), response.authenticator_data[:32].hex()
    _equal("wrong_rp_id", expected, found)
    return expected, found


def _flag(name: str, reason: str) -> Callable[[Response], Texts]:
    def check(response: Response) -> Texts:
        found = f"{name}: {int(response.flags[name])}"
        if not response.flags[name]:
            raise No(reason, f"{name}: 1", found)
        return f"{name}: 1", found

    return check


def _algorithm(response: Response) -> Texts:
    if not response.flags["AT"] or not response.ranges["credential_id"].data:
        raise No("malformed_authenticator_data", "a new passkey's id and key", "none")
    key = response.key
    # 7 is the type of ML-DSA keys, which have one parameter. No such algorithm was offered.
    needed = {1: (-1, -2), 2: (-1, -2, -3), 3: (-1, -2), 7: (-1,)}.get(key[1], ()) if key.get(1) else ()
    if not needed or not all(key.get(label) for label in (3, *needed)):
        raise No("unusable_key", "a public key with all its parts", f"parts: {', '.join(map(_shown, key))}")
    offered = [each["alg"] for each in response.fact("options")["pubKeyCredParams"]]
    expected = f"one of {', '.join(map(str, offered))}"
    if key[3] not in offered:
        raise No("algorithm_not_offered", expected, _shown(key[3]))
    return expected, _shown(key[3])


def _self_signed(response: Response) -> Texts:
    if response.attestation["fmt"] == "none":
        return "may be left out", "left out"
    statement, key = response.attestation["attStmt"], response.key
    if not statement.get("sig") or not statement.get("alg") or statement["alg"] != key[3]:
        raise No("malformed_attestation", f"a signature by algorithm {key[3]}", _shown(statement.get("alg")))
    if not _is_signed(_load(key), key[3], statement["sig"], response.signed):
        raise No("wrong_signature", "signed with the new key", "signed with another key, or over other bytes")
    return "signed with the new key", "signed with the new key"


def _backup_flags(response: Response) -> Texts:
    expected = "BS: 0, or BE: 1 and BS: 1"
    found = f"BE: {int(response.flags['BE'])}, BS: {int(response.flags['BS'])}"
    if response.flags["BS"] and not response.flags["BE"]:
        raise No("inconsistent_backup_flags", expected, found)
    return expected, found


def _attested_id(response: Response) -> Texts:
    return _equal("credential_id_mismatch", encode(response.raw_id), encode(response.ranges["credential_id"].data))


def _discoverable(response: Response) -> Texts:
    answer = response.credential.get("clientExtensionResults", {}).get("credProps", {}).get("rk")
    if answer is False:
        raise No("not_discoverable", "credProps.rk: true", "credProps.rk: false")
    return "credProps.rk: true, or nothing", "nothing" if answer is None else f"credProps.rk: {_shown(answer)}"


def _usable(response: Response) -> Texts:
    key, algorithm = _load(response.key), response.key[3]
    expected = "a key that can verify signatures"
    is_usable = {
        ED25519: isinstance(key, ed25519.Ed25519PublicKey),
        ES256: isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1),
        RS256: isinstance(key, rsa.RSAPublicKey) and 2048 <= key.key_size <= 8192,
    }
    if not is_usable[algorithm]:
        raise No("unusable_key", expected, type(key).__name__)
    if isinstance(key, ed25519.Ed25519PublicKey) and _has_small_order(key.public_bytes_raw()):
        raise No("weak_key", expected, "a key for which anybody can sign")
    return expected, type(key).__name__


def _load(key: dict[Any, Any]) -> Key:
    """Return a COSE key. Raises ValueError and others if it is none."""
    if key[1] == 1 and key[3] == ED25519 and key[-1] == 6:
        return ed25519.Ed25519PublicKey.from_public_bytes(key[-2])
    if key[1] == 2:
        x, y = (int.from_bytes(key[label]) for label in (-2, -3))
        return ec.EllipticCurvePublicNumbers(x, y, CURVES[key[-1]]()).public_key()
    if key[1] == 3:
        n, e = (int.from_bytes(key[label]) for label in (-1, -2))
        return rsa.RSAPublicNumbers(e, n).public_key()
    raise ValueError("a key of another type")


def _is_signed(key: Key, algorithm: int, signature: bytes, data: bytes) -> bool:
    """Return True if the signature is right. Raises ValueError if the algorithm is not the key's."""
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, data)
        elif isinstance(key, ec.EllipticCurvePublicKey) and algorithm == ES256:
            key.verify(signature, data, ec.ECDSA(SHA256()))
        elif isinstance(key, rsa.RSAPublicKey) and algorithm == RS256:
            key.verify(signature, data, padding.PKCS1v15(), SHA256())
        else:
            raise ValueError("an algorithm of another key")
    except InvalidSignature:
        return False
    return True


def _has_small_order(point: bytes) -> bool:
    """Return True if the order of this Ed25519 point (RFC 8032 5.1) is 1, 2, 4 or 8.

    On -x² + y² = 1 + d x² y² with d = -121665/121666, the points of order 1 and 2 have y² = 1, and those of order 4
    have y = 0. Those of order 8 are the halves of these: y² = -x², so d y⁴ + 2 y² - 1 = 0.
    """
    y = int.from_bytes(point, "little") % 2**255
    return y * (y**2 - 1) * (121666 * (2 * y**2 - 1) - 121665 * y**4) % (2**255 - 19) == 0


# The signature, and the site's own record of the passkey.


def _signature(response: Response) -> Texts:
    key = _cbor(_base64url(response.fact("passkey")["public_key"], "public key")).value
    if not _is_signed(_load(key), key[3], response.bytes_of("response", "signature"), response.signed):
        raise No("wrong_signature", "signed with this passkey", "signed with another key, or over other bytes")
    return "signed with this passkey", "signed with this passkey"


def _eligibility(response: Response) -> Texts:
    was, flag = int(response.fact("passkey")["backup_eligible"]), int(response.flags["BE"])
    return _equal(
        "backup_eligibility_changed",
        f"BE: {was}, as before",
        f"BE: {flag}, as before" if was == flag else f"BE: {flag}",
    )


def _address(response: Response) -> Texts:
    typed, email = response.facts.email, response.fact("account")["email"]
    if typed and typed != email:
        raise No("other_account", typed, email)
    return typed or "none was typed", email


def _enabled(response: Response) -> Texts:
    if response.fact("account")["is_disabled"]:
        raise No("account_disabled", "not disabled", "disabled")
    return "not disabled", "not disabled"


def _counter(response: Response) -> Texts:
    before, now = response.fact("passkey")["sign_count"], int.from_bytes(response.authenticator_data[33:37])
    if not before and not now:
        return "0, if the passkey doesn't count", "0"
    return f"more than {before}", f"{now}" if now > before else f"{now}: it went back. The owner gets a mail."


def _record(response: Response) -> Texts:
    claimed = response.member("response").get("transports") or []
    if not isinstance(claimed, list | dict | str):
        raise No("malformed_response", "a list of transports", _shown(claimed))
    return "a list of transports", f"{len(claimed)}"


def _new(response: Response) -> Texts:
    if response.fact("is_duplicate"):
        raise No("duplicate_credential", "an id that is new here", encode(response.raw_id))
    return "an id that is new here", encode(response.raw_id)


def _kept(response: Response) -> Texts:
    """Another request may remove the passkey while this one is checked."""
    if response.refused == "removed_passkey":
        raise No("removed_passkey", "a passkey to update", "it was removed meanwhile")
    return "", ""


# The lists. `why` begins with "Without it, ".

VERIFICATION, PASSKEYS, TOKENS = "app/ceremonies/verification.py", "app/passkeys.py", "app/single_use.py"


def _of(kind: str) -> tuple[Check, ...]:
    """Return the checks of this kind of ceremony, in the site's order."""
    if kind == "registration":
        return (*_of_the_challenge(kind), *_of_registration())
    return (*_of_the_challenge(kind), *_of_authentication(kind))


def _step(kind: str, created: int | None, used: int | None) -> str:
    """Return the step of 7.1 or of 7.2."""
    number = created if kind == "registration" else used
    return f"{'7.1' if kind == 'registration' else '7.2'}-{number}" if number else ""


def _of_the_challenge(kind: str) -> tuple[Check, ...]:
    is_new = kind == "registration"
    tests = "test_registration.py" if is_new else "test_authentication.py"
    return (
        Check(
            key="answer",
            step=_step(kind, 5, 8),
            last_step=6 if is_new else 9,
            group="challenge",
            title="The answer can be read",
            why="Without it, an attacker could send text that two programs read differently, and show something else "
            "to each of them.",
            by="site",
            file=VERIFICATION,
            name="_client_data",
            line="json.loads(text",
            tests=(
                "test_ceremonies.py::test_client_data_in_another_encoding_is_refused",
                "test_ceremonies.py::test_malformed_client_data_is_refused",
            ),
            reasons=("malformed_response", "not_json", "not_base64url", "not_utf8", "malformed_client_data"),
            judge=_answer,
        ),
        Check(
            key="challenge",
            step=_step(kind, 8, 11),
            group="challenge",
            title="The question was ours",
            why="Without it, an attacker could choose the question, and send us an answer that was made for "
            "something else.",
            by="site",
            file=TOKENS,
            name="read",
            line=".loads(text",
            tests=("test_ceremonies.py::test_foreign_challenge_is_refused",),
            reasons=("malformed_token",),
            judge=_challenge,
        ),
        Check(
            key="fresh",
            step="",
            group="challenge",
            title="It was asked here, just now",
            why="Without it, an attacker could trick you into answering a question that was asked in their browser. "
            "And a stolen answer would be worth something for years.",
            by="site",
            file=TOKENS,
            name="read",
            line="if expires_at <= now()",
            tests=(
                "test_ceremonies.py::test_expired_challenge_is_refused",
                f"{tests}::test_challenge_of_another_{'session' if is_new else 'browser'}_is_refused",
            ),
            reasons=(
                "expired",
                "from_the_future",
                f"bound_to_another_{'browser' if kind == 'authentication' else 'session'}",
            ),
            judge=_fresh,
        ),
        Check(
            key="first_time",
            step="",
            group="challenge",
            title="It is answered for the first time",
            why="Without it, somebody who saw your answer could send it again, and be you.",
            by="site",
            file=TOKENS,
            name="spend",
            line="insert_if_absent(",
            tests=(f"{tests}::test_challenge_works_once", "test_ceremonies.py::test_same_response_again_is_refused"),
            reasons=("already_used",),
            judge=_first_time,
        ),
        Check(
            key="credential_id",
            step=_step(kind, 25, None),
            group="who",
            title="The passkey has an id, and not an endless one",
            why="Without it, anybody could fill the database, or keep it busy, with huge ids.",
            by="site",
            file=VERIFICATION,
            name="open_response",
            line="> LONGEST_CREDENTIAL_ID",
            tests=(f"{tests}::test_credential_id_of_1024_bytes_is_refused",),
            reasons=("malformed_response", "not_base64url", "credential_id_too_long"),
            judge=_credential_id,
        ),
    )


def _of_the_browser(kind: str) -> tuple[Check, ...]:
    """Return the checks that the library makes alike in both ceremonies, with the first on the authenticator data."""
    is_new = kind == "registration"
    verify, call = (
        ("verify_registration", "= verify_registration_response(")
        if is_new
        else ("verify_authentication", "= verify_authentication_response(")
    )
    asked_for = "creating a passkey" if is_new else "signing in"
    return (
        Check(
            key="complete",
            step="",
            group="browser",
            title="Nothing is missing, and both ids agree",
            why="Without it, the site could look up the passkey of one id, and act on the other.",
            by="library",
            file=VERIFICATION,
            name=verify,
            line=call,
            tests=(
                "test_ceremonies.py::test_id_that_is_not_the_raw_id_is_refused",
                "test_ceremonies.py::test_client_data_with_members_missing_is_refused",
            ),
            reasons=("malformed_response", "credential_id_mismatch", "malformed_client_data"),
            judge=_complete,
        ),
        Check(
            key="type",
            step=_step(kind, 7, 10),
            group="browser",
            title=f"It is an answer to {asked_for}",
            why="Without it, a signature for one purpose could be used for the other: one for creating a passkey to "
            "sign in, for example.",
            by="library",
            file=VERIFICATION,
            name=verify,
            line=call,
            tests=("test_ceremonies.py::test_type_of_the_other_ceremony_is_refused",),
            reasons=("wrong_type",),
            judge=_type,
        ),
        Check(
            key="origin",
            step=_step(kind, 9, 12),
            group="browser",
            title="The visitor was on our page",
            why="Without it, a phishing site could show our question as its own, and pass your real answer on to us.",
            by="library",
            file=VERIFICATION,
            name="expectations",
            line='"expected_origin"',
            tests=("test_ceremonies.py::test_another_origin_is_refused",),
            reasons=("wrong_origin",),
            judge=_origin,
        ),
        Check(
            key="rp_id",
            step=_step(kind, 14, 15),
            group="authenticator",
            title="The passkey is for this site",
            why="Without it, an answer by a passkey that was made for another site could be used here.",
            by="library",
            file=VERIFICATION,
            name="expectations",
            line='"expected_rp_id"',
            tests=("test_ceremonies.py::test_another_rp_id_is_refused",),
            reasons=("wrong_rp_id",),
            judge=_rp_id,
        ),
        Check(
            key="present",
            step=_step(kind, 15, 16),
            group="authenticator",
            title="Somebody was there",
            why="Without it, a hostile program could have your device answer while nobody is near it.",
            by="library",
            file=VERIFICATION,
            name=verify,
            line=call,
            tests=("test_ceremonies.py::test_user_who_was_not_present_is_refused",),
            reasons=("user_not_present",),
            judge=_flag("UP", "user_not_present"),
        ),
        Check(
            key="verified",
            step=_step(kind, 16, 17),
            group="authenticator",
            title="It was the device’s owner",
            why="Without it, anybody who finds or borrows the device could answer. The device checks the finger, the "
            "face or the PIN, and says only that it did.",
            by="library",
            file=VERIFICATION,
            name="expectations",
            line='"require_user_verification"',
            tests=("test_ceremonies.py::test_user_who_was_not_verified_is_refused",),
            reasons=("user_not_verified",),
            judge=_flag("UV", "user_not_verified"),
        ),
    )


def _framed_check(kind: str) -> Check:
    return Check(
        key="framed",
        step=_step(kind, 10, 13),
        last_step=11 if kind == "registration" else 14,
        group="browser",
        title="No other site’s frame was around it",
        why="Without it, a hostile site could show ours in an invisible frame, and have you agree to something that "
        "you don’t see.",
        by="site",
        file=VERIFICATION,
        name="_refuse_framed",
        line='"topOrigin" in client_data',
        tests=(
            "test_ceremonies.py::test_response_made_in_another_sites_frame_is_refused",
            "test_ceremonies.py::test_response_made_below_another_page_is_refused",
        ),
        reasons=("cross_origin",),
        judge=_framed,
    )


def _backup_flags_check(kind: str) -> Check:
    verify = "registration" if kind == "registration" else "authentication"
    return Check(
        key="backup_flags",
        step=_step(kind, 17, 18),
        group="authenticator" if kind == "registration" else "site",
        title="What it says about backups makes sense",
        why="Without it, a passkey could claim to have a backup although it can’t have one. Nobody could rely on "
        "either claim.",
        by="library",
        file=VERIFICATION,
        name=f"verify_{verify}",
        line=f"= verify_{verify}_response(",
        tests=("test_ceremonies.py::test_backup_of_a_passkey_that_cannot_be_backed_up_is_refused",),
        reasons=("inconsistent_backup_flags",),
        judge=_backup_flags,
    )


def _of_registration() -> tuple[Check, ...]:
    kind = "registration"
    return (
        Check(
            key="room",
            step="",
            group="who",
            title="The account has room for one more",
            why="Without it, one account could fill the database with passkeys.",
            by="site",
            file=PASSKEYS,
            name="finish_registration",
            line=">= MOST_PASSKEYS",
            tests=("test_registration.py::test_passkey_beyond_the_limit_is_refused",),
            reasons=("enough_passkeys",),
            judge=_room,
        ),
        Check(
            key="proof",
            step="",
            group="who",
            title="The owner had just proven who they are",
            why="Without it, somebody at a browser that you left open could add a passkey of their own, and come back "
            "whenever they like.",
            by="site",
            file=PASSKEYS,
            name="finish_registration",
            line="proof.could_add_passkey(",
            tests=("test_proof.py::test_copied_cookie_cannot_finish_a_passkey_after_the_owners_next_proof",),
            reasons=("not_proven",),
            judge=_proof,
        ),
        _framed_check(kind),
        Check(
            key="readable",
            step="7.1-12",
            last_step=13,
            group="browser",
            title="Every part can be read, to the last byte",
            why="Without it, an attacker could send bytes that two programs read differently: one of them checks, and "
            "the other acts.",
            by="site",
            file=VERIFICATION,
            name="_check_attestation",
            line="ctap2_cbor.end_of(",
            tests=(
                "test_registration.py::test_attestation_object_that_is_not_cbor_is_refused",
                "test_registration.py::test_attestation_object_in_any_order_is_accepted",
                "test_registration.py::test_truncated_authenticator_data_is_refused",
            ),
            reasons=(
                "malformed_response",
                "not_base64url",
                "malformed_cbor",
                "malformed_attestation",
                "malformed_authenticator_data",
            ),
            judge=_readable,
        ),
        Check(
            key="statement",
            step="7.1-21",
            group="browser",
            title="It comes without a maker’s certificate",
            why="Without it, a certificate that we never check would look like a proof of who made the device. We "
            "didn’t ask for one, and browsers leave it out.",
            by="site",
            file=VERIFICATION,
            name="_check_attestation",
            line="if not (is_none or is_self)",
            tests=(
                "test_registration.py::test_another_attestation_format_is_refused",
                "test_registration.py::test_statement_with_a_makers_certificates_is_refused",
            ),
            reasons=("attestation_not_accepted", "malformed_attestation"),
            judge=_statement,
        ),
        *_of_the_browser(kind),
        Check(
            key="algorithm",
            step="7.1-20",
            group="authenticator",
            title="There is a new key, of a kind that we asked for",
            why="Without it, we could store a key whose signatures are weak, or that we can’t check at all.",
            by="library",
            file=VERIFICATION,
            name="verify_registration",
            line="supported_pub_key_algs=ALGORITHMS",
            tests=(
                "test_registration.py::test_algorithm_that_was_not_offered_is_refused",
                "test_registration.py::test_authenticator_data_without_a_credential_is_refused",
            ),
            reasons=("unusable_key", "malformed_authenticator_data", "algorithm_not_offered"),
            judge=_algorithm,
        ),
        Check(
            key="self_signed",
            step="7.1-22",
            last_step=24,
            group="authenticator",
            title="If the new key has signed for itself, the signature is right",
            why="Without it, somebody could send another person’s public key with a signature that proves nothing.",
            by="library",
            file=VERIFICATION,
            name="verify_registration",
            line="= verify_registration_response(",
            tests=(
                "test_registration.py::test_self_attestation_signed_with_another_key_is_refused",
                "test_registration.py::test_self_attestation_without_a_signature_is_refused",
            ),
            reasons=("malformed_response", "malformed_attestation", "wrong_signature"),
            judge=_self_signed,
        ),
        _backup_flags_check(kind),
        Check(
            key="attested_id",
            step="",
            group="authenticator",
            title="The authenticator names the same id as the browser",
            why="Without it, a passkey could be stored under the id of another one.",
            by="site",
            file=VERIFICATION,
            name="verify_registration",
            line="verified.credential_id != decode(",
            tests=("test_registration.py::test_outer_id_that_is_not_the_attested_id_is_refused",),
            reasons=("credential_id_mismatch",),
            judge=_attested_id,
        ),
        Check(
            key="discoverable",
            step="7.1-28",
            group="site",
            title="The device can offer it by itself",
            why="Without it, you could get a passkey that your browser never offers when you sign in.",
            by="site",
            file=VERIFICATION,
            name="verify_registration",
            line='.get("rk") is False',
            tests=("test_registration.py::test_passkey_that_is_not_discoverable_is_refused",),
            reasons=("malformed_response", "not_discoverable"),
            judge=_discoverable,
        ),
        Check(
            key="usable",
            step="",
            group="site",
            title="The key works, and isn’t a weak one",
            why="Without it, a thief could add a key for which anybody can sign. Or you could get a passkey that "
            "never signs you in.",
            by="site",
            file=VERIFICATION,
            name="verify_registration",
            line="public_keys.check(",
            tests=(
                "test_registration.py::test_point_off_the_curve_is_refused",
                "test_registration.py::test_ed25519_key_of_small_order_is_refused",
            ),
            reasons=("unusable_key", "weak_key"),
            judge=_usable,
        ),
        Check(
            key="record",
            step="7.1-27",
            group="site",
            title="The rest can be stored",
            why="Without it, nonsense about how to reach the device would come back to your browser with each sign-in.",
            by="site",
            file=PASSKEYS,
            name="finish_registration",
            line="known_transports(",
            tests=(
                "test_registration.py::test_passkey_is_added",
                "test_registration.py::test_malformed_transports_are_refused",
            ),
            reasons=("malformed_response",),
            judge=_record,
        ),
        Check(
            key="new",
            step="7.1-26",
            group="site",
            title="No account has it yet",
            why="Without it, somebody who knows the id of your passkey could register it as theirs. Then you could "
            "land in their account, or in none.",
            by="site",
            file=PASSKEYS,
            name="finish_registration",
            line="insert_if_absent(Passkey",
            tests=("test_registration.py::test_passkey_of_another_account_is_refused",),
            reasons=("duplicate_credential",),
            judge=_new,
        ),
    )


def _of_authentication(kind: str) -> tuple[Check, ...]:
    is_sign_in = kind == "authentication"
    return (
        Check(
            key="user_handle",
            step="7.2-6",
            group="who",
            title="It names an account" if is_sign_in else "If it names an account, the name can be read",
            why="Without it, nothing would say whose answer this is: nobody typed an address. We would have to trust "
            "the id alone."
            if is_sign_in
            else "Without it, there would be nothing to compare with the account that is signed in.",
            by="site",
            file=PASSKEYS,
            name="finish_authentication" if is_sign_in else "finish_confirmation",
            line='["userHandle"]' if is_sign_in else '.get("userHandle")',
            tests=(
                "test_authentication.py::test_missing_user_handle_is_refused"
                if is_sign_in
                else "test_proof.py::test_security_key_that_leaves_out_the_user_handle_proves",
            ),
            reasons=("malformed_response", "not_base64url"),
            judge=_user_handle,
        ),
        Check(
            key="known",
            step="7.2-6" if is_sign_in else "7.2-5",
            last_step=0 if is_sign_in else 6,
            group="who",
            title="The passkey is known here" if is_sign_in else "The passkey is one of this account",
            why="Without it, anybody could make a passkey on their own device, and answer with that."
            if is_sign_in
            else "Without it, anybody could answer with a passkey of their own account.",
            by="site",
            file=PASSKEYS,
            name="_find_passkey",
            line="if not passkey:" if is_sign_in else "if is_foreign:",
            tests=(
                (
                    "test_authentication.py::test_passkey_that_was_never_registered_is_refused",
                    "test_authentication.py::test_removed_passkey_is_refused",
                )
                if is_sign_in
                else ("test_proof.py::test_another_users_passkey_is_no_proof",)
            ),
            reasons=("unknown_passkey", "removed_passkey", *(() if is_sign_in else ("other_account",))),
            judge=_known,
        ),
        Check(
            key="owner",
            step="7.2-6",
            group="who",
            title="It is its owner’s",
            why="Without it, somebody could send their own passkey with the name of your account.",
            by="site",
            file=PASSKEYS,
            name="_find_passkey",
            line="handle != passkey.user.user_handle",
            tests=(
                "test_authentication.py::test_user_handle_of_another_user_is_refused",
                "test_proof.py::test_security_key_that_names_another_user_does_not_prove",
            ),
            reasons=("wrong_user_handle",),
            judge=_owner,
        ),
        _framed_check(kind),
        Check(
            key="readable",
            step="",
            group="browser",
            title="Every part can be read, to the last byte",
            why="Without it, an attacker could send bytes that two programs read differently: one of them checks, and "
            "the other acts.",
            by="site",
            file=VERIFICATION,
            name="verify_authentication",
            line="ctap2_cbor.check_authenticator_data(",
            tests=(
                "test_authentication.py::test_truncated_authenticator_data_is_refused",
                "test_ceremonies.py::test_extension_data_that_is_not_canonical_is_refused",
            ),
            reasons=("malformed_response", "not_base64url", "malformed_authenticator_data", "malformed_cbor"),
            judge=_readable,
        ),
        *_of_the_browser(kind),
        Check(
            key="signature",
            step="7.2-20",
            last_step=21,
            group="signature",
            title="This passkey’s key signed exactly these bytes",
            why="Without it, anybody could write an answer for any account. Nothing else in it is a secret.",
            by="library",
            file=VERIFICATION,
            name="verify_authentication",
            line="credential_public_key=public_key",
            tests=(
                "test_authentication.py::test_signature_by_another_key_is_refused",
                "test_authentication.py::test_signature_over_other_authenticator_data_is_refused",
            ),
            reasons=("malformed_response", "wrong_signature"),
            judge=_signature,
        ),
        _backup_flags_check(kind),
        Check(
            key="eligibility",
            step="7.2-19",
            group="site",
            title="It can have a backup, or not, as on its first day",
            why="Without it, we wouldn’t notice that the key is now kept in another way than the one we were told.",
            by="site",
            file=VERIFICATION,
            name="verify_authentication",
            line="is_backup_eligible(verified) != backup_eligible",
            tests=(
                "test_authentication.py::test_passkey_that_can_no_longer_be_backed_up_is_refused",
                "test_authentication.py::test_passkey_that_can_suddenly_be_backed_up_is_refused",
            ),
            reasons=("backup_eligibility_changed",),
            judge=_eligibility,
        ),
        Check(
            key="address",
            step="",
            group="site",
            title="It belongs to the address that was typed",
            why="Without it, you could type one address, and land in another account without noticing.",
            by="site",
            file=PASSKEYS,
            name="_check_against_record",
            line="email != passkey.user.email",
            tests=("test_passkeys.py::test_passkey_of_another_account_than_the_typed_one_is_refused",),
            reasons=("other_account",),
            judge=_address,
        ),
        Check(
            key="enabled",
            step="",
            group="site",
            title="The account isn’t disabled",
            why="Without it, somebody whom the operator has locked out could come back with their passkey.",
            by="site",
            file=PASSKEYS,
            name="_check_against_record",
            line="if passkey.user.is_disabled",
            tests=("test_cli.py::test_disabled_account_refuses_every_sign_in",),
            reasons=("account_disabled",),
            judge=_enabled,
        ),
        Check(
            key="counter",
            step="7.2-22",
            group="site",
            title="A counter that goes back is noticed",
            why="Without it, a thief with a copy of the key could use it, and nobody would ever hear of it. The owner "
            "gets a mail. We refuse nothing, because some honest devices count wrongly.",
            by="site",
            file=PASSKEYS,
            name="_check_against_record",
            line="attempt.counter_went_back =",
            tests=("test_authentication.py::test_counter_that_goes_back_is_flagged_and_signs_in",),
            reasons=(),
            judge=_counter,
        ),
        Check(
            key="kept",
            step="7.2-24",
            group="site",
            title="The passkey is still there",
            why="Without it, a passkey that you remove at this very moment could sign in once more.",
            by="site",
            file=PASSKEYS,
            name="_check_against_record",
            line="if not used.rowcount",
            tests=("test_authentication.py::test_backup_state_is_updated",),
            reasons=("removed_passkey",),
            judge=_kept,
        ),
    )


CHECKS = {kind: _of(kind) for kind in ("registration", "authentication", "confirmation")}
"""The checks of each kind of ceremony."""
