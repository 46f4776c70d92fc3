"""The pages of opened ceremonies: the visitor's own, and an example for everybody."""

import re
from dataclasses import replace
from typing import Any

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_required

from app import passkeys, sign_in_links, single_use
from app.activity import TRANSCRIPTS_PER_HOUR
from app.ceremonies.attempts import LONGEST_TRANSCRIPT, CeremonyError
from app.database import rollback
from app.models import now
from app.refusals import Refusal
from app.views.dev.outbox import gone, local_only, text_of
from app.views.shared.allowances import count_passkey_answer
from app.views.shared.answers import render_page
from app.views.shared.browser import browser_id
from app.views.shared.transaction import one_transaction
from learn.inside import checks, examples, kept, mails, paste, sources, story, what_if
from learn.inside.ceremonies import Ceremony
from learn.inside.kept import LARGEST_ID, Event
from learn.inside.mails import Mailed

LINK_IN_MAIL = re.compile(r"/sign-in/link/(\S+)")

blueprint = Blueprint("inside", __name__, url_prefix="/inside")
blueprint.register_error_handler(FileNotFoundError, gone)
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
    event, found = kept.find(current_user.user_id, activity_id) or abort(404)
    return mailed_page(event, found) if isinstance(found, Mailed) else page(event, found)


@blueprint.post(f"/<int(max={LARGEST_ID}):activity_id>")
@login_required
@one_transaction
def try_again(activity_id: int) -> ResponseReturnValue:
    """Send the response of this ceremony to the site once more, as it was or with one thing changed."""
    event, found = kept.find(current_user.user_id, activity_id) or abort(404)
    if isinstance(found, Mailed) or found.too_long:
        abort(404)
    return trial(event, found)


@blueprint.get("/example")
@blueprint.get("/example/<any(refused):which>")
def example(which: str = "accepted") -> ResponseReturnValue:
    """Open a sign-in that was recorded once, for visitors without an account."""
    return page(*examples.read_example(which), example=which)


@blueprint.post("/example")
@blueprint.post("/example/<any(refused):which>")
@one_transaction
def try_example(which: str = "accepted") -> ResponseReturnValue:
    """Send the response of an example once more, with one thing changed."""
    return trial(*examples.read_example(which), example=which)


@blueprint.get("/paste")
@blueprint.post("/paste")
def pasted() -> ResponseReturnValue:
    """Decode the options and the response of any site, and make the checks that need no database. Keep nothing."""
    local_only()
    form = {name: request.form.get(name, "").strip() for name in ("options", "response", "origin", "public_key")}
    if request.method == "GET":
        return render_template("inside/paste.html", form=form)
    try:
        ceremony = paste.ceremony(**form)
    except Refusal as refusal:
        return render_page("inside/paste.html", refusal, form=form)
    return page(Event(0, "", now(), "", ""), ceremony, is_pasted=True)


@blueprint.get("/mail/<id>")
def mail(id: str) -> ResponseReturnValue:
    """Open the token of the link in a mail of the outbox. The link stays unused."""
    local_only()
    link = LINK_IN_MAIL.search(text_of(id)) or abort(404)
    try:
        token = single_use.read(sign_in_links.LINK, link[1])
    except Refusal as refusal:
        return render_page("inside/link.html", refusal, 410)
    return render_template("inside/link.html", token=token, is_used=single_use.is_spent(token.id))


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
        changes=what_if.changes_for(ceremony),
        **values,
    )


def mailed_page(event: Event, mailed: Mailed) -> ResponseReturnValue:
    """Return the page of a sign-in by mail."""
    return render_template("inside/mailed.html", event=event, mailed=mailed, groups=story.groups(mails.judge(mailed)))


def trial(event: Event, ceremony: Ceremony, **values: Any) -> ResponseReturnValue:
    """Return the page of a ceremony that was sent again, as it was (without `change`) or with one thing changed."""
    try:
        count_passkey_answer()
    except Refusal as refusal:
        abort(429, refusal.reason)
    name = request.form.get("change")
    change = what_if.find(name) or abort(404) if name else None
    tried = (what_if.try_change(ceremony, change) or abort(404)) if change else send_again(ceremony)
    return page(event, tried, change=change, is_trial=True, **values)


def send_again(ceremony: Ceremony) -> Ceremony:
    """Answer the site with the same response once more, as its own views do. Return the ceremony with the new verdict.

    A challenge works once, so the site refuses it. If it ever accepts it, this changes nothing.
    """
    try:
        if ceremony.kind == "authentication":
            passkeys.finish_authentication(browser_id(), ceremony.response)
        elif ceremony.kind == "registration":
            passkeys.finish_registration(current_user, ceremony.response, "", "")
        else:
            passkeys.finish_confirmation(current_user, ceremony.response)
    except CeremonyError as refusal:
        facts = refusal.attempt.facts if refusal.attempt else ceremony.facts
        return replace(ceremony, facts=facts, refused=refusal.reason)
    rollback()
    return replace(ceremony, refused="")
