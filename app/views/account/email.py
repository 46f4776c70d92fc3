"""Changing the address: proven by a code that is mailed to the new one."""

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
from app.views.account import confirm
from app.views.shared import allowances, known_accounts
from app.views.shared.answers import flash_done, render_page
from app.views.shared.browser import this_client
from app.views.shared.history import notify_owner, record_activity, record_ended_sessions
from app.views.shared.transaction import commit, one_transaction
from app.views.shared.visitor import lock_account

blueprint = Blueprint("change_email", __name__, url_prefix="/account/email")


@blueprint.get("")
@login_required
def show() -> ResponseReturnValue:
    """Where the new address is typed, or the code that was mailed to it."""
    return page()


@blueprint.post("")
@login_required
@one_transaction
def change() -> ResponseReturnValue:
    """Take the new address, or the code that proves it."""
    if "email" in request.form:
        return begin()
    return finish()


@confirm.fresh_proof
def begin() -> ResponseReturnValue:
    """Mail a code to the new address; or, where that has an account, word of it. The page looks the same."""
    typed = request.form["email"]
    try:
        email = canonical(typed)
        token, code, is_taken = accounts.begin_email_change(current_user, email)
        values: dict[str, Any] = {"client": this_client(), "time": now()}
        # The proof counts from here: nobody else's writing is to wait for a mail server.
        commit()
        with allowances.mail_allowance(email):
            if is_taken:
                mailer.send("notice", email, kind="address_taken", **values)
            else:
                mailer.send("code", email, purpose="change_email", code=code, **values)
    except Refusal as refusal:
        return page(refusal, typed=typed[:254])
    session["email_change"] = token
    return redirect(url_for(".show"), 303)


def finish() -> ResponseReturnValue:
    """Move the account to the new address, and notify both."""
    try:
        old, new = accounts.finish_email_change(
            lock_account(), session.get("email_change", ""), request.form.get("code", "")
        )
    except Refusal as refusal:
        if "wrong_code" not in refusal.reason:
            session.pop("email_change", None)
        return page(refusal)
    # What the old mailbox has opened ends with it.
    record_ended_sessions(sessions.revoke(current_user))
    session.pop("email_change")
    known_accounts.remember(current_user.user_handle, new)
    record_activity(current_user.id, Kind.EMAIL_CHANGED, old)
    notify_owner(current_user.id, new, "email_changed")
    flash_done("email_changed", signal=signals.user_details(current_user.user_handle, new))
    return redirect(url_for("account.show"), 303)


def page(refusal: Refusal | None = None, typed: str = "") -> ResponseReturnValue:
    """Return the page for the step that this browser is at, with the refusal if there is one."""
    # ?again starts anew.
    starts_anew = "again" in request.args or "email" in request.form
    return render_page("account/email.html", refusal, waiting_for="" if starts_anew else new_address(), typed=typed)


def new_address() -> str:
    """Return the address that waits for its code, to be typed in this browser; "" if there is none."""
    return accounts.pending_email_change(current_user, session.get("email_change", ""))
