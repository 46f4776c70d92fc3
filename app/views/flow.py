"""What the views share: one transaction, one browser, one way to refuse, one way to be signed in."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime, timedelta
from functools import partial, wraps
from typing import Any, ParamSpec

from flask import abort, flash, g, make_response, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_user
from sqlalchemy import Row
from werkzeug import Response
from werkzeug.exceptions import HTTPException

from app import accounts, activity, limits, log, mailer, notices, second_step, sessions, signals, single_use
from app.activity import Kind
from app.attempts import Attempt, CeremonyError
from app.extensions import db
from app.limits import TooMany
from app.refusals import Refusal
from app.sessions import SignedIn
from app.sign_in_links import SignInRequest
from app.user_agents import describe
from app.views import known_accounts, timing, tour
from app.views.protection import route_pattern

P = ParamSpec("P")

# Notices per account and hour: somebody who can sign in could flood the inbox with more.
NEW_BROWSERS_TOLD = 10


def one_transaction(view: Callable[P, ResponseReturnValue]) -> Callable[P, ResponseReturnValue]:
    """Commit when the view returns or aborts, a refusal included (a failed ceremony has spent its challenge), and then
    log what has happened; when anything else is raised, nothing has."""

    @wraps(view)
    def run(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
        try:
            response = view(*args, **kwargs)
        except HTTPException:
            commit()
            raise
        commit()
        return response

    return run


def commit() -> None:
    """Commit, then log what has happened, and wake the thread that sends notices if there is a new one."""
    db.session.commit()
    for call in g.pop("after_commit", ()):
        call()


def after_commit(call: Callable[..., None], *args: Any, **kwargs: Any) -> None:
    """Call this once the transaction is committed."""
    g.setdefault("after_commit", []).append(partial(call, *args, **kwargs))


def this_browser() -> str:
    """Return the random id by which this browser is known. It outlives signing in and out, so that what one tab began
    survives what another did."""
    if "browser" not in session:
        session.permanent = True
        session["browser"] = single_use.new_id()
    return session["browser"]


def pending_request() -> SignInRequest | None:
    """Return what this browser last asked for, if it is waiting for a mail. Forget it if that is long ago."""
    with suppress(KeyError, TypeError):  # none, or a cookie of another release, with other fields
        waiting = SignInRequest(**session["request"])
        if not waiting.is_forgotten:
            return waiting
    session.pop("request", None)
    return None


def keep_request(wanted: SignInRequest) -> None:
    """Remember the request in this browser, and nowhere else."""
    this_browser()
    session["request"] = asdict(wanted)


def client() -> activity.Client:
    """Return who is at the other end."""
    return activity.Client(describe(request.user_agent.string[:300]), (request.remote_addr or "")[:45])


def record(user_id: int, kind: Kind, detail: str = "", transcript: str = "", began: datetime | None = None) -> None:
    """Write down that this happened to the account, by whoever is at the other end; and log it."""
    activity.record(user_id, kind, client(), detail, transcript, began)
    # Names and addresses are the owner's, and go with the account: the log keeps methods and reasons.
    told = {} if kind in activity.PERSONAL else {"detail": detail}
    after_commit(log.event, kind.value, user=user_id, **told)


def record_refused(refusal: Refusal, kind: Kind, user_id: int | None = None) -> None:
    """Write down that a proof was refused, where it is known for whom. What a limit refuses leaves no row."""
    attempt = refusal.attempt if isinstance(refusal, CeremonyError) else Attempt()
    user_id = user_id or attempt.user_id
    if user_id and not isinstance(refusal, TooMany):
        record(user_id, kind, refusal.reason, attempt.transcript(refusal.reason))


def record_ended(browsers: Iterable[str]) -> None:
    """Write down that the visitor's sessions in these browsers have ended."""
    for browser in browsers:
        record(current_user.id, Kind.SESSION_ENDED, browser)


def notify_owner(user_id: int, email: str, kind: str, detail: str = "") -> None:
    """Have the owner told by mail what happened to their account, and by whom, once it has been committed."""
    notices.add(user_id, email, kind, client(), detail)
    after_commit(notices.wake)


def say(kind: str, **values: Any) -> None:
    """Say on the next page that it was done."""
    flash({"kind": kind, **values})  # type: ignore[arg-type]


def email_proven(user: Row[Any], method: str, asked: SignInRequest, is_new: bool) -> Response:
    """Sign in whose mailbox this is, or go on to the second step where that is not enough."""
    tour.tick("open")
    timing.remember_mail(user, asked)
    if not user.requires_passkey:
        return sign_in(user, method, asked.next, is_new, began=asked.mailed_at)
    session.pop("request", None)
    record(user.user_id, Kind.SECOND_STEP, method, began=asked.mailed_at)
    return redirect(url_for("second_step.show", token=second_step.begin(user, this_browser(), asked.next)), 303)


def sign_in(
    user: Row[Any],
    method: str,
    next: str = "",
    is_new: bool = False,
    attempt: Attempt | None = None,
    began: datetime | None = None,
) -> Response:
    """Open a session for the user in this browser, in the place of the one it had, and go on."""
    this_browser()
    if current_user.is_authenticated:
        if current_user.id != user.user_id:  # else the row is locked by now
            accounts.keep(current_user.id)
        end_session()
    browser = client().browser
    if not is_new and not known_accounts.has_account(user.user_handle):
        new_browser(user)
    # By passkey, `user` is a row of passkeys.FIND: its `id` is the passkey's, its `user_id` the owner's.
    visitor, session["proof"] = sessions.start(user, method, browser, user.id if attempt else None)
    login_user(visitor)
    session.pop("request", None)
    known_accounts.remember(user.user_handle, user.email)
    record(user.user_id, Kind.SIGNED_IN, method, attempt.transcript() if attempt else "", began)
    if is_new:
        return redirect(url_for("account.welcome", next=next or None), 303)
    return redirect(next or url_for("account.show"), 303)


def end_session() -> None:
    """End the visitor's session, of an account that is held: its cookie is worth nothing from now on."""
    if sessions.end(current_user.session_id):
        record(current_user.id, Kind.SESSION_ENDED)


def new_browser(user: Row[Any]) -> None:
    """Notify the owner of a sign-in from a browser that is new to the account; at most NEW_BROWSERS_TOLD an hour."""
    if limits.times("new_browsers", str(user.user_id), window=timedelta(hours=1)) <= NEW_BROWSERS_TOLD:
        notify_owner(user.user_id, user.email, "new_browser")


def counter_went_back(user_id: int, email: str, passkey: str) -> None:
    """Record that there may be a copy of this passkey, and notify the owner, at most once an hour: each sign-in with
    the copy may be another of these."""
    if limits.times("counters_went_back", str(user_id), window=timedelta(hours=1)) == 1:
        notify_owner(user_id, email, "counter_went_back", detail=passkey)
    record(user_id, Kind.COUNTER_WENT_BACK, passkey)


def recovery_code_used(user_id: int, email: str, left: int) -> None:
    """Note it, tell the owner, and say on the next page how many are left."""
    record(user_id, Kind.RECOVERY_CODE_USED, str(left))
    notify_owner(user_id, email, "recovery_code_used", detail=str(left))
    say("recovery_code_used", left=left)


def hold_account() -> SignedIn:
    """Lock the visitor's account until the transaction ends, and return the visitor as they are now. Aborts with 401 if
    the session was ended in the meantime."""
    accounts.hold(current_user.id)
    return find_visitor(current_user.token) or abort(401, "session_ended")


def find_visitor(token: str) -> SignedIn | None:
    """Return who is signed in by this token of the cookie, if its session lives."""
    return sessions.find(token, session.get("proof", ""))


def page(template: str, refusal: Refusal | None = None, status: int = 400, **values: Any) -> Response:
    """Answer with the page. Where something was refused, log why, and have the page say so and tell the authenticator
    what it may forget."""
    if not refusal:
        return make_response(render_template(template, **values))
    if isinstance(refusal, CeremonyError) and refusal.attempt.orphan:
        values["signal"] = signals.unknown_credential(refusal.attempt.orphan)
    # The library quotes what it refuses, and a visitor could fill the disk with that.
    log.event("refused", reason=refusal.reason, detail=refusal.detail[:300], route=route_pattern())
    headers = {}
    if isinstance(refusal, TooMany):
        status, headers = 429, {"Retry-After": str(refusal.retry_after)}
        g.minutes = -(-refusal.retry_after // 60)
    elif isinstance(refusal, mailer.Unsent):
        status, headers = 503, {"Retry-After": "60"}
    return make_response(render_template(template, refusal=refusal.reason, **values), status, headers)
