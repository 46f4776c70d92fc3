"""What holds for every request: which host is answered, who may post, what the browser is told, what is logged."""

import re
import secrets
import time
from urllib.parse import quote

from flask import Flask, Response, abort, current_app, g, redirect, request
from flask.typing import ResponseReturnValue
from flask_login import current_user
from werkzeug.exceptions import HTTPException

from app import limits, log, sessions
from app.views.shared.transaction import commit_if_possible

LOOPBACK = re.compile(r"(127\.0\.0\.1|\[::1\])(:\d+)?")

CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        # Icons of authenticators, and the site's own, are data: URLs.
        "img-src 'self' data:",
        "connect-src 'self'",
        "frame-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ]
)

# For every response, static files too, unless a view has set its own: for a link's page, for a mail in its frame.
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Permissions-Policy": "publickey-credentials-create=(self), publickey-credentials-get=(self)",
    # Not `no-referrer`: that makes the browser send `Origin: null`.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def init_app(app: Flask) -> None:
    """Put these in front of and behind every view."""
    app.before_request(_begin)
    app.before_request(_answer_one_host)
    app.before_request(_refuse_cross_site)
    app.before_request(_read_form)
    app.before_request(_see_visitor)
    app.before_request(_refuse_another_accounts_page)
    app.after_request(_add_headers)
    # RFC 6797: a year of https only, for this host.
    hsts = {"Strict-Transport-Security": "max-age=31536000"} if app.config["SESSION_COOKIE_SECURE"] else {}
    app.config["HEADERS"] = HEADERS | hsts
    app.after_request(_log_request)


def route_pattern() -> str:
    """The pattern of the route asked for, never the path: that may hold a token."""
    return request.url_rule.rule if request and request.url_rule else "none"


def _begin() -> None:
    g.started = time.perf_counter()
    log.request_id.set(secrets.token_hex(8))
    log.client.set(limits.client_id(request.remote_addr or ""))


def _answer_one_host() -> ResponseReturnValue | None:
    """Answer SITE_URL's host only, so that no link or origin can be made of another."""
    if request.host == current_app.config["HOST"] or request.endpoint == "home.healthz":
        return None
    if current_app.config["LOCAL"] and LOOPBACK.fullmatch(request.host):
        # Passkeys don't work on an IP address, and the visitor typed one: same server, right name.
        path, query = quote(request.path), quote(request.query_string, safe="/%=&+?:;,@!$'()*")
        return redirect(current_app.config["SITE_URL"] + path + ("?" + query if query else ""), 302)
    abort(400, "unknown_host")


def _refuse_cross_site() -> None:
    """Take forms from our own pages only. Fetch Metadata says so; an old browser's Origin does, too."""
    if request.method in ("GET", "HEAD", "OPTIONS"):
        return
    site = request.headers.get("Sec-Fetch-Site")
    # `none` is the visitor's own doing (a reload); another port of localhost is `same-site`, and not us.
    if site in ("same-origin", "none") or (
        not site and request.headers.get("Origin") == current_app.config["SITE_URL"]
    ):
        return
    abort(403, "cross_site")


def _read_form() -> None:
    """Before the view, so that it needn't care: what the server can't read raises the server's own errors."""
    if request.method == "POST":
        try:
            _ = request.form
        except HTTPException:
            raise
        except Exception:
            abort(400, "malformed_body")


def _see_visitor() -> None:
    """Before the view, because writing that somebody was here is a transaction of its own."""
    if current_user.is_authenticated:
        commit_if_possible(sessions.touch, current_user)
    # Error pages look at this: they must not ask a database that is down.
    g.visitor_is_known = True


def _refuse_another_accounts_page() -> None:
    """Take no form from a page that was left open when somebody else signed in here: it shows another account."""
    whose = request.method == "POST" and request.form.get("account")
    if whose and current_user.is_authenticated and whose != current_user.user.mark:
        abort(409, "another_account")


def _add_headers(response: Response) -> Response:
    # A view's own header wins. Static files have a Cache-Control of their own.
    for name, value in {"Cache-Control": "no-store", **current_app.config["HEADERS"]}.items():
        response.headers.setdefault(name, value)
    return response


def _log_request(response: Response) -> Response:
    milliseconds = round((time.perf_counter() - g.started) * 1000, 1)
    log.event("request", method=request.method, route=route_pattern(), status=response.status_code, ms=milliseconds)
    return response
