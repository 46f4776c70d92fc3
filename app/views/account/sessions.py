"""The visitor's sessions: ending one of them, or all others."""

from flask import Blueprint, abort, redirect, url_for
from flask.typing import ResponseReturnValue
from flask_login import login_required

from app import sessions
from app.views.account.confirm import fresh_proof
from app.views.shared.answers import flash_done
from app.views.shared.history import record_ended_sessions
from app.views.shared.transaction import one_transaction
from app.views.shared.visitor import lock_account

blueprint = Blueprint("sessions", __name__, url_prefix="/account/sessions")


@blueprint.post("/<int(max=2147483647):session_id>/revoke")
@login_required
@one_transaction
@fresh_proof
def revoke(session_id: int) -> ResponseReturnValue:
    """End one of the visitor's sessions."""
    ended = sessions.revoke_for_user(lock_account().user_id, id=session_id)
    if not ended:
        abort(404)
    record_ended_sessions(ended)
    flash_done("sessions_ended")
    return redirect(url_for("account.show"), 303)


@blueprint.post("/revoke-all")
@login_required
@one_transaction
@fresh_proof
def revoke_all() -> ResponseReturnValue:
    """End all of the visitor's sessions except this one."""
    record_ended_sessions(sessions.revoke_others(lock_account()))
    flash_done("sessions_ended")
    return redirect(url_for("account.show"), 303)
