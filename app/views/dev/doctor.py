"""`flask doctor` as a page, for a site on localhost, with what only a browser knows. It exists nowhere else."""

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from app.operator import doctor
from app.views.dev.outbox import local_only

blueprint = Blueprint("dev_doctor", __name__, url_prefix="/dev/doctor")
blueprint.before_request(local_only)


@blueprint.get("")
def show() -> ResponseReturnValue:
    """What might be wrong, and what this browser can do."""
    # The site is running: it serves this page.
    findings = [*doctor.examine(seconds_to_start=0), *doctor.examine_request(request.host, set(request.headers.keys()))]
    return render_template("dev/doctor.html", findings=findings)
