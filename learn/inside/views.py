"""The pages of opened ceremonies: the visitor's own, and an example for everybody."""

from typing import Any

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_required

from app.activity import TRANSCRIPTS_PER_HOUR
from app.ceremonies.attempts import LONGEST_TRANSCRIPT
from learn.inside import checks, examples, kept, mails, sources, story
from learn.inside.ceremonies import Ceremony
from learn.inside.kept import LARGEST_ID, Event
from learn.inside.mails import Mailed

blueprint = Blueprint("inside", __name__, url_prefix="/inside")
for words in (story.printable, story.in_hex, story.plain, story.differing):
    blueprint.add_app_template_filter(words)
blueprint.add_app_template_test(story.is_zero, "zero_bytes")


CHECKS = checks.CHECKS | mails.CHECKS


@blueprint.get("/")
def index() -> ResponseReturnValue:
    """Show the visitor's ceremonies, newest first, a page at a time. Signed out, say what there is to see."""
    before = min(request.args.get("before", 0, int), LARGEST_ID)
    events = kept.newest(current_user.user_id, before) if current_user.is_authenticated else []
    return render_template(
        "inside/index.html",
        events=events[: kept.PAGE_SIZE],
        more=len(events) > kept.PAGE_SIZE,
        before=before,
        most_refused=TRANSCRIPTS_PER_HOUR,
    )


@blueprint.get("/newest")
@login_required
def newest() -> ResponseReturnValue:
    """Redirect to the visitor's newest ceremony, or to the list if there is none."""
    events = kept.newest(current_user.user_id)
    return redirect(url_for("inside.show", activity_id=events[0].id) if events else url_for("inside.index"), 303)


@blueprint.get(f"/<int(max={LARGEST_ID}):activity_id>")
@login_required
def show(activity_id: int) -> ResponseReturnValue:
    """Open one of the visitor's ceremonies. There are no others: somebody else's is a plain 404."""
    found = kept.find(current_user.user_id, activity_id)
    if not found:
        abort(404)
    event, ceremony = found
    return mailed_page(event, ceremony) if isinstance(ceremony, Mailed) else page(event, ceremony)


@blueprint.get("/example")
@blueprint.get("/example/<any(refused):which>")
def example(which: str = "accepted") -> ResponseReturnValue:
    """Open a sign-in that was recorded once, for visitors without an account."""
    return page(*examples.read_example(which), example=which)


@blueprint.get("/code/<kind>/<key>")
def code(kind: str, key: str) -> ResponseReturnValue:
    """Show the function that makes a check. Only checks have such a page: no part of the path is the name of a file."""
    check = next((each for each in CHECKS.get(kind, ()) if each.key == key), None)
    if not check:
        abort(404)
    return render_template("inside/code.html", kind=kind, check=check, source=sources.function_of(check))


def page(event: Event, ceremony: Ceremony, **values: Any) -> ResponseReturnValue:
    """Return the page of a ceremony."""
    results = [] if ceremony.too_long else checks.judge(ceremony)
    return render_template(
        "inside/show.html",
        event=event,
        ceremony=ceremony,
        facts=ceremony.facts,
        story=story.tell(ceremony, results),
        longest_transcript=LONGEST_TRANSCRIPT,
        **values,
    )


def mailed_page(event: Event, mailed: Mailed) -> ResponseReturnValue:
    """Return the page of a sign-in by mail."""
    return render_template("inside/mailed.html", event=event, mailed=mailed, groups=story.groups(mails.judge(mailed)))
