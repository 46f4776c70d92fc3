"""Recovery codes: made, and shown once."""

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_required

from app import proof, recovery_codes
from app.activity import Kind
from app.views.account.confirm import fresh_proof
from app.views.shared.history import notify_owner, record_activity
from app.views.shared.transaction import one_transaction
from app.views.shared.visitor import lock_account

blueprint = Blueprint("recovery_codes", __name__, url_prefix="/account/recovery-codes")


@blueprint.get("")
@login_required
def show() -> ResponseReturnValue:
    """Say what the codes are for, and how many are left."""
    return page()


@blueprint.post("")
@login_required
@one_transaction
@fresh_proof
def make() -> ResponseReturnValue:
    """Make new codes and show them. This doesn't redirect, because no other page may ever show them."""
    visitor = lock_account()
    made = recovery_codes.make(visitor.user_id)
    # Somebody may have opened another session with an old code. Make it prove again.
    proof.expire_others(visitor)
    record_activity(visitor.user_id, Kind.RECOVERY_CODES_MADE)
    notify_owner(visitor.user, "recovery_codes_made")
    return page(made)


def page(made: list[str] | None = None) -> ResponseReturnValue:
    """Return the page, with the codes if they have just been made."""
    remaining = recovery_codes.count(current_user.user_id)
    return render_template("account/recovery_codes.html", codes=made, remaining=remaining)
