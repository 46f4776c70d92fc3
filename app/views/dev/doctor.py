"""`flask doctor` as a page, which also tests the visitor's browser. It exists on localhost only."""

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from app.operator import doctor
from app.views.dev.outbox import local_only

blueprint = Blueprint("dev_doctor", __name__, url_prefix="/dev/doctor")
blueprint.before_request(local_only)


@blueprint.get("")
def show() -> ResponseReturnValue:
    """Show the doctor's findings about the site's setup, and the abilities of this browser."""
    # Don't wait for the site to start: it serves this page.
    return render_template("dev/doctor.html", findings=[*doctor.examine(seconds_to_start=0)])
