"""Signing out."""

from flask import Blueprint, redirect, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, logout_user

from app import accounts
from app.views import flow, tour

blueprint = Blueprint("sign_out", __name__)


@blueprint.post("/sign-out")
@flow.one_transaction
def sign_out() -> ResponseReturnValue:
    """End this browser's session, and lead back to the start."""
    if current_user.is_authenticated:
        accounts.hold(current_user.id)
        flow.end_session()
        logout_user()
        tour.tick("leave")
        flow.say("signed_out")
    return redirect(url_for("home.show"), 303)
