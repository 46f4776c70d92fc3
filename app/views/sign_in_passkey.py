"""Signing in with a passkey: one form, one POST."""

from contextlib import suppress
from datetime import timedelta

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue

from app import limits, passkeys
from app.activity import Kind
from app.email_addresses import canonical
from app.refusals import Refusal
from app.views import flow, second_step, sign_in, tour
from app.views.next_page import next_page

blueprint = Blueprint("sign_in_passkey", __name__, url_prefix="/sign-in/passkey")

# Longer than a browser waits for an answer.
LONGEST_CEREMONY = timedelta(minutes=10)


@blueprint.post("")
@flow.one_transaction
def use() -> ResponseReturnValue:
    """Sign in with what the authenticator answered, to the account of the address, if one was typed."""
    next = next_page(request.form.get("next"))
    email = request.form.get("email", "").strip()
    with suppress(Refusal):  # what is no address is no account's
        email = canonical(email)
    try:
        limits.take(passkey_answers=(limits.client(flow.client().address),))
        passkey, attempt = passkeys.finish_authentication(
            flow.this_browser(), request.form.get("credential", ""), email
        )
    except Refusal as refusal:
        flow.record_refused(refusal, Kind.SIGN_IN_REFUSED)
        if "token" in request.form:
            return second_step.page(refusal)
        return sign_in.page(refusal, email=email[:254], next=next)
    second_step.close()
    if attempt.counter_went_back:
        flow.counter_went_back(passkey.user_id, passkey.email, passkey.name)
    tour.tick("return")
    # Not after the second of two steps, which took longer; and only if the account page, which shows it, comes next.
    if "token" not in request.form and next.partition("?")[0] in ("", url_for("account.show")):
        flow.say("signed_in", seconds=seconds_taken(), mail_seconds=flow.mail_took(passkey.email))
    # Autofill waits for as long as the visitor likes: that is no effort, and tells nothing.
    began = attempt.began if request.form.get("by") == "button" else None
    return flow.sign_in(passkey, "passkey", next, attempt=attempt, began=began)


def seconds_taken() -> int:
    """Return how many seconds the visitor needed, as the page's script measured it; 0 where that is unknown.

    It runs from pressing the button, or from the last click or key in the email field (a passkey may wait there for
    hours before), until the authenticator's answer. Nothing vouches for it: it is shown to the same visitor, and
    counts for nothing else.
    """
    took = timedelta(milliseconds=min(request.form.get("took", 0, int), 10**9))
    return max(1, round(took.total_seconds())) if timedelta(0) < took <= LONGEST_CEREMONY else 0


@blueprint.post("/options")
def options() -> ResponseReturnValue:
    """Fresh request options, for a page that has been open for long."""
    return Response(passkeys.begin_authentication(flow.this_browser()), mimetype="application/json")
