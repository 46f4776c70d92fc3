"""Asking for the sign-in mail, and typing its code."""

from typing import Any

from flask import Blueprint, current_app, make_response, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from app import invitations, mailer, sign_in_links
from app.email_addresses import canonical
from app.limits import TooMany
from app.models import now
from app.passkeys import begin_authentication
from app.refusals import Refusal
from app.views.shared import allowances, tour
from app.views.shared.answers import render_page
from app.views.shared.browser import pending_sign_in, remember_sign_in, this_browser, this_client
from app.views.shared.next_page import next_page
from app.views.shared.signing_in import finish_email
from app.views.shared.transaction import one_transaction

blueprint = Blueprint("sign_in", __name__)


@blueprint.get("/sign-in")
def show() -> ResponseReturnValue:
    """The email field and both buttons; a ceremony waits in the field's autofill."""
    next = next_page(request.args.get("next"))
    if current_user.is_authenticated:
        return redirect(next or url_for("account.show"), 303)
    response = make_response(page(next=next))
    # The Back button may show it as it was left: its script renews the options.
    response.cache_control.private = response.cache_control.no_cache = True
    return response


def page(refusal: Refusal | None = None, **values: Any) -> ResponseReturnValue:
    """Return the sign-in page, with fresh options for this browser, and the refusal if there is one."""
    values = {"email": "", "next": ""} | values | {"options": begin_authentication(this_browser())}
    return render_page("sign_in/show.html", refusal, **values)


@blueprint.post("/sign-in")
def ask() -> ResponseReturnValue:
    """Mail a link and a code; or, on a site by invitation, word of that. Nothing is stored, and every address gets the
    same answer."""
    typed, next = request.form.get("email", ""), next_page(request.form.get("next"))
    earlier = pending_sign_in()
    try:
        email = canonical(typed)
    except Refusal as refusal:
        return page(refusal, email=typed[:254], next=next)
    if earlier and earlier.email == email and (wait := earlier.send_again_in):
        return check_email_page(earlier, TooMany("too_soon", wait))
    pending = sign_in_links.ask(email, next, earlier)
    client = this_client()
    token = sign_in_links.link_token(pending, this_browser(), client.browser)
    values = {
        # Of SITE_URL, whatever a proxy makes of the request.
        "link": current_app.config["SITE_URL"] + url_for("sign_in_link.show", token=token),
        "code": sign_in_links.code_for(pending.id),
        "pending": pending,
        "kind": "by_invitation",
        "client": client,
        "time": now(),
    }
    template = "sign_in" if invitations.lets_in(email) else "notice"
    try:
        with allowances.mail_allowance(email):
            mailer.send(template, email, **values)
    except Refusal as refusal:
        return page(refusal, email=email, next=next)
    remember_sign_in(pending)
    tour.tick("ask")
    return redirect(url_for("sign_in.check_email"), 303)


@blueprint.get("/sign-in/check-email")
def check_email() -> ResponseReturnValue:
    """Where the code is typed, and the mail sent again."""
    pending = pending_sign_in()
    if not pending:
        return redirect(url_for("sign_in.show"), 303)
    return check_email_page(pending)


def check_email_page(pending: sign_in_links.PendingSignIn, refusal: Refusal | None = None) -> ResponseReturnValue:
    """Return the page that waits for the code, with the refusal if there is one."""
    return render_page("sign_in/check_email.html", refusal, pending=pending)


@blueprint.post("/sign-in/code")
@one_transaction
def use_code() -> ResponseReturnValue:
    """Sign in with the code of the mail, in the browser that asked for it."""
    pending = pending_sign_in()
    if not pending and current_user.is_authenticated:
        # A second tab: the link or the code has been used since, by this same visitor.
        return redirect(url_for("account.show"), 303)
    try:
        user, asked, is_new = sign_in_links.redeem_code(request.form.get("code", ""), pending)
    except Refusal as refusal:
        return check_email_page(pending, refusal) if pending else page(refusal)
    return finish_email(user, "code", asked, is_new)
