"""Hostile input: every form, page and cookie gets every value. The answer is a page or a refusal, never a 5xx."""

import json
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from webauthn.helpers import decode_credential_public_key, decoded_public_key_to_cryptography

from app.database import db
from app.models import Passkey
from app.views.account import confirm
from authenticator import Authenticator, changed, decode, encode
from tests.conftest import ADA, Visitor, as_text
from tests.test_protection import DEMANDING, paths

pytestmark = pytest.mark.slow


FIELDS = [
    "account",
    "again",
    "by",
    "code",
    "credential",
    "email",
    "kept",
    "mail",
    "name",
    "next",
    "proof",
    "recovery_code",
    "require",
    "sessions",
    "token",
    "welcome",
]

VALUES = {
    "nothing": "",
    "NUL": "\0",
    "text with a NUL": "a\0b@example.org",
    "long text": "x" * 20_000,
    "a 💥": "💥" * 500,
    "what is no character": "\ufffe\U0010ffff\u202e",
    "another site": "https://evil.example/",
    "markup": "'\"><script>alert(1)</script>",
    "null": "null",
    "a list": "[]",
    "an object": "{}",
    "a huge number": "9" * 5000,
    "an infinite number": "1e400",
    "not a number": "NaN",
    "a deep list": "[" * 20_000,
    "a deep object": '{"a":' * 5_000,
    "a lone surrogate in JSON": '{"id": "\\ud800", "rawId": "\\ud800", "response": {"clientDataJSON": "AA"}}',
    "empty parts": '{"rawId": null, "response": {"clientDataJSON": {}}}',
    "line breaks": "a\r\nBcc: b@example.org",
    "right to left": "\u202e\u2066",
    "SQL": "' OR 1=1 --",
    "a template": "{{ 7 * 7 }}{% raw %}",
}

BODIES = {
    "no body": (b"", "application/x-www-form-urlencoded"),
    "no type": (b"a=b", ""),
    "a list": (b"[]", "application/json"),
    "null": (b"null", "application/json"),
    "deep JSON": (b"[" * 50_000, "application/json"),
    "text": (b"credential=x", "text/plain"),
    "a lone surrogate": (
        b"credential=%ED%A0%80&email=%ED%A0%80&code=%ED%A0%80&name=%ED%A0%80",
        "application/x-www-form-urlencoded",
    ),
    "bytes that are no UTF-8": (b"credential=\xff\xfe&name=%ff&code=\x80", "application/x-www-form-urlencoded"),
    "another charset": (b"c\0o\0d\0e\0", "application/x-www-form-urlencoded; charset=utf-16"),
    "multipart without a boundary": (b"--x\r\n", "multipart/form-data"),
    "multipart that breaks off": (
        b'--x\r\nContent-Disposition: form-data; name="code',
        "multipart/form-data; boundary=x",
    ),
    "a file": (
        b'--x\r\nContent-Disposition: form-data; name="credential"; filename="f"\r\n\r\n{}\r\n--x--\r\n',
        "multipart/form-data; boundary=x",
    ),
    "five thousand fields": (
        b"&".join(b"code=%d" % number for number in range(5000)),
        "application/x-www-form-urlencoded",
    ),
    "only separators": (1000 * b"&=", "application/x-www-form-urlencoded"),
    "128 KiB and more": (b"credential=" + b"x" * 140_000, "application/x-www-form-urlencoded"),
}


@pytest.fixture
def app(make_app):
    """Return a site without limits, so that it checks every request."""
    return make_app(FLASK_LIMITS_ENABLED="false")


@pytest.fixture(params=["a stranger", "somebody waiting for a mail", "a member"])
def somebody(request, visitor) -> Visitor:
    """Return a stranger, then a visitor who waits for a mail, then a member."""
    if request.param == "somebody waiting for a mail":
        visitor.ask(ADA)
    if request.param == "a member":
        visitor.sign_in_by_link(ADA)
        visitor.make_passkey(Authenticator())
        visitor.ask("grace@example.org")
    return visitor


def forms(app) -> list[str]:
    """Return every path that takes a form. Those that end the session come last."""
    return sorted(paths(app, "POST"), key=lambda path: path in ("/account/delete", "/sign-out"))


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_no_value_breaks_a_form(somebody, value):
    for path in forms(somebody.app):
        # The site checks a proof first. It reads the other fields only if there is no proof, or a right one.
        unproven = [field for field in FIELDS if field not in confirm.PROOF_FIELDS]
        for fields in (FIELDS, unproven, ["credential"], ["code"], ["code", "proof"], ["recovery_code"]):
            response = somebody.post(path, dict.fromkeys(fields, value))
            assert response.status_code < 500, f"{path} {fields}"
            assert response.status_code >= 400 or path not in DEMANDING, f"{path} took {fields}"
            assert "<script>alert(1)" not in response.text, path
            assert "evil" not in response.headers.get("Location", "")


@pytest.mark.parametrize(("body", "content_type"), BODIES.values(), ids=BODIES)
def test_no_body_breaks_a_form(somebody, body, content_type):
    headers = {"Sec-Fetch-Site": "same-origin", "Content-Type": content_type}
    for path in forms(somebody.app):
        response = somebody.client.post(path, base_url=somebody.site_url, data=body, headers=headers)
        assert response.status_code < 500, path


@pytest.mark.parametrize("value", [value for value in VALUES.values() if len(value) < 5000])
def test_no_query_breaks_a_page(somebody, value):
    for path in paths(somebody.app, "GET"):
        query = dict.fromkeys([*FIELDS, "kind", "before"], value)
        assert somebody.get(path, query_string=query).status_code < 500, path


@pytest.mark.parametrize(
    "part", ["%00", "%ff", "%ED%A0%80", "x" * 3000, "..%2f..", "%0d%0aSet-Cookie:a=b", "9" * 30, "-1", "💥"]
)
def test_no_path_breaks_the_site(somebody, part):
    patterns = [rule.rule for rule in somebody.app.url_map.iter_rules() if rule.arguments]
    for pattern in patterns:
        before, _, after = pattern.partition("<")
        path = before + part + after.rpartition(">")[2]
        assert somebody.get(path).status_code < 500, path
        assert somebody.post(path).status_code < 500, path


@pytest.mark.parametrize(
    "cookie",
    ["", "x", "é", "\0", ".", "..", "eyJ9.x.y", "x" * 5000, "W10.aR.x", "e30.aR-XYZ.AAAA"],
)
def test_no_cookie_breaks_the_site(app, cookie):
    client = app.test_client(use_cookies=False)
    headers = {"Cookie": f"latchkey-8000={cookie}", "Sec-Fetch-Site": "same-origin"}
    for path in paths(app, "GET"):
        with suppress(ValueError):  # The value can't be a header.
            assert client.get(path, base_url="http://localhost:8000", headers=headers, buffered=True).status_code < 500
    assert client.post("/sign-in/code", base_url="http://localhost:8000", headers=headers).status_code < 500


# Both responses, changed at every byte.


@pytest.fixture
def ada(ada):
    """Return Ada, signed out."""
    ada.sign_out()
    return ada


@pytest.mark.parametrize("part", ["clientDataJSON", "authenticatorData", "signature", "userHandle"])
def test_assertion_with_any_byte_changed_does_not_sign_in(ada, phone, part):
    length = len(decode(phone.get(ada.request_options())["response"][part]))
    for place in range(length):
        response = phone.get(ada.request_options())
        data = bytearray(decode(response["response"][part]))
        data[place % len(data)] ^= 1 << place % 8
        answer = ada.authenticate(changed(response, part, encode(bytes(data))))
        assert answer.status_code == 400, f"byte {place} of {part}"
    assert not ada.is_signed_in()


@pytest.mark.parametrize("part", ["clientDataJSON", "attestationObject"])
def test_registration_with_any_byte_changed_breaks_nothing(ada, part):
    """Nobody signs some bytes, such as the AAGUID: a passkey with these changed is added. But every stored key can be
    loaded."""
    ada.sign_in_by_link(ADA)
    length = len(decode(Authenticator().create(ada.creation_options())["response"][part]))
    for place in range(length):
        response = Authenticator().create(ada.creation_options())
        data = bytearray(decode(response["response"][part]))
        data[place % len(data)] ^= 1 << place % 8
        answer = ada.register(changed(response, part, encode(bytes(data))))
        assert answer.status_code in (303, 400), f"byte {place} of {part}"
    with ada.app.app_context():
        for key in db.session.scalars(db.select(Passkey.public_key)):
            assert decoded_public_key_to_cryptography(decode_credential_public_key(key))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)
UNHURRIED = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
)


@UNHURRIED
@given(st.data())
def test_no_member_of_an_assertion_breaks_the_site(ada, phone, data):
    """One member of a good response is replaced by random JSON or random bytes."""
    response = phone.get(ada.request_options())
    name = data.draw(st.sampled_from([*response, *response["response"]]))
    value = data.draw(JSON | st.binary(max_size=200).map(encode) | st.text())
    text = json.dumps(changed(response, name, value)).encode(errors="surrogatepass").decode(errors="replace")
    answer = ada.authenticate(text)
    if answer.status_code == 303:  # The site doesn't use this member, such as the transports.
        ada.sign_out()
    else:
        assert answer.status_code == 400, name


@UNHURRIED
@given(st.data())
def test_no_member_of_a_registration_breaks_the_site(ada, data):
    if not ada.is_signed_in():
        ada.sign_in_by_link(ADA)
    response = Authenticator().create(ada.creation_options())
    name = data.draw(st.sampled_from([*response, *response["response"]]))
    value = data.draw(JSON | st.binary(max_size=200).map(encode) | st.text())
    text = json.dumps(changed(response, name, value)).encode(errors="surrogatepass").decode(errors="replace")
    # 303: the site doesn't use this member, such as the transports.
    assert ada.register(text).status_code in (303, 400), name


@UNHURRIED
@given(st.binary(max_size=300))
def test_no_attestation_object_of_random_bytes_is_accepted(ada, data):
    if not ada.is_signed_in():
        ada.sign_in_by_link(ADA)
    response = Authenticator().create(ada.creation_options())
    assert ada.register(changed(response, "attestationObject", encode(data))).status_code == 400


@UNHURRIED
@given(st.text(max_size=400))
def test_no_text_breaks_the_email_field(app, text):
    visitor = Visitor(app)
    # 303: the text may happen to be an address.
    assert visitor.post("/sign-in", {"email": text.encode(errors="replace").decode()}).status_code in (303, 400)


@UNHURRIED
@given(JSON)
def test_no_random_json_is_accepted_as_a_credential(ada, value):
    assert ada.authenticate(as_text(json.dumps(value).encode(errors="replace").decode())).status_code == 400
