"""Leaving."""

from flask import Blueprint, redirect, render_template, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_required, logout_user

from app import accounts, log
from app.ceremonies import signals
from app.views.account import confirm
from app.views.shared.answers import flash_done
from app.views.shared.history import notify_owner
from app.views.shared.transaction import after_commit, one_transaction

blueprint = Blueprint("delete_account", __name__, url_prefix="/account/delete")


@blueprint.get("")
@login_required
def show() -> ResponseReturnValue:
    """What goes, and that it is for good."""
    return render_template("account/delete.html")


@blueprint.post("")
@login_required
@one_transaction
@confirm.fresh_proof
def delete() -> ResponseReturnValue:
    """Delete the account with all that belongs to it."""
    # First, because the account's former addresses are deleted with it.
    notify_owner(current_user.id, current_user.email, "account_deleted")
    accounts.delete(current_user.id)
    after_commit(log.event, "account_deleted", user=current_user.id)
    flash_done("account_deleted", signal=signals.no_credentials(current_user.user_handle))
    logout_user()
    session.pop("email_change", None)
    return redirect(url_for("home.show"), 303)
