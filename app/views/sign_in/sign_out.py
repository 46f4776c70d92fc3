"""Signing out."""

from flask import Blueprint, redirect, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, logout_user

from app import accounts
from app.views.shared import tour
from app.views.shared.answers import flash_done
from app.views.shared.signing_in import end_session
from app.views.shared.transaction import one_transaction

blueprint = Blueprint("sign_out", __name__)


@blueprint.post("/sign-out")
@one_transaction
def sign_out() -> ResponseReturnValue:
    """End this browser's session, and redirect to the front page."""
    if current_user.is_authenticated:
        accounts.lock(current_user.user_id)
        end_session()
        logout_user()
        tour.mark_done("leave")
        flash_done("signed_out")
    return redirect(url_for("home.show"), 303)
