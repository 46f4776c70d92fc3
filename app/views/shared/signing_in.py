"""Signing in: a new session in this browser, in place of the one that it had."""

from datetime import datetime

from flask import redirect, session, url_for
from flask_login import current_user, login_user
from werkzeug import Response

from app import accounts, second_step, sessions
from app.activity import Kind
from app.models import User
from app.sessions import Method
from app.sign_in_links import ProvenEmail
from app.views.shared import known_accounts, timing, tour
from app.views.shared.browser import browser_id, this_client
from app.views.shared.history import notify_of_new_browser, record_activity


def sign_in_by_mail(proven: ProvenEmail, method: Method) -> Response:
    """Sign in the user who has proven their mailbox. If the account requires a passkey, redirect to the second step."""
    user, pending = proven.user, proven.pending
    tour.mark_done("open")
    timing.remember_mail(user, pending)
    if not user.requires_passkey:
        return sign_in(user, method, pending.next, proven.is_new, transcript=proven.transcript, began=pending.mailed_at)
    session.pop("request", None)
    record_activity(user.id, Kind.SECOND_STEP, method, proven.transcript, began=pending.mailed_at)
    return redirect(url_for("second_step.show", token=second_step.begin(user, browser_id(), pending.next)), 303)


def sign_in(
    user: User,
    method: Method,
    next: str = "",
    is_new: bool = False,
    passkey_id: int | None = None,
    transcript: str = "",
    began: datetime | None = None,
) -> Response:
    """Start a session for the user, end the one that this browser had, and redirect to `next` or the account.

    `began` is the time of the mail or of the passkey's challenge, if it is known. `transcript` is that of the
    mail or of the passkey's ceremony.
    """
    if current_user.is_authenticated:
        # The account of `user` is locked already.
        if current_user.user_id != user.id:
            accounts.lock_against_deletion(current_user.user_id)
        end_session()
    if not is_new and not known_accounts.has_account(user.user_handle):
        notify_of_new_browser(user)
    visitor, session["proof"] = sessions.start(user, method, this_client().browser, passkey_id)
    login_user(visitor)
    session.pop("request", None)
    known_accounts.remember(user.user_handle, user.email)
    record_activity(user.id, Kind.SIGNED_IN, method, transcript, began)
    if is_new:
        return redirect(url_for("account.welcome", next=next or None), 303)
    return redirect(next or url_for("account.show"), 303)


def end_session() -> None:
    """End the visitor's session. The account must be locked."""
    if sessions.end(current_user.id):
        record_activity(current_user.user_id, Kind.SESSION_ENDED)
