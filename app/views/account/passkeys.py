"""The visitor's passkeys: create one, rename one, remove one."""

from flask import Blueprint, Response, abort, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_required

from app import passkeys, proof, sessions
from app.activity import Kind
from app.ceremonies import signals
from app.ceremonies.options import CHALLENGE_LIFETIME
from app.models import now
from app.refusals import Refusal
from app.user_agents import passkey_name
from app.views.account import overview
from app.views.account.confirm import fresh_proof, record_missing_proof
from app.views.shared import tour
from app.views.shared.allowances import count_passkey_answer, count_proof, give_back_proof
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
    """Add the passkey that the authenticator made. A session without proof gets no challenge for it."""
    form, next = request.form, next_page(request.form.get("next"))
    if not form.get("credential") and not creation_options():
        return without_options(next)
    # A session without proof gets no challenge. If this one can't have a valid challenge, its attempts must not use up
    # the owner's limit. They must not fill the activity either.
    could_add = proof.could_add_passkey(current_user, now() - CHALLENGE_LIFETIME)
    try:
        count_passkey_answer()
        if could_add:
            count_proof(current_user.user_id)
        visitor = lock_account()
        passkey, attempt = passkeys.finish_registration(
            visitor, form.get("credential", ""), form.get("name", ""), default_name=this_client().browser
        )
    except Refusal as refusal:
        if could_add:
            record_refusal(refusal, Kind.PASSKEY_REFUSED, current_user.user_id)
        else:
            record_missing_proof()
        return overview.welcome_page(next, refusal) if form.get("welcome") else overview.page(refusal)
    record_activity(visitor.user_id, Kind.PASSKEY_ADDED, passkey.name, attempt.transcript(), attempt.began)
    notify_owner(visitor.user, "passkey_added", detail=passkey_name(passkey.name, passkey.aaguid))
    tour.mark_done("create")
    flash_done("passkey_added", is_first=len(passkeys.for_user(visitor.user_id)) == 1)
    return redirect(next or url_for("account.show"), 303)


def without_options(next: str) -> ResponseReturnValue:
    """Handle the button of a page without options: the visitor has too many passkeys, or needs fresh proof."""
    if len(passkeys.for_user(current_user.user_id)) >= passkeys.MOST_PASSKEYS:
        return overview.page(Refusal("enough_passkeys"))
    record_missing_proof()
    return redirect(url_for("confirm.show", next=next or url_for("account.show")), 303)


@blueprint.post("/options")
@login_required
def options() -> ResponseReturnValue:
    """Return fresh creation options, for a page that has been open for some time, or refuse with 403."""
    return Response(creation_options() or abort(403, "not_proven"), mimetype="application/json")


def creation_options() -> str:
    """Return creation options for one more passkey, or "" as `passkeys.begin_registration` does."""
    return passkeys.begin_registration(current_user, passkeys.for_user(current_user.user_id))


@blueprint.post("/<int(max=2147483647):passkey_id>/rename")
@login_required
@one_transaction
def rename(passkey_id: int) -> ResponseReturnValue:
    """Give one of the visitor's passkeys another name."""
    typed = request.form.get("name", "")
    try:
        name = passkeys.clean_name(typed)
        count_proof(current_user.user_id)
    except Refusal as refusal:
        return overview.page(refusal, refused_rename=passkey_id, typed=typed[: passkeys.LONGEST_NAME])
    visitor = lock_account()
    if not passkeys.rename(visitor.user_id, passkey_id, name):
        give_back_proof(visitor.user_id)
        abort(404)
    record_activity(visitor.user_id, Kind.PASSKEY_RENAMED, name)
    return redirect(url_for("account.show"), 303)


@blueprint.post("/<int(max=2147483647):passkey_id>/remove")
@login_required
@one_transaction
@fresh_proof
def remove(passkey_id: int) -> ResponseReturnValue:
    """Remove one of the visitor's passkeys. If asked to, also end the sessions that it opened."""
    visitor = lock_account()
    try:
        passkey = passkeys.remove(visitor, passkey_id)
    except Refusal as refusal:
        return overview.page(refusal)
    if not passkey:
        abort(404)
    if request.form.get("sessions"):
        record_ended_sessions(sessions.revoke_others(visitor, passkey_id=passkey_id))
    record_activity(visitor.user_id, Kind.PASSKEY_REMOVED, passkey.name)
    notify_owner(visitor.user, "passkey_removed", detail=passkey_name(passkey.name, passkey.aaguid))
    flash_done("passkey_removed", signal=signals.unknown_credential(passkey.credential_id))
    return redirect(url_for("account.show"), 303)
