"""Signing in with a passkey: one form, one POST."""

from contextlib import suppress

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue

from app import limits, passkeys
from app.activity import Kind
from app.email_addresses import canonical
from app.refusals import Refusal
from app.user_agents import passkey_name
from app.views.shared import timing, tour
from app.views.shared.answers import flash_done
from app.views.shared.browser import this_browser, this_client
from app.views.shared.history import record_counter_went_back, record_refusal
from app.views.shared.next_page import next_page
from app.views.shared.signing_in import sign_in
from app.views.shared.transaction import one_transaction
from app.views.sign_in import mail, second_step

blueprint = Blueprint("sign_in_passkey", __name__, url_prefix="/sign-in/passkey")


@blueprint.post("")
@one_transaction
def use() -> ResponseReturnValue:
    """Sign in with what the authenticator answered, to the account of the address, if one was typed."""
    next = next_page(request.form.get("next"))
    email = request.form.get("email", "").strip()
    with suppress(Refusal):  # what is no address is no account's
        email = canonical(email)
    try:
        limits.take(passkey_answers=(limits.client(this_client().address),))
        passkey, attempt = passkeys.finish_authentication(this_browser(), request.form.get("credential", ""), email)
    except Refusal as refusal:
        record_refusal(refusal, Kind.SIGN_IN_REFUSED)
        if "token" in request.form:
            return second_step.page(refusal)
        return mail.page(refusal, email=email[:254], next=next)
    second_step.close()
    if attempt.counter_went_back:
        record_counter_went_back(passkey.user_id, passkey.email, passkey_name(passkey.name, passkey.aaguid))
    tour.tick("return")
    # Not after the second of two steps, which took longer; and only if the account page, which shows it, comes next.
    if "token" not in request.form and next.partition("?")[0] in ("", url_for("account.show")):
        flash_done("signed_in", seconds=timing.passkey_seconds(), mail_seconds=timing.mail_seconds(passkey))
    # Autofill waits for as long as the visitor likes: that is no effort, and tells nothing.
    began = attempt.began if request.form.get("by") == "button" else None
    return sign_in(passkey, "passkey", next, attempt=attempt, began=began)


@blueprint.post("/options")
def options() -> ResponseReturnValue:
    """Fresh request options, for a page that has been open for long."""
    return Response(passkeys.begin_authentication(this_browser()), mimetype="application/json")
