"""Signing out."""

from flask import Blueprint, redirect, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, logout_user

from app import accounts, sessions
from app.activity import Kind
from app.views import flow

blueprint = Blueprint("sign_out", __name__)


@blueprint.post("/sign-out")
@flow.one_transaction
def sign_out() -> ResponseReturnValue:
    """End this browser's session: its cookie, kept by whomever, is worth nothing from now on."""
    if current_user.is_authenticated:
        accounts.hold(current_user.id)
        if sessions.end(current_user.get_id()):
            flow.record(current_user.id, Kind.SESSION_ENDED)
        logout_user()
        flow.tick("leave")
    return redirect(url_for("home.show"), 303)
