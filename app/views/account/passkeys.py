"""The visitor's passkeys: make one, rename one, remove one."""

from flask import Blueprint, Response, abort, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_required

from app import limits, passkeys, sessions
from app.activity import Kind
from app.ceremonies import signals
from app.ceremonies.verification import CHALLENGE_LIFETIME
from app.models import now
from app.refusals import Refusal
from app.user_agents import passkey_name
from app.views.account import confirm, show
from app.views.shared import allowances, tour
from app.views.shared.answers import flash_done
from app.views.shared.browser import this_client
from app.views.shared.history import notify_owner, record_activity, record_ended_sessions, record_refusal
from app.views.shared.next_page import next_page
from app.views.shared.transaction import one_transaction
from app.views.shared.visitor import lock_account

blueprint = Blueprint("passkeys", __name__, url_prefix="/account/passkeys")


@blueprint.post("")
@login_required
@one_transaction
def create() -> ResponseReturnValue:
    """Add the passkey that the authenticator made. Its challenge was issued on fresh proof, and only on that."""
    next = next_page(request.form.get("next"))
    if not request.form.get("credential") and not creation_options():
        # The button of a page without options.
        if len(passkeys.of(current_user)) >= passkeys.MOST:
            return show.page(Refusal("enough_passkeys"))
        confirm.record_attempt()
        return redirect(url_for("confirm.show", next=next or url_for("account.show")), 303)
    # A session without proof for that long can't add a passkey. It must neither use up the owner's limit nor fill the
    # activity.
    could_add = current_user.could_add_passkey(now() - CHALLENGE_LIFETIME)
    try:
        limits.take(passkey_answers=(limits.client(this_client().address),))
        if could_add:
            limits.take(proofs=allowances.who(current_user.id))
        added, attempt = passkeys.finish_registration(
            lock_account(), request.form.get("credential", ""), request.form.get("name", ""), this_client().browser
        )
    except Refusal as refusal:
        if could_add:
            record_refusal(refusal, Kind.PASSKEY_REFUSED, current_user.id)
        else:
            confirm.record_attempt()
        return show.welcome_page(next, refusal) if request.form.get("welcome") else show.page(refusal)
    record_activity(current_user.id, Kind.PASSKEY_ADDED, added, attempt.transcript(), attempt.began)
    details = passkey_name(added, attempt.found["aaguid"])
    notify_owner(current_user.id, current_user.email, "passkey_added", detail=details)
    tour.tick("create")
    flash_done("passkey_added", is_first=len(passkeys.of(current_user)) == 1)
    return redirect(next or url_for("account.show"), 303)


@blueprint.post("/options")
@login_required
def options() -> ResponseReturnValue:
    """Fresh creation options, for a page that has been open for long; none without fresh proof."""
    return Response(creation_options() or abort(403, "not_proven"), mimetype="application/json")


def creation_options() -> str:
    """Return creation options for one more passkey, or "" where it takes fresh proof first."""
    return passkeys.begin_registration(current_user, passkeys.of(current_user))


@blueprint.post("/<int(max=2147483647):passkey_id>/rename")
@login_required
@one_transaction
def rename(passkey_id: int) -> ResponseReturnValue:
    """Call one of the visitor's passkeys something else."""
    try:
        name = passkeys.clean_name(request.form.get("name", ""))
        limits.take(proofs=allowances.who(current_user.id))
    except Refusal as refusal:
        return show.page(refusal, renamed=passkey_id, typed=request.form.get("name", "")[:60])
    if not passkeys.rename(lock_account(), passkey_id, name):
        limits.give_back(proofs=allowances.who(current_user.id))
        abort(404)
    record_activity(current_user.id, Kind.PASSKEY_RENAMED, name)
    return redirect(url_for("account.show"), 303)


@blueprint.post("/<int(max=2147483647):passkey_id>/remove")
@login_required
@one_transaction
@confirm.fresh_proof
def remove(passkey_id: int) -> ResponseReturnValue:
    """Remove one of the visitor's passkeys, and end the sessions that it opened where that was asked for."""
    try:
        passkey = passkeys.remove(lock_account(), passkey_id)
    except Refusal as refusal:
        return show.page(refusal)
    if not passkey:
        abort(404)
    if request.form.get("sessions"):
        record_ended_sessions(sessions.revoke(current_user, passkey_id=passkey_id))
    record_activity(current_user.id, Kind.PASSKEY_REMOVED, passkey.name)
    details = passkey_name(passkey.name, passkey.aaguid)
    notify_owner(current_user.id, current_user.email, "passkey_removed", detail=details)
    flash_done("passkey_removed", signal=signals.unknown_credential(passkey.credential_id))
    return redirect(url_for("account.show"), 303)
