"""Where the visitor is signed in."""

from flask import Blueprint, abort, redirect, url_for
from flask.typing import ResponseReturnValue
from flask_login import login_required

from app import sessions
from app.views import confirm, flow

blueprint = Blueprint("sessions", __name__, url_prefix="/account/sessions")


@blueprint.post("/<int(max=2147483647):session_id>/revoke")
@login_required
@flow.one_transaction
@confirm.fresh_proof
def revoke(session_id: int) -> ResponseReturnValue:
    """End one of the visitor's sessions."""
    ended = sessions.revoke(flow.hold_account(), id=session_id)
    if not ended:
        abort(404)
    flow.record_ended(ended)
    flow.say("sessions_ended")
    return redirect(url_for("account.show"), 303)


@blueprint.post("/revoke-all")
@login_required
@flow.one_transaction
@confirm.fresh_proof
def revoke_all() -> ResponseReturnValue:
    """End all of the visitor's sessions but this one."""
    flow.record_ended(sessions.revoke(flow.hold_account()))
    flow.say("sessions_ended")
    return redirect(url_for("account.show"), 303)
