"""Every check of a ceremony, in the site's order: why it is made, where in the code, and its verdict on a response.

This judges with code of its own, and the tests compare it with the site's verdict on every response that they send. A
few checks need the site's secret key or its database: they read the site's facts, and the reason of its refusal.

The steps are those of Web Authentication Level 3, 7.1 and 7.2.
"""

import ast
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from app import passkeys, proof
from app.ceremonies.base64url import encode
from app.ceremonies.ctap2_cbor import REPAIRED_KEY
from app.ceremonies.options import CHALLENGE_LIFETIME
from app.single_use import CLOCK_SKEW
from learn.inside import keys
from learn.inside.ceremonies import Ceremony
from learn.inside.responses import No, Response, Unknown, base64url, cbor, shown

ROOT = Path(passkeys.__file__).parent.parent

PASSED, FAILED, NOT_REACHED = "passed", "failed", "not-reached"

LONGEST_CREDENTIAL_ID = 1023

# The longest text that a result shows.
LONGEST = 100

Texts = tuple[str, str]
"""The expected value and the found one, in words."""

Judge = Callable[[Response], Texts]
"""Return the texts, or raise `No` or `Unknown`. Any other exception fails the check for its first reason."""


@dataclass(frozen=True)
class Check:
    """One check of a ceremony."""

    key: str
    step: str
    """The step of the specification, such as "7.2-12", or "" if the check is the site's own."""
    group: str
    """"challenge", "who", "browser", "authenticator", "signature" or "site". The checks of a group are neighbours."""
    title: str
    """The claim that must be true, in plain words."""
    why: str
    """The harm that could follow otherwise. It begins with "Without it, "."""
    by: str
    """"library" or "site"."""
    file: str
    name: str
    line: str
    """A text that occurs once in the function `name` of `file`."""
    tests: tuple[str, ...]
    reasons: tuple[str, ...]
    """The refusals that it can lead to."""
    judge: Callable[[Any], Texts] = field(repr=False, compare=False)
    """A Judge."""
    last_step: int = 0
    """The number of the last step, if the check covers several."""

    @property
    def steps(self) -> str:
        """The numbers of the steps: "12", "13-14", or ""."""
        first = self.step.partition("-")[2]
        return f"{first}-{self.last_step}" if self.last_step else first


@dataclass(frozen=True)
class Result:
    """The verdict of one check on one response."""

    check: Check
    verdict: str
    """"passed", "failed" or "not-reached"."""
    expected: str = ""
    found: str = ""
    reason: str = ""
    """If it failed: the name of the refusal."""


def judge(ceremony: Ceremony) -> list[Result]:
    """Return the result of every check, in the site's order. After one that fails, none is reached.

    A check that needs a fact that isn't recorded is not reached either. The others go on without it.
    """
    response, results, has_failed = Response(ceremony), [], False
    for check in CHECKS.get(ceremony.kind, ()):
        results.append(Result(check, NOT_REACHED) if has_failed else _result(check, response))
        has_failed = has_failed or results[-1].verdict == FAILED
    return results


def _result(check: Check, response: Response) -> Result:
    try:
        expected, found = check.judge(response)
        return Result(check, PASSED, _short(expected), _short(found))
    except No as no:
        return Result(check, FAILED, _short(no.expected), _short(no.found), no.reason)
    except Unknown:
        return Result(check, NOT_REACHED)
    except Exception as error:
        # Python and cryptography raise anything on a value of another kind than the check needs.
        return Result(check, FAILED, "", _short(f"{type(error).__name__}: {error}"), check.reasons[0])


def _short(text: str) -> str:
    """Return a text that any page can show. A lone surrogate can't be encoded."""
    text = text[:LONGEST] + "…" * (len(text) > LONGEST)
    return text.encode(errors="backslashreplace").decode()


@cache
def line_of(check: Check) -> int:
    """Return the number of the line that makes the check. Raises ValueError if there is no such line, or several."""
    source = (ROOT / check.file).read_text()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef) and node.name == check.name:
            lines = list(enumerate(source.splitlines(), 1))[node.lineno - 1 : node.end_lineno]
            found = [number for number, line in lines if check.line in line]
            if len(found) == 1:
                return found[0]
    raise ValueError(f"{check.file} {check.name}: {check.line}")


# The words that differ between the three kinds.
WORDS = {
    "registration": {"ceremony": "registration", "deed": "for a new passkey", "bound_to": "session"},
    "authentication": {"ceremony": "authentication", "deed": "to sign in", "bound_to": "browser"},
    "confirmation": {"ceremony": "authentication", "deed": "to sign in", "bound_to": "session"},
}

_makers: dict[str, Callable[[str], Check]] = {}


def _check(
    group: str, by: str, title: str, why: str, at: str, tests: str, reasons: str, created: str = "", used: str = ""
) -> Callable[[Judge], Judge]:
    """Make a check of a function. The function's name is the key.

    `created` and `used` are the steps of 7.1 and 7.2. `at` is file, function and a text of the line. `{ceremony}`,
    `{deed}` and `{bound_to}` stand for the WORDS, and in `at`, `{kind}` for the kind.
    """

    def decorate(judge: Judge) -> Judge:
        key = judge.__name__.strip("_")

        def make(kind: str) -> Check:
            section, steps = ("7.1", created) if kind == "registration" else ("7.2", used)
            first, _, last = steps.partition("-")
            file, name, line = at.format(kind=kind, **WORDS[kind]).split(" ", 2)
            return Check(
                key=key,
                step=f"{section}-{first}" if first else "",
                group=group,
                title=title.format(**WORDS[kind]),
                why=f"Without it, {why}",
                by=by,
                file=file,
                name=name,
                line=line,
                tests=tuple(tests.format(**WORDS[kind]).split()),
                reasons=tuple(reasons.format(**WORDS[kind]).split()),
                judge=judge,
                last_step=int(last or 0),
            )

        _makers[key] = make
        return judge

    return decorate


# The challenge.


@_check(
    group="challenge",
    by="site",
    title="The answer can be read",
    why="an attacker could send text that two programs read differently, and show something else to each of them.",
    at="app/ceremonies/verification.py _client_data json.loads(text",
    tests="test_ceremonies.py::test_client_data_in_another_encoding_is_refused "
    "test_ceremonies.py::test_malformed_client_data_is_refused",
    reasons="malformed_response not_json not_base64url not_utf8 malformed_client_data",
    created="5-6",
    used="8-9",
)
def _answer(response: Response) -> Texts:
    base64url(response.client_data["challenge"], "challenge")
    return "JSON in UTF-8", f"{len(response.client_data_json)} bytes of JSON"


@_check(
    group="challenge",
    by="site",
    title="The question was ours",
    why="an attacker could choose the question, and send us an answer that they got earlier.",
    at="app/single_use.py read .loads(text",
    tests="test_ceremonies.py::test_foreign_challenge_is_refused",
    reasons="malformed_token",
    created="8",
    used="11",
)
def _challenge(response: Response) -> Texts:
    found, ours = response.client_data["challenge"], "signed by this site, for this purpose"
    if response.refused == "malformed_token":
        raise No("malformed_token", ours, found)
    # There are no options if a later check of the challenge failed.
    if response.facts.options is None:
        return ours, found
    return _equal("malformed_token", response.fact("options", "challenge"), found)


@_check(
    group="challenge",
    by="site",
    title="It was asked here, just now",
    why="an attacker could trick you into answering a question that was asked in their browser. A stolen answer would "
    "stay useful for years.",
    at="app/single_use.py read if expires_at <= now()",
    tests="test_ceremonies.py::test_expired_challenge_is_refused "
    "test_registration.py::test_challenge_of_another_session_is_refused "
    "test_authentication.py::test_challenge_of_another_browser_is_refused "
    "test_proof.py::test_another_sessions_challenge_is_no_proof",
    reasons="expired from_the_future bound_to_another_{bound_to}",
)
def _fresh(response: Response) -> Texts:
    facts, minutes = response.facts, round(CHALLENGE_LIFETIME.total_seconds() / 60)
    expected = f"asked in this {facts.bound_to}, at most {minutes} minutes ago"
    refusals = {
        "expired": f"more than {minutes} minutes ago",
        "from_the_future": "dated ahead",
        "bound_to_another_session": "asked in another session",
        "bound_to_another_browser": "asked in another browser",
    }
    if response.refused in refusals:
        raise No(response.refused, expected, refusals[response.refused])
    seconds = (response.fact("arrived_at") - response.fact("issued_at")) / 1000
    if seconds > CHALLENGE_LIFETIME.total_seconds():
        raise No("expired", expected, f"{seconds:.1f} seconds ago")
    return expected, f"{seconds:.1f} seconds ago"


@_check(
    group="challenge",
    by="site",
    title="It is answered for the first time",
    why="somebody who saw your answer could send it again, and be you.",
    at="app/single_use.py spend insert_if_absent(",
    tests="test_{ceremony}.py::test_challenge_works_once test_ceremonies.py::test_same_response_again_is_refused",
    reasons="already_used",
)
def _first_time(response: Response) -> Texts:
    response.fact("issued_at")
    if response.refused == "already_used":
        raise No("already_used", "not used before", "used before")
    return "not used before", "not used before"


# Who answers.


@_check(
    group="who",
    by="site",
    title="The passkey’s id can be read, and is not too long",
    why="anybody could fill the database, or keep it busy, with huge ids.",
    at="app/ceremonies/verification.py open_response > LONGEST_CREDENTIAL_ID",
    tests="test_{ceremony}.py::test_credential_id_of_1024_bytes_is_refused",
    reasons="malformed_response not_base64url credential_id_too_long",
    created="25",
)
def _credential_id(response: Response) -> Texts:
    size = len(response.raw_id)
    if size > LONGEST_CREDENTIAL_ID:
        raise No("credential_id_too_long", f"at most {LONGEST_CREDENTIAL_ID} bytes", f"{size} bytes")
    return f"at most {LONGEST_CREDENTIAL_ID} bytes", f"{size} bytes"


@_check(
    group="who",
    by="site",
    title="The account has room for one more",
    why="one account could fill the database with passkeys.",
    at="app/passkeys.py finish_registration >= MOST_PASSKEYS",
    tests="test_registration.py::test_passkey_beyond_the_limit_is_refused",
    reasons="enough_passkeys",
)
def _room(response: Response) -> Texts:
    count, expected = response.fact("passkeys"), f"fewer than {passkeys.MOST_PASSKEYS} passkeys so far"
    if count >= passkeys.MOST_PASSKEYS:
        raise No("enough_passkeys", expected, f"{count}")
    return expected, f"{count}"


@_check(
    group="who",
    by="site",
    title="You had just proven who you are",
    why="somebody at a browser that you left open could add a passkey of their own, and come back at any time.",
    at="app/passkeys.py finish_registration proof.could_add_passkey(",
    tests="test_proof.py::test_copied_cookie_cannot_finish_a_passkey_after_the_owners_next_proof "
    "test_proof.py::test_proof_by_a_removed_passkey_no_longer_counts",
    reasons="not_proven",
)
def _proof(response: Response) -> Texts:
    """The proof was fresh when the options were made, or a recovery code had opened the session. No time is ahead."""
    issued, arrived = response.fact("issued_at"), response.fact("arrived_at")
    fresh, recovery, skew = (
        time.total_seconds() * 1000 for time in (proof.PROOF_LIFETIME, proof.RECOVERY_LIFETIME, CLOCK_SKEW)
    )
    proved_at, until = response.fact("proof", "proved_at"), response.fact("proof")["recovering_until"]
    expected = f"proven in this browser, at most {fresh / 60_000:.0f} minutes before the question"
    if until is not None and issued < until <= arrived + recovery + skew:
        return expected, "signed in with a recovery code, less than an hour before"
    if not response.fact("proof", "has_mark"):
        raise No("not_proven", expected, "not proven in this browser, or proven again elsewhere")
    found = f"{(issued - proved_at) / 1000:.0f} seconds before"
    if not issued - fresh < proved_at <= arrived + skew:
        raise No("not_proven", expected, found)
    return expected, found


@_check(
    group="who",
    by="site",
    title="It says whose it is",
    why="only the id would say whose answer this is. One mix-up of ids would open another person’s account.",
    at="app/passkeys.py finish_{kind} userHandle",
    tests="test_authentication.py::test_missing_user_handle_is_refused "
    "test_proof.py::test_security_key_that_leaves_out_the_user_handle_proves",
    reasons="malformed_response not_base64url",
    used="6",
)
def _user_handle(response: Response) -> Texts:
    if response.user_handle is None:
        return "may be left out, because you are signed in", "left out"
    return "a user handle", encode(response.user_handle)


@_check(
    group="who",
    by="site",
    title="The passkey is known here",
    why="anybody could make a passkey on their own device, and answer with that.",
    at="app/passkeys.py _find_passkey if not passkey:",
    tests="test_authentication.py::test_passkey_that_was_never_registered_is_refused "
    "test_authentication.py::test_removed_passkey_is_refused test_proof.py::test_another_users_passkey_is_no_proof",
    reasons="unknown_passkey removed_passkey other_account",
    used="6",
)
def _known(response: Response) -> Texts:
    lookup, expected = response.fact("lookup"), "a passkey that is registered here"
    if lookup == "other_account":
        raise No("other_account", "a passkey of this account", "a passkey of another account")
    if lookup != "found":
        raise No(f"{lookup}_passkey", expected, encode(response.raw_id))
    return expected, encode(response.raw_id)


@_check(
    group="who",
    by="site",
    title="The device and our records name the same account",
    why="somebody could send their own passkey with the name of your account.",
    at="app/ceremonies/verification.py check_user_handle handle != expected",
    tests="test_authentication.py::test_user_handle_of_another_user_is_refused "
    "test_proof.py::test_security_key_that_names_another_user_does_not_prove",
    reasons="wrong_user_handle",
    used="6",
)
def _owner(response: Response) -> Texts:
    owner = response.fact("account", "user_handle")
    if response.user_handle is None:
        return owner, "left out"
    return _equal("wrong_user_handle", owner, encode(response.user_handle))


# What the browser sent.


@_check(
    group="browser",
    by="site",
    title="Our page was not in another site’s frame",
    why="a hostile site could show ours in an invisible frame, and have you agree to something that you don’t see.",
    at='app/ceremonies/verification.py _refuse_framed "topOrigin" in client_data',
    tests="test_ceremonies.py::test_response_made_in_another_sites_frame_is_refused "
    "test_ceremonies.py::test_response_made_below_another_page_is_refused",
    reasons="cross_origin",
    created="10-11",
    used="13-14",
)
def _framed(response: Response) -> Texts:
    client_data, expected = response.client_data, "crossOrigin: false, no topOrigin"
    found = [f"{name}: {shown(client_data[name])}" for name in ("crossOrigin", "topOrigin") if name in client_data]
    if client_data.get("crossOrigin", False) is not False or "topOrigin" in client_data:
        raise No("cross_origin", expected, ", ".join(found))
    return expected, ", ".join(found) or "neither"


@_check(
    group="browser",
    by="site",
    title="Every part can be read, to its last byte",
    why="an attacker could send bytes that two programs read differently: one of them checks, the other acts.",
    at="app/ceremonies/ctap2_cbor.py check_authenticator_data if at != len(data)",
    tests="test_ceremonies.py::test_authenticator_data_that_goes_on_is_refused "
    "test_ceremonies.py::test_extension_data_that_is_not_canonical_is_refused "
    "test_registration.py::test_attestation_object_that_is_not_cbor_is_refused "
    "test_registration.py::test_attestation_object_in_any_order_is_accepted",
    reasons="malformed_response not_base64url malformed_cbor malformed_attestation malformed_authenticator_data",
    created="13",
    used="7",
)
def _readable(response: Response) -> Texts:
    """The maps in authenticator data have the canonical form of CTAP2. Nothing follows them."""
    data = response.authenticator_data
    if len(data) < 37:
        raise No("malformed_authenticator_data", "at least 37 bytes of authenticator data", f"{len(data)} bytes")
    # L3 6.5.1: AAGUID (16 bytes), length of the credential id (2 bytes), credential id, public key.
    at = 55 + int.from_bytes(data[53:55]) if response.flags["AT"] else 37
    for flag, name in (("AT", "public key"), ("ED", "extension data")):
        if response.flags[flag]:
            if at >= len(data) or data[at] >> 5 != 5:
                raise No("malformed_authenticator_data", f"a map with the {name}", f"none at byte {at}")
            item = cbor(data, at)
            if data.startswith(REPAIRED_KEY, at):
                raise No("malformed_cbor", "a map that the library reads as it is", "one that it would change")
            if not item.is_canonical:
                raise No("malformed_cbor", f"a {name} in canonical form", "another form")
            at = item.end
    if at < len(data):
        raise No("malformed_authenticator_data", f"{at} bytes of authenticator data", f"{len(data)} bytes")
    if response.kind != "registration":
        response.bytes_of("response", "signature")
    return "authenticator data as long as its flags say", f"{len(data)} bytes"


@_check(
    group="browser",
    by="site",
    title="It brings no certificate of the device’s maker",
    why="a certificate that nobody checks would look like a proof of who made the device. We didn’t ask for one.",
    at="app/ceremonies/verification.py _check_attestation if not (is_none or is_self)",
    tests="test_registration.py::test_another_attestation_format_is_refused "
    "test_registration.py::test_statement_with_a_makers_certificates_is_refused",
    reasons="attestation_not_accepted malformed_attestation",
    created="21",
)
def _statement(response: Response) -> Texts:
    format, statement = response.attestation["fmt"], response.attestation["attStmt"]
    expected, found = "none, or packed without x5c", shown(format)
    is_self = format == "packed" and isinstance(statement, dict) and "x5c" not in statement
    if not (is_self or (format == "none" and statement == {})):
        raise No("attestation_not_accepted", expected, f"{found}, statement: {shown(statement)}")
    if not isinstance(statement.get("sig", b""), bytes):
        raise No("malformed_attestation", "sig in bytes", shown(statement["sig"]))
    return expected, found


@_check(
    group="browser",
    by="library",
    title="Nothing is missing, and its two ids agree",
    why="the site could look up the passkey of one id, and act on the other.",
    at="app/ceremonies/verification.py verify_{ceremony} = verify_{ceremony}_response(",
    tests="test_ceremonies.py::test_id_that_is_not_the_raw_id_is_refused "
    "test_ceremonies.py::test_client_data_with_members_missing_is_refused",
    reasons="malformed_response credential_id_mismatch malformed_client_data",
)
def _complete(response: Response) -> Texts:
    credential, client_data = response.credential, response.client_data
    attachment, id = credential.get("authenticatorAttachment"), response.member("id")
    if isinstance(attachment, str) and attachment not in ("platform", "cross-platform"):
        raise No("malformed_response", "platform or cross-platform", attachment)
    if not isinstance(id, str) or response.member("type") != "public-key":
        raise No("malformed_response", "type: public-key, and an id", f"type: {shown(credential.get('type'))}")
    if id != credential["rawId"]:
        raise No("credential_id_mismatch", credential["rawId"], id)
    if "type" not in client_data or "origin" not in client_data:
        raise No("malformed_client_data", "type, challenge and origin", ", ".join(client_data))
    # The library still reads this member of Level 2.
    if isinstance(binding := client_data.get("tokenBinding"), dict) and "status" not in binding:
        raise No("malformed_client_data", "tokenBinding with a status", "none")
    return id, id


@_check(
    group="browser",
    by="library",
    title="It answers a request {deed}",
    why="a signature that was given for one purpose could be used for the other: to sign in, for example, although "
    "you were only creating a passkey.",
    at="app/ceremonies/verification.py verify_{ceremony} = verify_{ceremony}_response(",
    tests="test_ceremonies.py::test_type_of_the_other_ceremony_is_refused",
    reasons="wrong_type",
    created="7",
    used="10",
)
def _type(response: Response) -> Texts:
    expected = "webauthn.create" if response.kind == "registration" else "webauthn.get"
    return _equal("wrong_type", expected, response.client_data["type"])


@_check(
    group="browser",
    by="library",
    title="The visitor was on our page",
    why="a phishing page could show our question as its own, and pass your real answer on to us. Browsers stop pages "
    "of other domains. This check stops pages on our subdomains and other ports.",
    at='app/ceremonies/verification.py expectations "expected_origin"',
    tests="test_ceremonies.py::test_another_origin_is_refused",
    reasons="wrong_origin malformed_client_data",
    created="9",
    used="12",
)
def _origin(response: Response) -> Texts:
    texts = _equal("wrong_origin", response.fact("origin"), response.client_data["origin"])
    # After the origin, the library looks at a member of Level 2 that is out of use.
    status = binding["status"] if isinstance(binding := response.client_data.get("tokenBinding"), dict) else "present"
    if status not in ("supported", "present"):
        raise No("malformed_client_data", "tokenBinding: supported or present", shown(status))
    return texts


# What the authenticator wrote.


@_check(
    group="authenticator",
    by="library",
    title="The passkey is for this site",
    why="a passkey that was made for another site could be used here.",
    at='app/ceremonies/verification.py expectations "expected_rp_id"',
    tests="test_ceremonies.py::test_another_rp_id_is_refused",
    reasons="wrong_rp_id",
    created="14",
    used="15",
)
def _rp_id(response: Response) -> Texts:
    expected = sha256(response.fact("rp_id").encode()).hexdigest()
    return _equal("wrong_rp_id", expected, response.authenticator_data[:32].hex())


@_check(
    group="authenticator",
    by="library",
    title="Somebody was there",
    why="a hostile program could have your device answer while nobody is near it.",
    at="app/ceremonies/verification.py verify_{ceremony} = verify_{ceremony}_response(",
    tests="test_ceremonies.py::test_user_who_was_not_present_is_refused",
    reasons="user_not_present",
    created="15",
    used="16",
)
def _present(response: Response) -> Texts:
    return _equal("user_not_present", "UP: 1", _flags(response, "UP"))


@_check(
    group="authenticator",
    by="library",
    title="It was the device’s owner",
    why="anybody who finds or borrows your device could answer. The device checks the finger, the face or the PIN, and "
    "tells us only that it did.",
    at='app/ceremonies/verification.py expectations "require_user_verification"',
    tests="test_ceremonies.py::test_user_who_was_not_verified_is_refused",
    reasons="user_not_verified",
    created="16",
    used="17",
)
def _verified(response: Response) -> Texts:
    options, found = response.fact("options"), _flags(response, "UV")
    wish = options.get("authenticatorSelection") if response.kind == "registration" else options
    if isinstance(wish, dict) and wish.get("userVerification") == "required":
        return _equal("user_not_verified", "UV: 1", found)
    return "UV: 0 or 1, because the options don’t require it", found


@_check(
    group="authenticator",
    by="library",
    title="There is a new key, of a kind that we asked for",
    why="we could store a key that we can’t check signatures with.",
    at="app/ceremonies/verification.py verify_registration supported_pub_key_algs=ALGORITHMS",
    tests="test_registration.py::test_algorithm_that_was_not_offered_is_refused "
    "test_registration.py::test_authenticator_data_without_a_credential_is_refused "
    "test_registration.py::test_malformed_key_is_refused",
    reasons="unusable_key malformed_authenticator_data algorithm_not_offered",
    created="20",
)
def _algorithm(response: Response) -> Texts:
    if not response.flags["AT"] or not response.ranges["credential_id"].data:
        raise No("malformed_authenticator_data", "a new passkey’s id and key", "none")
    key = response.ranges["public_key"].value
    # Type 7 is ML-DSA. The library reads such keys too, but we offered no algorithm of theirs.
    parts = {keys.OKP: (-1, -2), keys.EC2: (-1, -2, -3), keys.RSA: (-1, -2), 7: (-1,)}[key[1]]
    if not all(key[part] for part in (3, *parts)):
        raise No("unusable_key", "a key with all its parts", "an empty part")
    offered = response.offered
    expected = f"one of {', '.join(map(str, offered))}"
    if key[3] not in offered:
        raise No("algorithm_not_offered", expected, shown(key[3]))
    return expected, shown(key[3])


# The signature.


@_check(
    group="signature",
    by="library",
    title="If the new key signed for itself, the signature is right",
    why="a signature that proves nothing would look like proof that the sender has the private key.",
    at="app/ceremonies/verification.py verify_registration = verify_registration_response(",
    tests="test_registration.py::test_self_attestation_signed_with_another_key_is_refused "
    "test_registration.py::test_self_attestation_without_a_signature_is_refused",
    reasons="malformed_response malformed_attestation wrong_signature",
    created="22",
)
def _self_signed(response: Response) -> Texts:
    if response.attestation["fmt"] == "none":
        return "may be left out", "left out"
    statement, key = response.attestation["attStmt"], response.ranges["public_key"].value
    if not statement.get("sig") or statement.get("alg") != key[3]:
        raise No("malformed_attestation", f"a signature by {key[3]}", f"alg: {shown(statement.get('alg'))}")
    if not keys.is_signed(keys.load(key), key[3], statement["sig"], response.signed):
        raise No("wrong_signature", "signed with the new key", "signed with another key, or other bytes were signed")
    return "signed with the new key", "signed with the new key"


@_check(
    group="signature",
    by="library",
    title="This passkey’s key signed exactly these bytes",
    why="anybody could write an answer for any account. Nothing else in it is a secret.",
    at="app/ceremonies/verification.py verify_authentication credential_public_key=public_key",
    tests="test_authentication.py::test_signature_by_another_key_is_refused "
    "test_authentication.py::test_signature_over_another_challenge_is_refused "
    "test_authentication.py::test_signature_over_other_authenticator_data_is_refused",
    reasons="malformed_response wrong_signature",
    used="20-21",
)
def _signature(response: Response) -> Texts:
    key = cbor(base64url(response.fact("passkey", "public_key"), "public_key")).value
    if not keys.is_signed(keys.load(key), key[3], response.bytes_of("response", "signature"), response.signed):
        raise No("wrong_signature", "signed with this passkey", "signed with another key, or other bytes were signed")
    return "signed with this passkey", "signed with this passkey"


# The site's own record of the passkey.


@_check(
    group="site",
    by="library",
    title="It claims no backup that it can’t have",
    why="a passkey could contradict itself, and nobody could rely on what it says about its backup.",
    at="app/ceremonies/verification.py verify_{ceremony} = verify_{ceremony}_response(",
    tests="test_ceremonies.py::test_backup_of_a_passkey_that_cannot_be_backed_up_is_refused",
    reasons="inconsistent_backup_flags",
    created="17",
    used="18",
)
def _backup_flags(response: Response) -> Texts:
    expected, found = "not BS: 1 without BE: 1", _flags(response, "BE", "BS")
    if response.flags["BS"] and not response.flags["BE"]:
        raise No("inconsistent_backup_flags", expected, found)
    return expected, found


@_check(
    group="site",
    by="site",
    title="The flag BE is the same as on its first day",
    why="we wouldn’t notice an authenticator that contradicts itself. A passkey keeps this flag for life: it says if "
    "the passkey may be copied.",
    at="app/ceremonies/verification.py verify_authentication is_backup_eligible(verified) != backup_eligible",
    tests="test_authentication.py::test_passkey_that_can_no_longer_be_backed_up_is_refused "
    "test_authentication.py::test_passkey_that_can_suddenly_be_backed_up_is_refused",
    reasons="backup_eligibility_changed",
    used="19",
)
def _eligibility(response: Response) -> Texts:
    expected = f"BE: {response.fact('passkey', 'backup_eligible'):d}"
    return _equal("backup_eligibility_changed", expected, _flags(response, "BE"))


@_check(
    group="site",
    by="site",
    title="It belongs to the address that was typed",
    why="you could type one address, and land in another account without noticing.",
    at="app/passkeys.py _check_against_record email != passkey.user.email",
    tests="test_passkeys.py::test_passkey_of_another_account_than_the_typed_one_is_refused",
    reasons="other_account",
)
def _address(response: Response) -> Texts:
    typed, email = response.facts.email, response.fact("account", "email")
    return _equal("other_account", typed, email) if typed else ("none was typed", email)


@_check(
    group="site",
    by="site",
    title="The account isn’t disabled",
    why="somebody whom the operator has locked out could come back with their passkey.",
    at="app/passkeys.py _check_against_record if passkey.user.is_disabled",
    tests="test_cli.py::test_disabled_account_refuses_every_sign_in",
    reasons="account_disabled",
)
def _enabled(response: Response) -> Texts:
    found = "disabled" if response.fact("account", "is_disabled") else "not disabled"
    return _equal("account_disabled", "not disabled", found)


@_check(
    group="site",
    by="site",
    title="A counter that doesn’t go up is noticed",
    why="a thief could use a copy of your key, and no counter would tell you. If it doesn’t go up, you get a mail. We "
    "don’t refuse the answer, because the device may count wrongly.",
    at="app/passkeys.py _check_against_record attempt.counter_went_back =",
    tests="test_authentication.py::test_counter_that_goes_back_is_flagged_and_signs_in "
    "test_authentication.py::test_counter_that_is_always_zero_is_normal",
    reasons="",
    used="22",
)
def _counter(response: Response) -> Texts:
    before, now = response.fact("passkey", "sign_count"), int.from_bytes(response.authenticator_data[33:37])
    if not before and not now:
        return "0, if it doesn’t count", "0"
    return f"more than {before}", f"{now}" if now > before else f"{now}: it didn’t go up"


@_check(
    group="site",
    by="site",
    title="The passkey is still there",
    why="a passkey that you remove at this very moment could be used once more.",
    at="app/passkeys.py _check_against_record if not used.rowcount",
    tests="test_authentication.py::test_backup_state_is_updated",
    reasons="removed_passkey",
    used="24",
)
def _kept(response: Response) -> Texts:
    response.fact("passkey", "sign_count")
    if response.refused == "removed_passkey":
        raise No("removed_passkey", "a record to update", "it was removed while we checked")
    return "a record to update", "a record to update"


@_check(
    group="site",
    by="site",
    title="The authenticator and the browser name the same id",
    why="we could check one id, and store another.",
    at="app/ceremonies/verification.py verify_registration verified.credential_id != decode(",
    tests="test_registration.py::test_outer_id_that_is_not_the_attested_id_is_refused",
    reasons="credential_id_mismatch",
)
def _attested_id(response: Response) -> Texts:
    found = encode(response.ranges["credential_id"].data)
    return _equal("credential_id_mismatch", encode(response.raw_id), found)


@_check(
    group="site",
    by="site",
    title="Your device can offer it by itself",
    why="you could get a passkey that your browser never offers when you sign in.",
    at='app/ceremonies/verification.py verify_registration .get("rk") is False',
    tests="test_registration.py::test_passkey_that_is_not_discoverable_is_refused "
    "test_registration.py::test_malformed_extension_results_are_refused",
    reasons="malformed_response not_discoverable",
    created="28",
)
def _discoverable(response: Response) -> Texts:
    outputs = response.credential.get("clientExtensionResults", {}).get("credProps", {})
    found = f"rk: {shown(outputs['rk'])}" if "rk" in outputs else "not said"
    if outputs.get("rk") is False:
        raise No("not_discoverable", "rk: true, or not said", found)
    return "rk: true, or not said", found


@_check(
    group="site",
    by="site",
    title="The key works, and isn’t a weak one",
    why="a thief could add a key for which anybody can sign. Or you could get a passkey that never signs you in.",
    at="app/ceremonies/verification.py verify_registration public_keys.check(",
    tests="test_registration.py::test_point_off_the_curve_is_refused "
    "test_registration.py::test_ed25519_key_of_small_order_is_refused",
    reasons="unusable_key weak_key",
)
def _usable(response: Response) -> Texts:
    cose = response.ranges["public_key"].value
    key, expected = keys.load(cose), "a key that can check signatures"
    if not keys.fits(key, cose[3]):
        raise No("unusable_key", expected, f"{type(key).__name__} for algorithm {cose[3]:d}")
    if keys.is_weak(key):
        raise No("weak_key", expected, "a key for which anybody can sign")
    return expected, type(key).__name__


@_check(
    group="site",
    by="site",
    title="The ways to reach the device can be stored",
    why="nonsense would be stored with the passkey, and come back to your browser later.",
    at="app/passkeys.py finish_registration known_transports(",
    tests="test_registration.py::test_malformed_transports_are_refused "
    "test_registration.py::test_unknown_transports_are_left_out test_registration.py::test_passkey_is_added",
    reasons="malformed_response",
    created="27",
)
def _transports(response: Response) -> Texts:
    claimed = response.member("response").get("transports") or []
    if not isinstance(claimed, list | dict | str):
        raise No("malformed_response", "a list", shown(claimed))
    return "a list", ", ".join(map(shown, claimed))


@_check(
    group="site",
    by="site",
    title="No account has it yet",
    why="somebody who knows the id and public key of your passkey could register it as their own. You could end up in "
    "their account, or in none.",
    at="app/passkeys.py finish_registration insert_if_absent(Passkey",
    tests="test_registration.py::test_passkey_of_another_account_is_refused "
    "test_registration.py::test_passkey_of_this_account_is_refused_a_second_time",
    reasons="duplicate_credential",
    created="26",
)
def _new(response: Response) -> Texts:
    found = "registered already" if response.fact("is_duplicate") else "new here"
    return _equal("duplicate_credential", "new here", found)


def _equal(reason: str, expected: str, found: object) -> Texts:
    if found != expected:
        raise No(reason, shown(expected), shown(found))
    return expected, expected


def _flags(response: Response, *names: str) -> str:
    return ", ".join(f"{name}: {response.flags[name]:d}" for name in names)


# The site's order. It differs from the specification's: the site spends the challenge and finds the passkey before it
# calls the library, and the library has an order of its own.
_CHALLENGE = "answer challenge fresh first_time credential_id"
_LIBRARY = "complete type origin rp_id present verified"
_SIGN_IN = f"""{_CHALLENGE} user_handle known owner framed readable {_LIBRARY} signature
    backup_flags eligibility address enabled counter kept"""
_ORDER = {
    "registration": f"""{_CHALLENGE} room proof framed readable statement {_LIBRARY} algorithm self_signed
        backup_flags attested_id discoverable usable transports new""",
    "authentication": _SIGN_IN,
    "confirmation": _SIGN_IN,
}

CHECKS = {kind: tuple(_makers[key](kind) for key in order.split()) for kind, order in _ORDER.items()}
"""The checks of each kind of ceremony."""
