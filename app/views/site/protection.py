"""Rules for every request: the host that we answer, forms from our own pages only, security headers, one log line."""

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

# For every response, static files included. A view may set its own: the page of a link, and a mail in its frame.
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Permissions-Policy": "publickey-credentials-create=(self), publickey-credentials-get=(self)",
    # With `no-referrer`, the browser would send `Origin: null`.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def init_app(app: Flask) -> None:
    """Apply these rules before and after every view."""
    app.before_request(_begin)
    app.before_request(_answer_one_host)
    app.before_request(_refuse_cross_site)
    app.before_request(_read_form)
    app.before_request(_touch_session)
    app.before_request(_refuse_another_accounts_page)
    app.after_request(_add_headers)
    # RFC 6797: a year of https only, for this host.
    hsts = {"Strict-Transport-Security": "max-age=31536000"} if app.config["SESSION_COOKIE_SECURE"] else {}
    app.config["HEADERS"] = HEADERS | hsts
    app.after_request(_log_request)


def route_pattern() -> str:
    """Return the pattern of the request's route. Never log the path, because it may contain a token."""
    return request.url_rule.rule if request and request.url_rule else "none"


def _begin() -> None:
    """Start the clock, and choose the ids that the log shows for this request and its client."""
    g.started = time.perf_counter()
    log.request_id.set(secrets.token_hex(8))
    log.client.set(limits.client_id(request.remote_addr or ""))


def _answer_one_host() -> ResponseReturnValue | None:
    """Answer SITE_URL's host only. So nobody can make us use another host in a link or as the origin."""
    # Health checks may ask for an IP address. The doctor asks which host arrives here.
    if request.host == current_app.config["HOST"] or request.endpoint == "home.healthz":
        return None
    if current_app.config["LOCAL"] and LOOPBACK.fullmatch(request.host):
        # The visitor typed an IP address of this machine. Redirect to its name, because passkeys need one.
        path, query = quote(request.path), quote(request.query_string, safe="/%=&+?:;,@!$'()*")
        return redirect(current_app.config["SITE_URL"] + path + ("?" + query if query else ""), 302)
    abort(400, "unknown_host")


def _refuse_cross_site() -> None:
    """Accept forms from our own pages only. Browsers tell their site in Sec-Fetch-Site, old ones in Origin."""
    if request.method in ("GET", "HEAD", "OPTIONS"):
        return
    site = request.headers.get("Sec-Fetch-Site")
    if not site and request.headers.get("Origin") == current_app.config["SITE_URL"]:
        site = "same-origin"
    # `none` means that the visitor reloaded the page. Refuse `same-site`: it may be another port of localhost.
    if site not in ("same-origin", "none"):
        abort(403, "cross_site")


def _read_form() -> None:
    """Read the form before the view does. A body that can't be read raises many kinds of exceptions."""
    if request.method == "POST":
        try:
            _ = request.form
        except HTTPException:
            raise
        except Exception:
            abort(400, "malformed_body")


def _touch_session() -> None:
    """Write that the session is in use, before the view begins its own transaction."""
    if current_user.is_authenticated:
        commit_if_possible(sessions.touch, current_user)
    # Error pages show the visitor only if this is set. They must not query a database that is down.
    g.visitor_was_loaded = True


def _refuse_another_accounts_page() -> None:
    """Refuse a form if its page shows one account, and this browser has signed in to another since."""
    mark = request.method == "POST" and request.form.get("account")
    if mark and current_user.is_authenticated and mark != current_user.user.form_mark:
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
