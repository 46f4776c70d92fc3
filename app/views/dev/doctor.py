"""`flask doctor` as a page, with what only a browser knows. It exists on localhost only."""

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from app.operator import doctor
from app.views.dev.outbox import local_only

blueprint = Blueprint("dev_doctor", __name__, url_prefix="/dev/doctor")
blueprint.before_request(local_only)


@blueprint.get("")
def show() -> ResponseReturnValue:
    """Show what is wrong with the site's setup, and what this browser can do."""
    # The site has started: it serves this page.
    return render_template("dev/doctor.html", findings=[*doctor.examine(seconds_to_start=0)])
