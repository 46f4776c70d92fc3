"""The setting "Require a passkey": with it, a link or code is not enough to sign in."""

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_required

from app import passkeys, recovery_codes, second_step
from app.activity import Kind
from app.refusals import Refusal
from app.views.account.confirm import fresh_proof
from app.views.shared.answers import flash_done, render_page
from app.views.shared.history import notify_owner, record_activity, record_ended_sessions
from app.views.shared.transaction import one_transaction
from app.views.shared.visitor import lock_account

blueprint = Blueprint("require_passkey", __name__, url_prefix="/account/require-passkey")


@blueprint.get("")
@login_required
def show() -> ResponseReturnValue:
    """Explain the setting, and say if the visitor must make a passkey or recovery codes first."""
    return page()


@blueprint.post("")
@login_required
@one_transaction
@fresh_proof
def change() -> ResponseReturnValue:
    """Require a passkey if the visitor types a recovery code, or stop requiring it."""
    visitor = lock_account()
    require = request.form.get("require") == "yes"
    # A second click finds nothing to change.
    if require == visitor.user.requires_passkey:
        return redirect(url_for("account.show"), 303)
    if require:
        try:
            # Not `recovery_code`: `fresh_proof` would take that field for a proof.
            ended = second_step.require_passkey(visitor, request.form.get("kept", ""))
        except Refusal as refusal:
            return page(refusal)
        record_ended_sessions(ended)
    else:
        second_step.stop_requiring_passkey(visitor.user_id)
    kind = Kind.PASSKEY_REQUIRED if require else Kind.PASSKEY_NOT_REQUIRED
    record_activity(visitor.user_id, kind)
    notify_owner(visitor.user, kind.value)
    flash_done(kind.value)
    return redirect(url_for("account.show"), 303)


def page(refusal: Refusal | None = None) -> ResponseReturnValue:
    """Return the page for the passkeys and codes that the account has, with the refusal if there is one."""
    has_passkey = bool(passkeys.for_user(current_user.user_id))
    remaining = recovery_codes.count(current_user.user_id)
    return render_page("account/require_passkey.html", refusal, has_passkey=has_passkey, remaining=remaining)
