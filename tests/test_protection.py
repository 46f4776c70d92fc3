"""Rules for every page and form. The tests visit all routes, so a new route without protection fails them."""

import re
from collections.abc import Iterator

import pytest
from flask import Flask
from flask_login import encode_cookie

from app.database import db
from app.models import Passkey
from tests.conftest import GRACE, PUBLIC, Visitor, expect, fields_of

VALUES = {"token": "token", "passkey_id": 1, "session_id": 1, "id": "message", "filename": "latchkey.css"}

# Forms that are refused without a value.
DEMANDING = ["/sign-in", "/sign-in/code", "/sign-in/passkey", "/account/passkeys"]

OPTIONS = ["/sign-in/passkey/options", "/account/passkeys/options"]

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def paths(app: Flask, method: str) -> Iterator[str]:
    """Yield every path of the site that takes the method, with values for its variables."""
    urls = app.url_map.bind("localhost")
    for rule in app.url_map.iter_rules():
        if method in rule.methods:
            values = {name: VALUES[name] for name in rule.arguments}
            yield urls.build(rule.endpoint, values, method=method)


def assert_protected(response, **changed: str) -> None:
    """Assert that the response has exactly these headers, and none twice."""
    expected = {
        "Content-Security-Policy": CONTENT_SECURITY_POLICY,
        "X-Content-Type-Options": "nosniff",
        "Permissions-Policy": "publickey-credentials-create=(self), publickey-credentials-get=(self)",
        # A link's path contains its token, which must not get into the Referer of static files.
        "Referrer-Policy": "strict-origin" if response.request.path.startswith("/sign-in/link/") else "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "no-store",
    } | changed
    found = {name: response.headers.getlist(name) for name in expected}
    assert found == {name: [value] for name, value in expected.items()}, response.request.path


def test_site_is_the_root_of_its_origin(app):
    """A server may take a path prefix from a request's headers. The site ignores it."""
    for prefix in ("//evil.example", "/x"):
        page = app.test_client().get(
            "/sign-in", base_url="http://localhost:8000", environ_overrides={"SCRIPT_NAME": prefix}
        )
        assert 'action="/sign-in"' in expect(page, 200).text


# Forms of other sites.


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost:8000"},
        {"Sec-Fetch-Site": "sideways"},
        {"Origin": "https://evil.example"},
        {"Origin": "http://localhost:9000"},
        {"Origin": "https://localhost:8000"},
        {"Origin": "http://localhost:8000.evil.example"},
        {"Origin": "null"},
        {},
    ],
    ids=str,
)
def test_form_from_another_site_is_refused(ada, unchanged, reasons, headers):
    with unchanged():
        for path in paths(ada.app, "POST"):
            response = expect(ada.client.post(path, base_url=ada.site_url, headers=headers), 403)
            assert path in OPTIONS or ada.alert(response)
            assert "Set-Cookie" not in response.headers
    assert set(reasons) == {"cross_site"}
    assert ada.is_signed_in()


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "http://localhost:8000"},
    ],
    ids=str,
)
def test_form_from_our_own_pages_is_accepted(app, headers):
    for path in paths(app, "POST"):
        assert app.test_client().post(path, base_url="http://localhost:8000", headers=headers).status_code != 403, path


# Pages and forms of an account.


def test_every_page_of_the_account_leads_to_signing_in(visitor):
    for path in paths(visitor.app, "GET"):
        if path.startswith("/account"):
            assert expect(visitor.get(path), 303).location == f"/sign-in?next={path}"


def test_every_form_of_the_account_needs_a_session(visitor, unchanged, reasons):
    forms = [path for path in paths(visitor.app, "POST") if path.startswith("/account")]
    with unchanged():
        for path in forms:
            expect(visitor.post(path), 401)
    assert reasons == ["not_signed_in"] * len(forms)


def test_another_accounts_passkey_cannot_be_removed(ada, stranger, unchanged):
    stranger.sign_in_by_link("eve@example.org")
    with ada.app.app_context():
        passkey_id = db.session.query(Passkey.id).scalar()
    with unchanged():
        expect(stranger.post(f"/account/passkeys/{passkey_id}/remove"), 404)
    expect(ada.post(f"/account/passkeys/{passkey_id}/remove"), 303)


@pytest.mark.parametrize("page", ["/account/delete", "/account/recovery-codes", "/account/email"])
def test_page_of_one_account_cannot_change_the_next(ada, unchanged, reasons, page):
    form = fields_of(ada.get(page)) | {"email": GRACE}
    ada.sign_in_by_link("eve@example.org")
    with unchanged():
        response = expect(ada.post(page, form), 409)
    assert reasons == ["another_account"]
    assert "You’ve signed in as eve@example.org since" in ada.alert(response)
    assert expect(
        ada.post(page, fields_of(ada.get(page)) | {"email": GRACE}), 303 if page != "/account/recovery-codes" else 200
    )


def test_opening_any_page_writes_nothing(visitor, unchanged):
    with unchanged():
        for path in paths(visitor.app, "GET"):
            assert visitor.get(path).status_code < 500, path


def test_address_of_a_form_leads_to_the_page_with_the_form(ada):
    pages = set(paths(ada.app, "GET"))
    for path in paths(ada.app, "POST"):
        if path not in pages and path != "/sign-out":
            assert expect(ada.get(path), 303).location in ("/sign-in", "/account", "/sign-in/check-email"), path
            expect(ada.client.head(path, base_url=ada.site_url), 303)


def test_sign_out_address_is_not_a_page(ada):
    response = expect(ada.get("/sign-out"), 405)
    assert ada.alert(response)
    assert response.allow == {"OPTIONS", "POST"}
    assert ada.is_signed_in()


@pytest.mark.parametrize("value", ["x|é", "x", "|", "1|" + "0" * 128])
def test_remember_cookie_signs_nobody_in(ada, visitor, value):
    """Flask-Login's cookie would be a second way to be signed in, and would fail on malformed values."""
    headers = {"Cookie": f"remember_token={value}"}
    assert (
        visitor.app.test_client(use_cookies=False).get("/", base_url=visitor.site_url, headers=headers).status_code
        == 200
    )
    with ada.app.test_request_context():
        token = db.session.execute(db.text("SELECT token FROM sessions")).scalar_one()
        headers = {"Cookie": f"remember_token={encode_cookie(token)}"}
    response = visitor.app.test_client(use_cookies=False).get("/account", base_url=visitor.site_url, headers=headers)
    assert response.status_code == 303


# Headers.


def test_every_answer_has_the_security_headers(ada):
    anonymous = Visitor(ada.app)
    for visitor in (ada, anonymous):
        for path in paths(ada.app, "GET"):
            response = visitor.get(path)
            may_be_kept = path.startswith("/static/") or path == "/sign-in"
            cache_control = response.headers["Cache-Control"] if may_be_kept else "no-store"
            assert_protected(response, **{"Cache-Control": cache_control})
        for path in paths(ada.app, "POST"):
            assert_protected(visitor.post(path))


def test_every_error_has_the_security_headers(visitor):
    for response, status in (
        (visitor.get("/nowhere"), 404),
        (visitor.get("/sign-out"), 405),
        (visitor.client.get("/", base_url="http://evil.example"), 400),
        (visitor.client.get("/", base_url="http://127.0.0.1:8000"), 302),
        (visitor.client.post("/sign-in", base_url=visitor.site_url), 403),
        (visitor.post("/sign-in", {"email": 200_000 * "a"}), 413),
        (visitor.post("/account/welcome"), 401),
    ):
        assert_protected(expect(response, status))


def test_personal_pages_are_not_cached(ada):
    expect(ada.ask("grace@example.org"), 303)
    for path in ("/account", "/account/welcome", "/sign-in/check-email", ada.read_mail().link, "/"):
        assert_protected(expect(ada.get(path), 200))


def test_every_answer_of_a_link_keeps_its_token_out_of_the_referer(visitor, stranger):
    visitor.ask("ada@example.org")
    link = visitor.read_mail().link
    for who, method, status in (
        (stranger, "get", 200),
        (stranger, "post", 403),
        (visitor, "get", 200),
        (visitor, "post", 303),
        (visitor, "get", 200),
        (stranger, "get", 410),
    ):
        response = expect(getattr(who, method)(link), status)
        assert response.headers.getlist("Referrer-Policy") == ["strict-origin"]


def test_sign_in_page_may_be_shown_again_by_the_back_button(visitor):
    assert_protected(visitor.get("/sign-in"), **{"Cache-Control": "private, no-cache"})


def test_mail_in_its_frame_runs_and_loads_nothing(visitor):
    visitor.ask("ada@example.org")
    [link] = re.findall(r'"(/dev/mail/[^"]+)"', visitor.get("/dev/mail/").text)
    policy = expect(visitor.get(f"{link}/html"), 200).headers["Content-Security-Policy"].split("; ")
    assert policy[:2] == ["default-src 'none'", "style-src 'unsafe-inline'"]
    assert policy[3] == "sandbox allow-top-navigation-by-user-activation"


def test_https_site_sends_hsts(make_app, visitor):
    public = make_app(**PUBLIC)
    assert Visitor(public).get("/").headers["Strict-Transport-Security"] == "max-age=31536000"
    assert "Strict-Transport-Security" not in visitor.get("/").headers


# The host.


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost",
        "localhost:9000",
        "localhost:8000.evil.example",
        "evil.localhost:8000",
        "user@localhost:8000",
        "localhost:8000/",
        "127.0.0.1.evil.example:8000",
        "a..b",
        "a" * 64 + ".example",
        "[",
        "",
    ],
)
def test_unknown_host_is_refused(visitor, host):
    for path in ("/", "/sign-in", "/nowhere", "/static/latchkey.css"):
        response = visitor.client.get(path, headers={"Host": host})
        assert visitor.alert(expect(response, 400))
        assert "evil.example" not in response.text


def test_health_check_may_use_any_host(visitor):
    response = expect(visitor.client.get("/healthz", base_url="http://10.0.0.7:8080"), 200)
    assert response.text == "ok\nHost: 10.0.0.7:8080\n"


@pytest.mark.parametrize("site_url", ["http://localhost:8000", "http://localhost"])
@pytest.mark.parametrize("address", ["127.0.0.1", "[::1]"])
def test_loopback_address_leads_to_localhost(make_app, site_url, address):
    client = make_app(FLASK_SITE_URL=site_url).test_client()
    for path in ("/", "/sign-in?next=/account%3Fa%3Db%26c", "/nowhere/%C3%BC%20x?a=b?c"):
        response = client.get(path, base_url=site_url.replace("localhost", address))
        assert expect(response, 302).location == site_url + path


def test_loopback_address_with_a_line_break_in_its_path_leads_to_the_same_path(visitor):
    response = visitor.client.get("/%0aa%3Fb", base_url="http://127.0.0.1:8000")
    assert expect(response, 302).location == "http://localhost:8000/%0Aa%3Fb"


def test_loopback_address_leads_nowhere_on_the_internet(make_app):
    app = make_app(**PUBLIC)
    client = app.test_client()
    expect(client.get("/", base_url="https://127.0.0.1"), 400)
    expect(client.get("/dev/mail/", base_url="https://example.org"), 404)


# The outbox is for this machine alone.


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"])
def test_outbox_is_not_shown_through_a_proxy(visitor, header):
    expect(visitor.get("/dev/mail/"), 200)
    expect(visitor.get("/dev/mail/", headers={header: "127.0.0.1"}), 404)


def test_outbox_is_not_shown_to_another_machine(visitor):
    expect(visitor.get("/dev/mail/", environ_overrides={"REMOTE_ADDR": "::1"}), 200)
    expect(visitor.get("/dev/mail/", environ_overrides={"REMOTE_ADDR": "192.0.2.1"}), 404)


@pytest.mark.parametrize("id", ["message", "..%2Fsecret-key", "%2e%2e/latchkey", "*", "%00", "."])
def test_outbox_shows_only_its_messages(visitor, id):
    visitor.ask("ada@example.org")
    expect(visitor.get(f"/dev/mail/{id}"), 404)


# Cookies, queries and large forms.


def test_form_that_is_too_large_is_refused(ada, unchanged):
    anonymous = Visitor(ada.app)
    with unchanged():
        for path in DEMANDING:
            visitor = ada if path.startswith("/account") else anonymous
            response = expect(visitor.post(path, {"credential": 200_000 * "a"}), 413)
            assert visitor.alert(response)


@pytest.mark.parametrize("cookie", ["", "x", "e30.x.y", "%00", "é", 4000 * "a"])
def test_foreign_cookie_signs_nobody_in(visitor, cookie):
    visitor.client.set_cookie("latchkey-8000", cookie)
    assert expect(visitor.get("/account"), 303).location == "/sign-in?next=/account"


def test_next_page_in_a_query_breaks_no_page(visitor):
    for path in ("/", "/sign-in", "/account", "/account/welcome", "/dev/mail/"):
        for next in ("%00", "%ED%A0%80", "%FF", 10_000 * "a", "[", "&next=/account", "%0d%0aa:b"):
            expect(visitor.get(f"{path}?next={next}"), 303 if path.startswith("/account") else 200)
