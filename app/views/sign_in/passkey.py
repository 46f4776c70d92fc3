"""Signing in with a passkey, alone or as the second step: one form, one POST."""

from contextlib import suppress

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue

from app import passkeys
from app.activity import Kind
from app.email_addresses import canonical
from app.refusals import Refusal
from app.sessions import Method
from app.views.shared import timing, tour
from app.views.shared.allowances import count_passkey_answer
from app.views.shared.answers import flash_done
from app.views.shared.browser import browser_id
from app.views.shared.history import record_counter_went_back, record_refusal
from app.views.shared.next_page import next_page
from app.views.shared.signing_in import sign_in
from app.views.shared.transaction import one_transaction
from app.views.sign_in import mail, second_step

blueprint = Blueprint("sign_in_passkey", __name__, url_prefix="/sign-in/passkey")


@blueprint.post("")
@one_transaction
def use() -> ResponseReturnValue:
    """Sign in with the authenticator's answer. If an address was typed, the passkey must belong to its account."""
    email, next = typed_email(), next_page(request.form.get("next"))
    is_second_step = "token" in request.form
    try:
        count_passkey_answer()
        passkey, attempt = passkeys.finish_authentication(browser_id(), request.form.get("credential", ""), email)
    except Refusal as refusal:
        record_refusal(refusal, Kind.SIGN_IN_REFUSED)
        return second_step.page(refusal) if is_second_step else mail.page(refusal, email=email[:254], next=next)
    if is_second_step:
        # The token is not checked, because a passkey alone is enough to sign in.
        second_step.close()
    if attempt.counter_went_back:
        record_counter_went_back(passkey.user, passkey)
    tour.mark_done("return")
    # The account page compares the time with that of the mail. A second step is not compared: it includes a mail.
    if not is_second_step and next.partition("?")[0] in ("", url_for("account.show")):
        flash_done("signed_in", seconds=timing.passkey_seconds(), mail_seconds=timing.mail_seconds(passkey.user))
    # With autofill, the challenge may wait long for the visitor. So its time is recorded for the button only.
    began = attempt.began if request.form.get("by") == "button" else None
    return sign_in(
        passkey.user, Method.PASSKEY, next, passkey_id=passkey.id, transcript=attempt.transcript(), began=began
    )


@blueprint.post("/options")
def options() -> ResponseReturnValue:
    """Return fresh request options, for a page that has been open for some time."""
    return Response(passkeys.begin_authentication(browser_id()), mimetype="application/json")


def typed_email() -> str:
    """Return the typed address as accounts store it. If it isn't an address, return it as it was typed."""
    typed = request.form.get("email", "").strip()
    with suppress(Refusal):
        return canonical(typed)
    return typed
