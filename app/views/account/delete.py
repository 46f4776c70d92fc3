"""Deleting the account."""

from flask import Blueprint, redirect, render_template, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import login_required, logout_user

from app import accounts, log
from app.ceremonies import signals
from app.views.account.confirm import fresh_proof
from app.views.shared.answers import flash_done
from app.views.shared.history import notify_owner
from app.views.shared.transaction import after_commit, one_transaction
from app.views.shared.visitor import lock_account

blueprint = Blueprint("delete_account", __name__, url_prefix="/account/delete")


@blueprint.get("")
@login_required
def show() -> ResponseReturnValue:
    """Say what is deleted, and that it can't be undone."""
    return render_template("account/delete.html")


@blueprint.post("")
@login_required
@one_transaction
@fresh_proof
def delete() -> ResponseReturnValue:
    """Delete the account and everything in it."""
    user = lock_account().user
    # Notify first: this mail also goes to the former addresses, which are deleted with the account.
    notify_owner(user, "account_deleted")
    accounts.delete(user.id)
    after_commit(log.event, "account_deleted", user=user.id)
    flash_done("account_deleted", signal=signals.no_credentials(user.user_handle))
    logout_user()
    session.pop("email_change", None)
    return redirect(url_for("home.show"), 303)
