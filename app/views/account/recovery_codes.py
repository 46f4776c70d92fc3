"""Recovery codes: made anew, and shown once."""

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_required

from app import recovery_codes, sessions
from app.activity import Kind
from app.views.account import confirm
from app.views.shared.history import notify_owner, record_activity
from app.views.shared.transaction import one_transaction

blueprint = Blueprint("recovery_codes", __name__, url_prefix="/account/recovery-codes")


@blueprint.get("")
@login_required
def show() -> ResponseReturnValue:
    """What they are for, and how many are left."""
    return page()


@blueprint.post("")
@login_required
@one_transaction
@confirm.fresh_proof
def make() -> ResponseReturnValue:
    """Make ten and show them. No redirect: nothing but this page may ever hold them."""
    made = recovery_codes.make(current_user.id)
    # An old one may have opened them.
    sessions.doubt_others(current_user)
    record_activity(current_user.id, Kind.RECOVERY_CODES_MADE)
    notify_owner(current_user.id, current_user.email, "recovery_codes_made")
    return page(made)


def page(made: list[str] | None = None) -> ResponseReturnValue:
    """Return the page, with the codes that were made just now if there are any."""
    values = {"codes": made, "remaining": recovery_codes.remaining(current_user.id)}
    return render_template("account/recovery_codes.html", **values)
