"""Both ceremonies: the responses that are accepted or refused whether they create a passkey or sign in with one.

A refusal is a 400 with one sentence that is the same for almost every cause. The log has the exact reason. No row
changes, but each response spends the challenge that it answers if it is one of ours.
"""

from collections.abc import Callable
from datetime import timedelta

import cbor2
import pytest
import time_machine
from werkzeug.test import TestResponse

from app.ceremonies.options import CHALLENGE_LIFETIME
from app.models import Passkey, now
from authenticator import BE, BS, ED, MISSING, UP, UV, Authenticator, changed, decode, encode, respelled
from tests.conftest import ADA, Visitor, count, expect
from tests.malformed import (
    CHALLENGES_NOT_BASE64URL,
    NOT_A_CREDENTIAL,
    NOT_A_MAP,
    NOT_A_TOKEN,
    NOT_BASE64URL,
    NOT_CANONICAL,
    NOT_CLIENT_DATA,
    NOT_JSON,
    OTHER_ENCODINGS,
    OTHER_ORIGINS,
    unfolding_cbor,
)

TOO_LATE = "You took too long, so this has expired. Please try again."
USED = "This works only once, and it was used already. Please try again."


class Registration:
    """Ada has signed in by email, and creates a passkey."""

    path = "/account/passkeys"
    type_of_the_other = "webauthn.get"
    # On localhost, the sentence ends with help for developers.
    sentence = (
        "The passkey could not be added. Nothing has changed. Please try again. No fingerprint reader or screen lock? "
        "Chrome’s developer tools have a virtual one. The doctor says how to turn it on, and what this browser can do."
    )

    def __init__(self, visitor: Visitor, phone: Authenticator):
        self.visitor, self.phone = visitor, phone
        visitor.sign_in_by_link(ADA)

    def options(self) -> dict:
        """Return new options."""
        return self.visitor.creation_options()

    def options_of_the_other(self, stranger: Visitor) -> dict:
        """Return options of the other ceremony."""
        return stranger.request_options()

    def answer(self, options: dict | None = None, **knobs) -> dict:
        """Answer these options, or new ones, with something wrong."""
        return self.phone.create(options or self.options(), **knobs)

    def send(self, credential: object) -> TestResponse:
        """Send what the authenticator answered, or text as it is."""
        return self.visitor.register(credential)

    def start_over(self) -> None:
        """Be ready for the next response: Ada is still signed in."""

    def has_worked(self) -> bool:
        """Return whether there is a passkey now."""
        return count(self.visitor.app, Passkey) == 1


class Authentication:
    """Ada has a passkey and is signed out, and signs in with it."""

    path = "/sign-in/passkey"
    type_of_the_other = "webauthn.create"
    sentence = "That didn’t sign you in. Try again, or ask for a link by email."

    def __init__(self, visitor: Visitor, phone: Authenticator):
        self.visitor, self.phone = visitor, phone
        visitor.sign_in_by_link(ADA)
        visitor.make_passkey(phone)
        visitor.sign_out()

    def options(self) -> dict:
        """Return new options."""
        return self.visitor.request_options()

    def options_of_the_other(self, stranger: Visitor) -> dict:
        """Return options of the other ceremony."""
        stranger.sign_in_by_link("bob@example.org")
        return stranger.creation_options()

    def answer(self, options: dict | None = None, **knobs) -> dict:
        """Answer these options, or new ones, with something wrong."""
        return self.phone.get(options or self.options(), **knobs)

    def send(self, credential: object) -> TestResponse:
        """Send what the authenticator answered, or text as it is."""
        return self.visitor.authenticate(credential)

    def start_over(self) -> None:
        """Be ready for the next response: sign out."""
        self.visitor.sign_out()

    def has_worked(self) -> bool:
        """Return whether Ada is signed in now."""
        return self.visitor.is_signed_in()


@pytest.fixture(params=[Registration, Authentication], ids=["registration", "authentication"])
def ceremony(request, visitor, phone) -> Registration | Authentication:
    """One ceremony, and then the other."""
    return request.param(visitor, phone)


@pytest.fixture
def accepts(ceremony) -> Callable[[dict], None]:
    """Assert that the response is accepted."""

    def check(credential: dict) -> None:
        expect(ceremony.send(credential), 303)
        assert ceremony.has_worked()

    return check


@pytest.fixture
def refuses(ceremony, reasons, unchanged) -> Callable[..., None]:
    """Assert that the response is refused for this reason, and that it spent its challenge and changed nothing else."""

    def check(credential: object, reason: str, spent: int = 1, sentence: str = "") -> None:
        had_worked = ceremony.has_worked()
        with unchanged(spent=spent):
            response = ceremony.send(credential)
        assert (response.status_code, reasons) == (400, [reason])
        assert Visitor.alert(response) == (sentence or ceremony.sentence)
        assert ceremony.has_worked() == had_worked

    return check


# Responses that are accepted.


def test_client_data_that_begins_with_a_byte_order_mark_is_accepted(ceremony, accepts):
    """L3 7.1 step 5 and 7.2 step 8 decode it as UTF-8, and that strips the mark."""
    accepts(ceremony.answer(mangle={"clientDataJSON": lambda data: b"\xef\xbb\xbf" + data}))


def test_client_data_without_a_word_about_frames_is_accepted(ceremony, accepts):
    """Older browsers send no `crossOrigin`."""
    accepts(ceremony.answer(client_data={"crossOrigin": None}))


def test_extension_outputs_that_nobody_asked_for_are_accepted(ceremony, accepts):
    """Chrome asks a security key for `credProtect` by itself. L3 7.1 step 28 and 7.2 step 23: ignore such outputs."""
    accepts(ceremony.answer(extensions=cbor2.dumps({"credProtect": 2, "hmac-secret": True})))


# The challenge.


def test_foreign_challenge_is_refused(ceremony, refuses):
    options = ceremony.options() | {"challenge": encode(bytes(32))}
    refuses(ceremony.answer(options), "malformed_token", spent=0)


@pytest.mark.parametrize("bytes", NOT_A_TOKEN)
def test_challenge_that_is_not_a_token_is_refused(ceremony, refuses, bytes):
    refuses(ceremony.answer(client_data={"challenge": encode(bytes)}), "malformed_token", spent=0)


def test_second_text_for_our_challenge_is_refused(ceremony, refuses):
    """The token ends with its signature in base64url, whose last two bits say nothing. A token has one text."""
    options = ceremony.options()
    token = decode(options["challenge"]).decode()
    refuses(ceremony.answer(options | {"challenge": encode(respelled(token).encode())}), "malformed_token", spent=0)


def test_challenge_signed_with_another_key_is_refused(ceremony, refuses, make_app):
    elsewhere = type(ceremony)(Visitor(make_app()), Authenticator())
    options = ceremony.options() | {"challenge": elsewhere.options()["challenge"]}
    refuses(ceremony.answer(options), "malformed_token", spent=0)


def test_challenge_of_the_other_ceremony_is_refused(ceremony, stranger, refuses):
    options = ceremony.options() | {"challenge": ceremony.options_of_the_other(stranger)["challenge"]}
    refuses(ceremony.answer(options), "malformed_token", spent=0)


def test_expired_challenge_is_refused(ceremony, refuses):
    credential = ceremony.answer()
    with time_machine.travel(now() + CHALLENGE_LIFETIME + timedelta(seconds=1)):
        # This updates the time at which a session was last seen.
        ceremony.visitor.get("/account")
        refuses(credential, "expired", spent=0, sentence=TOO_LATE)


def test_challenge_from_the_future_is_refused(ceremony, refuses):
    with time_machine.travel(now() + timedelta(minutes=1)):
        credential = ceremony.answer()
    refuses(credential, "from_the_future", spent=0)


def test_same_response_again_is_refused(ceremony, refuses):
    """Somebody who has seen it sends it again, or the Back button does."""
    credential = ceremony.answer()
    expect(ceremony.send(credential), 303)
    ceremony.start_over()
    refuses(credential, "already_used", spent=0, sentence=USED)


def test_refused_response_spends_its_challenge(ceremony, reasons):
    options = ceremony.options()
    expect(ceremony.send(ceremony.answer(options, flags=UP | BE | BS)), 400)
    expect(ceremony.send(ceremony.answer(options)), 400)
    assert reasons == ["user_not_verified", "already_used"]
    assert not ceremony.has_worked()


# The client data: L3 7.1 steps 7 to 11, 7.2 steps 10 to 14.


def test_type_of_the_other_ceremony_is_refused(ceremony, refuses):
    refuses(ceremony.answer(client_data={"type": ceremony.type_of_the_other}), "wrong_type")


@pytest.mark.parametrize("origin", OTHER_ORIGINS)
def test_another_origin_is_refused(ceremony, refuses, origin):
    refuses(ceremony.answer(client_data={"origin": origin}), "wrong_origin")


def test_response_made_in_another_sites_frame_is_refused(ceremony, refuses):
    refuses(ceremony.answer(client_data={"crossOrigin": True}), "cross_origin")


def test_response_made_below_another_page_is_refused(ceremony, refuses):
    refuses(ceremony.answer(client_data={"topOrigin": "https://evil.example"}), "cross_origin")


# The authenticator data: L3 7.1 steps 14 to 17, 7.2 steps 15 to 18.


def test_another_rp_id_is_refused(ceremony, refuses):
    refuses(ceremony.answer(rp_id="evil.example"), "wrong_rp_id")


def test_user_who_was_not_present_is_refused(ceremony, refuses):
    refuses(ceremony.answer(flags=UV | BE | BS), "user_not_present")


def test_user_who_was_not_verified_is_refused(ceremony, refuses):
    refuses(ceremony.answer(flags=UP | BE | BS), "user_not_verified")


def test_backup_of_a_passkey_that_cannot_be_backed_up_is_refused(ceremony, refuses):
    refuses(ceremony.answer(flags=UP | UV | BS), "inconsistent_backup_flags")


# Malformed parts, from the outside in. Before the site has read the challenge, it can't spend it.


@pytest.mark.parametrize("text", NOT_JSON, ids=lambda text: f"{len(text)} of {text[:20]!a}")
def test_text_that_is_not_json_is_refused(refuses, text):
    refuses(text, "not_json", spent=0)


@pytest.mark.parametrize("text", NOT_A_CREDENTIAL)
def test_json_that_is_not_a_credential_is_refused(refuses, text):
    refuses(text, "malformed_response", spent=0)


def test_form_without_a_credential_is_refused(ceremony, reasons, unchanged):
    with unchanged():
        response = ceremony.visitor.post(ceremony.path)
    assert (response.status_code, reasons) == (400, ["not_json"])


def test_body_that_is_too_large_is_refused(ceremony, reasons, unchanged):
    with unchanged():
        response = ceremony.send("[" * 200_000)
    assert (response.status_code, reasons) == (413, ["request_entity_too_large"])


# The fields of each response that hold bytes, and whether the challenge is spent when one of them is malformed.
FIELDS = [
    (Registration, "rawId", 1),
    (Registration, "clientDataJSON", 0),
    (Registration, "attestationObject", 1),
    (Authentication, "rawId", 1),
    (Authentication, "clientDataJSON", 0),
    (Authentication, "authenticatorData", 1),
    (Authentication, "signature", 1),
    (Authentication, "userHandle", 1),
]
# The fields that each response must have.
REQUIRED = [*FIELDS, (Registration, "response", 0), (Authentication, "response", 0)]


@pytest.mark.parametrize(("ceremony", "field", "spent"), REQUIRED, indirect=["ceremony"])
def test_missing_field_is_refused(ceremony, refuses, field, spent):
    refuses(changed(ceremony.answer(), field, MISSING), "malformed_response", spent=spent)


@pytest.mark.parametrize("value", NOT_BASE64URL, ids=ascii)
@pytest.mark.parametrize(("ceremony", "field", "spent"), FIELDS, indirect=["ceremony"])
def test_field_that_is_not_base64url_is_refused(ceremony, refuses, field, spent, value):
    refuses(changed(ceremony.answer(), field, value), "not_base64url", spent=spent)


@pytest.mark.parametrize("value", [MISSING, None, True, 5, [], {}])
def test_id_that_is_not_text_is_refused(ceremony, refuses, value):
    refuses(changed(ceremony.answer(), "id", value), "malformed_response")


@pytest.mark.parametrize("id", ["", "=", "AA", "not base64url!", encode(bytes(32))])
def test_id_that_is_not_the_raw_id_is_refused(ceremony, refuses, id):
    refuses(ceremony.answer() | {"id": id}, "credential_id_mismatch")


@pytest.mark.parametrize("value", [MISSING, None, 5, "", "password", [], {}])
def test_credential_of_another_type_is_refused(ceremony, refuses, value):
    refuses(changed(ceremony.answer(), "type", value), "malformed_response")


@pytest.mark.parametrize("value", CHALLENGES_NOT_BASE64URL, ids=ascii)
def test_challenge_that_is_not_base64url_is_refused(ceremony, refuses, value):
    refuses(ceremony.answer(client_data={"challenge": value}), "not_base64url", spent=0)


@pytest.mark.parametrize("data", NOT_CLIENT_DATA, ids=lambda data: data[:12])
def test_malformed_client_data_is_refused(ceremony, refuses, data):
    refuses(ceremony.answer(mangle={"clientDataJSON": lambda _: data}), "malformed_client_data", spent=0)


def test_client_data_without_a_challenge_is_refused(ceremony, refuses):
    refuses(ceremony.answer(client_data={"challenge": None}), "malformed_client_data", spent=0)


@pytest.mark.parametrize(("encoding", "reason"), OTHER_ENCODINGS)
def test_client_data_in_another_encoding_is_refused(ceremony, refuses, encoding, reason):
    """L3 7.1 steps 5 and 6, 7.2 steps 8 and 9: it is UTF-8. Python's JSON decoder guesses at other encodings."""
    encoded = {"clientDataJSON": lambda data: data.decode().encode(encoding)}
    refuses(ceremony.answer(mangle=encoded), reason, spent=0)


def test_client_data_that_is_not_utf8_is_refused(ceremony, refuses):
    latin1 = {"clientDataJSON": lambda data: data.replace(b"webauthn", "w\xe9bauthn".encode("latin-1"))}
    refuses(ceremony.answer(mangle=latin1), "not_utf8", spent=0)


@pytest.mark.parametrize("name", ["type", "origin"])
@pytest.mark.parametrize("value", [5, [], {}, True])
def test_client_data_with_members_of_the_wrong_type_is_refused(ceremony, refuses, name, value):
    refuses(ceremony.answer(client_data={name: value}), f"wrong_{name}")


@pytest.mark.parametrize("name", ["type", "origin"])
def test_client_data_with_members_missing_is_refused(ceremony, refuses, name):
    refuses(ceremony.answer(client_data={name: None}), "malformed_client_data")


@pytest.mark.parametrize("binding", [{}, {"status": "not-supported"}, {"status": []}])
def test_malformed_token_binding_is_refused(ceremony, refuses, binding):
    """Level 2 had this member. The library still reads it."""
    refuses(ceremony.answer(client_data={"tokenBinding": binding}), "malformed_client_data")


@pytest.mark.parametrize("binding", [{"status": "supported"}, "unused"])
def test_token_binding_is_ignored(ceremony, accepts, binding):
    accepts(ceremony.answer(client_data={"tokenBinding": binding}))


def test_authenticator_data_that_goes_on_is_refused(ceremony, refuses):
    longer = {"authenticatorData": lambda data: data + b"\0"}
    refuses(ceremony.answer(mangle=longer), "malformed_authenticator_data")


def test_extension_data_that_is_announced_and_missing_is_refused(ceremony, refuses):
    refuses(ceremony.answer(flags=UP | UV | BE | BS | ED), "malformed_authenticator_data")


@pytest.mark.parametrize("extensions", NOT_A_MAP, ids=repr)
def test_extension_data_that_is_not_a_map_is_refused(ceremony, refuses, extensions):
    refuses(ceremony.answer(extensions=cbor2.dumps(extensions)), "malformed_authenticator_data")


@pytest.mark.parametrize("extensions", NOT_CANONICAL)
def test_extension_data_that_is_not_canonical_is_refused(ceremony, refuses, extensions):
    refuses(ceremony.answer(extensions=bytes.fromhex(extensions)), "malformed_cbor")


@pytest.mark.parametrize("extensions", NOT_CANONICAL)
def test_cbor_is_checked_before_the_library_reads_anything(ceremony, refuses, extensions):
    """Nothing that two decoders may read differently reaches the library."""
    wrong = {"extensions": bytes.fromhex(extensions), "client_data": {"origin": "https://evil.example"}}
    refuses(ceremony.answer(**wrong), "malformed_cbor")


def test_extension_data_that_unfolds_into_gigabytes_is_refused(ceremony, refuses):
    """The library writes it out again after it has read it."""
    a_map_with_it = b"\xa1\x00" + unfolding_cbor()
    refuses(ceremony.answer(extensions=a_map_with_it), "malformed_cbor")


def test_refusal_is_a_short_line_in_the_log(ceremony, refuses, events):
    """The library quotes the response in its messages, and anybody may send a hundred kilobytes of it."""
    origin = "https://" + "e" * 50_000 + ".example"
    refuses(ceremony.answer(client_data={"origin": origin}), "wrong_origin")
    [detail] = [fields["detail"] for name, fields in events if name == "refused"]
    assert len(detail) < 1000
