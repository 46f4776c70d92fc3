"""Signing in: a new session in this browser, in the place of the one that it had."""

from datetime import datetime
from typing import Any

from flask import redirect, session, url_for
from flask_login import current_user, login_user
from sqlalchemy import Row
from werkzeug import Response

from app import accounts, second_step, sessions
from app.activity import Kind
from app.ceremonies.attempts import Attempt
from app.sign_in_links import PendingSignIn
from app.views.shared import known_accounts, timing, tour
from app.views.shared.browser import this_browser, this_client
from app.views.shared.history import notify_of_new_browser, record_activity


def finish_email(user: Row[Any], method: str, pending: PendingSignIn, is_new: bool) -> Response:
    """Sign in the user who has proven their mailbox, or lead to the second step if the account requires a passkey."""
    tour.tick("open")
    timing.remember_mail(user, pending)
    if not user.requires_passkey:
        return sign_in(user, method, pending.next, is_new, began=pending.mailed_at)
    session.pop("pending", None)
    record_activity(user.user_id, Kind.SECOND_STEP, method, began=pending.mailed_at)
    return redirect(url_for("second_step.show", token=second_step.begin(user, this_browser(), pending.next)), 303)


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
    if not is_new and not known_accounts.has_account(user.user_handle):
        notify_of_new_browser(user)
    # By passkey, `user` is a row of passkeys.FIND: its `id` is the passkey's, its `user_id` the owner's.
    passkey_id = user.id if attempt else None
    visitor, session["proof"] = sessions.start(user, method, this_client().browser, passkey_id)
    login_user(visitor)
    session.pop("pending", None)
    known_accounts.remember(user.user_handle, user.email)
    record_activity(user.user_id, Kind.SIGNED_IN, method, attempt.transcript() if attempt else "", began)
    if is_new:
        return redirect(url_for("account.welcome", next=next or None), 303)
    return redirect(next or url_for("account.show"), 303)


def end_session() -> None:
    """End the visitor's session, of an account that is locked."""
    if sessions.end(current_user.session_id):
        record_activity(current_user.id, Kind.SESSION_ENDED)
