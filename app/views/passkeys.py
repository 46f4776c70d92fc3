"""The visitor's passkeys: make one, remove one."""

from flask import Blueprint, Response, abort, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_required

from app import log, passkeys
from app.ceremonies import CeremonyError
from app.user_agents import describe
from app.views import account, flow

blueprint = Blueprint("passkeys", __name__, url_prefix="/account/passkeys")


@blueprint.post("")
@login_required
@flow.one_transaction
def create() -> ResponseReturnValue:
    """Add the passkey that the authenticator made."""
    next = flow.next_page(request.form.get("next"))
    default_name = describe(flow.user_agent())
    try:
        passkey_id = passkeys.finish_registration(current_user, request.form.get("credential", ""), default_name)
    except CeremonyError as refusal:
        return account.welcome_page(next, refusal) if request.form.get("welcome") else account.page(refusal)
    log.event("passkey_added", user=current_user.id, passkey=passkey_id)
    flow.tick("create")
    flash("passkey_added")
    return redirect(next or url_for("account.show"), 303)


@blueprint.post("/options")
@login_required
def options() -> ResponseReturnValue:
    """Fresh creation options, for a page that has been open for long."""
    return Response(passkeys.begin_registration(current_user, passkeys.of(current_user)), mimetype="application/json")


@blueprint.post("/<int:passkey_id>/remove")
@login_required
@flow.one_transaction
def remove(passkey_id: int) -> ResponseReturnValue:
    """Remove one of the visitor's passkeys."""
    if not passkeys.remove(current_user, passkey_id):
        abort(404)
    log.event("passkey_removed", user=current_user.id, passkey=passkey_id)
    flash("passkey_removed")
    return redirect(url_for("account.show"), 303)
