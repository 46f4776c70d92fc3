"""What happened to the visitor's account."""

from contextlib import suppress

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_required

from app import activity
from app.activity import PAGE, Kind

blueprint = Blueprint("activity", __name__, url_prefix="/account/activity")


@blueprint.get("")
@login_required
def show() -> ResponseReturnValue:
    """The newest first, a page at a time, of one kind or all. A filter that is none is dropped, as a bad `next` is."""
    kind = None
    with suppress(ValueError):
        kind = Kind(request.args.get("kind", ""))
    # PostgreSQL refuses a number that the column can't hold.
    before = min(request.args.get("before", 0, int), 2**31 - 1)
    rows = activity.of(current_user.id, kind, before if before > 0 else None)
    return render_template(
        "account/activity.html", rows=rows[:PAGE], more=len(rows) > PAGE, kind=kind, kinds=list(Kind), before=before
    )
