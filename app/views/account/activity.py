"""The activity of the visitor's account."""

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_required

from app import activity
from app.activity import PAGE_SIZE, Kind

blueprint = Blueprint("activity", __name__, url_prefix="/account/activity")

# The largest number that the id's column can hold on PostgreSQL.
LARGEST_ID = 2**31 - 1


@blueprint.get("")
@login_required
def show() -> ResponseReturnValue:
    """Show the newest events first, a page at a time, of one kind or of all. An unknown kind is ignored."""
    kind = request.args.get("kind", type=Kind)
    before = min(request.args.get("before", 0, int), LARGEST_ID)
    rows = activity.for_user(current_user.user_id, kind, before if before > 0 else None)
    return render_template(
        "account/activity.html",
        rows=rows[:PAGE_SIZE],
        more=len(rows) > PAGE_SIZE,
        kind=kind,
        kinds=list(Kind),
        before=before,
    )
