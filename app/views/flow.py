"""What the views share: one transaction, one browser, one way to refuse, one way to be signed in."""

from collections.abc import Callable
from dataclasses import asdict
from functools import wraps
from typing import Any, ParamSpec
from urllib.parse import urlsplit

from flask import current_app, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_user
from sqlalchemy import Row
from werkzeug import Response

from app import log, sessions, single_use
from app.extensions import db
from app.refusals import Refusal
from app.sign_in_links import SignInRequest
from app.views.protection import route_pattern

P = ParamSpec("P")

LONGEST_NEXT = 500

TOUR = ("ask", "open", "create", "leave", "return")


def one_transaction(view: Callable[P, ResponseReturnValue]) -> Callable[P, ResponseReturnValue]:
    """Commit when the view returns, a refusal included (a failed ceremony has spent its challenge); when it raises,
    nothing has happened."""

    @wraps(view)
    def run(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
        response = view(*args, **kwargs)
        db.session.commit()
        return response

    return run


def this_browser() -> str:
    """Return the random id by which this browser is known. It outlives signing in and out, so that what one tab began
    survives what another did."""
    if "browser" not in session:
        session.permanent = True
        session["browser"] = single_use.new_id()
    return session["browser"]


def pending_request() -> SignInRequest | None:
    """Return what this browser last asked for, if it is waiting for a mail."""
    try:
        return SignInRequest(**session["request"])
    except (KeyError, TypeError):  # none, or a cookie of an earlier release, with other fields
        return None


def keep_request(wanted: SignInRequest) -> None:
    """Remember the request in this browser, and nowhere else."""
    this_browser()
    session["request"] = asdict(wanted)


def user_agent() -> str:
    """Return the browser's own words about itself, made safe to store."""
    return "".join(filter(str.isprintable, request.user_agent.string))[:300]


def next_page(wanted: str | None) -> str:
    """Return `wanted` if it is a page of this site, else "": a bad one is dropped, not refused."""
    wanted = wanted or ""
    if not wanted.startswith("/") or wanted.startswith(("//", "/sign-")) or len(wanted) > LONGEST_NEXT:
        return ""
    # Browsers read a backslash as a slash, and skip tabs and line breaks.
    if "\\" in wanted or not wanted.isprintable():
        return ""
    try:
        parts = urlsplit(wanted)
    except ValueError:
        return ""
    return "" if parts.scheme or parts.netloc else wanted


def sign_in(user: Row[Any], method: str, next: str = "", is_new: bool = False) -> Response:
    """Open a session for the user in this browser, in the place of the one it had, and go on."""
    this_browser()
    if current_user.is_authenticated:
        sessions.end(current_user.get_id())
    login_user(sessions.start(user, method, user_agent()))
    session.pop("request", None)
    log.event("signed_in", user=user.user_id, method=method)
    if is_new:
        return redirect(url_for("account.welcome", next=next or None), 303)
    return redirect(next or url_for("account.show"), 303)


def tick(step: str) -> None:
    """Tick a step of the guided tour on `/`."""
    done = session.get("tour", [])
    if step not in done:
        session["tour"] = [*done, step]


def refuse(refusal: Refusal, template: str, status: int = 400, **values: Any) -> tuple[str, int]:
    """Log why, and answer with the page again and a sentence in it."""
    # The library quotes what it refuses, and a visitor could fill the disk with that.
    log.event("refused", reason=refusal.reason, detail=refusal.detail[:300], route=route_pattern())
    return render_template(template, refusal=refusal.reason, **values), status


def limits_enabled() -> bool:
    """Whether anybody is ever asked to wait."""
    return current_app.config["LIMITS_ENABLED"]
