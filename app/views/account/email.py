"""Changing the address. A code that is mailed to the new address proves it."""

from typing import Any

from flask import Blueprint, redirect, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_required

from app import accounts, mailer, sessions
from app.activity import Kind
from app.ceremonies import signals
from app.email_addresses import canonical
from app.models import now
from app.refusals import Refusal
from app.views.account.confirm import fresh_proof
from app.views.shared import known_accounts
from app.views.shared.allowances import mail_allowance
from app.views.shared.answers import flash_done, render_page
from app.views.shared.browser import this_client
from app.views.shared.history import notify_owner, record_activity, record_ended_sessions
from app.views.shared.transaction import commit, one_transaction
from app.views.shared.visitor import lock_account

blueprint = Blueprint("change_email", __name__, url_prefix="/account/email")


@blueprint.get("")
@login_required
def show() -> ResponseReturnValue:
    """Show the field for the new address, or for the code that was mailed to it."""
    return page()


@blueprint.post("")
@login_required
@one_transaction
def change() -> ResponseReturnValue:
    """Take the new address, or the code that proves it."""
    if "email" in request.form:
        return begin()
    return finish()


@fresh_proof
def begin() -> ResponseReturnValue:
    """Mail a code to the new address. If that has an account, the mail says so instead. The page looks the same."""
    typed = request.form["email"]
    try:
        email = canonical(typed)
        token, code = accounts.begin_email_change(current_user, email)
        is_taken = accounts.find(email) is not None
        # Commit the proof that came with this form. If a limit is used up, `mail_allowance` rolls back.
        commit()
        with mail_allowance(email):
            send(email, code, is_taken)
    except Refusal as refusal:
        return page(refusal, typed=typed[:254])
    session["email_change"] = token
    return redirect(url_for(".show"), 303)


def send(email: str, code: str, is_taken: bool) -> None:
    """Mail the code to the new address. If another account has that address, the mail says so instead."""
    values: dict[str, Any] = {"client": this_client(), "time": now()}
    if is_taken:
        mailer.send("notice", email, kind="address_taken", **values)
    else:
        mailer.send("code", email, purpose="change_email", code=code, **values)


def finish() -> ResponseReturnValue:
    """Move the account to the new address, and notify both addresses.

    This has no `fresh_proof`: `accounts.finish_email_change` checks that the proof was fresh when the code was mailed.
    """
    visitor = lock_account()
    try:
        former, email = accounts.finish_email_change(
            visitor, session.get("email_change", ""), request.form.get("code", "")
        )
    except Refusal as refusal:
        # After `wrong_code` and `too_many_wrong_codes`, the visitor may type again.
        if "wrong_code" not in refusal.reason:
            session.pop("email_change", None)
        return page(refusal)
    # The former mailbox may have opened other sessions.
    record_ended_sessions(sessions.revoke_others(visitor))
    session.pop("email_change")
    known_accounts.remember(visitor.user.user_handle, email)
    record_activity(visitor.user_id, Kind.EMAIL_CHANGED, former)
    # After `record_activity`: the notice finds the former address in the activity.
    notify_owner(visitor.user, "email_changed", email=email)
    flash_done("email_changed", signal=signals.user_details(visitor.user.user_handle, email))
    return redirect(url_for("account.show"), 303)


def page(refusal: Refusal | None = None, typed: str = "") -> ResponseReturnValue:
    """Return the page for the step that this browser is at, with the refusal if there is one."""
    # The link "Use another address" has `?again=1`.
    starts_over = "again" in request.args or "email" in request.form
    return render_page("account/email.html", refusal, pending="" if starts_over else pending_email(), typed=typed)


def pending_email() -> str:
    """Return the address whose code this browser is waiting for, or ""."""
    return accounts.pending_email(current_user, session.get("email_change", ""))
