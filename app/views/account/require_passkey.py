"""Whether email alone signs in to the visitor's account."""

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_required

from app import passkeys, recovery_codes, second_step
from app.activity import Kind
from app.refusals import Refusal
from app.views.account import confirm
from app.views.shared.answers import flash_done, render_page
from app.views.shared.history import notify_owner, record_activity, record_ended_sessions
from app.views.shared.transaction import one_transaction
from app.views.shared.visitor import lock_account

blueprint = Blueprint("require_passkey", __name__, url_prefix="/account/require-passkey")


@blueprint.get("")
@login_required
def show() -> ResponseReturnValue:
    """What it means, and what it takes."""
    return page()


@blueprint.post("")
@login_required
@one_transaction
@confirm.fresh_proof
def change() -> ResponseReturnValue:
    """Turn it on, with a recovery code typed back, or off."""
    wanted = request.form.get("require") == "yes"
    # A second click finds it done.
    if wanted != lock_account().requires_passkey:
        if wanted:
            try:
                record_ended_sessions(second_step.require_passkey(current_user, request.form.get("kept", "")))
            except Refusal as refusal:
                return page(refusal)
        else:
            second_step.stop_requiring(current_user.id)
        kind = Kind.PASSKEY_REQUIRED if wanted else Kind.PASSKEY_NOT_REQUIRED
        record_activity(current_user.id, kind)
        notify_owner(current_user.id, current_user.email, kind.value)
        flash_done(kind.value)
    return redirect(url_for("account.show"), 303)


def page(refusal: Refusal | None = None) -> ResponseReturnValue:
    """Return the page for what the account has, with the refusal if there is one."""
    has_passkey, remaining = bool(passkeys.of(current_user)), recovery_codes.remaining(current_user.id)
    return render_page("account/require_passkey.html", refusal, has_passkey=has_passkey, remaining=remaining)
