"""The sign-in page, asking for the sign-in mail, and typing its code."""

from typing import Any

from flask import Blueprint, current_app, make_response, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from app import codes, invitations, mailer, passkeys, sign_in_links
from app.email_addresses import canonical
from app.limits import TooMany
from app.models import now
from app.refusals import Refusal
from app.sessions import Method
from app.sign_in_links import LINK, PendingSignIn
from app.views.shared import tour
from app.views.shared.allowances import mail_allowance
from app.views.shared.answers import render_page
from app.views.shared.browser import browser_id, pending_sign_in, remember_pending, this_client
from app.views.shared.next_page import next_page
from app.views.shared.signing_in import sign_in_by_mail
from app.views.shared.transaction import one_transaction

blueprint = Blueprint("sign_in", __name__)


@blueprint.get("/sign-in")
def show() -> ResponseReturnValue:
    """Show the email field, and the buttons for a link and for a passkey. The field's autofill offers passkeys."""
    next = next_page(request.args.get("next"))
    if current_user.is_authenticated:
        return redirect(next or url_for("account.show"), 303)
    response = make_response(page(next=next))
    # Unlike `no-store`, this lets the Back button show the page as it was. Then its script fetches new options.
    response.cache_control.private = response.cache_control.no_cache = True
    return response


def page(refusal: Refusal | None = None, email: str = "", next: str = "") -> ResponseReturnValue:
    """Return the sign-in page with fresh options for this browser, and with the refusal if there is one."""
    options = passkeys.begin_authentication(browser_id())
    return render_page("sign_in/show.html", refusal, email=email, next=next, options=options)


@blueprint.post("/sign-in")
def ask() -> ResponseReturnValue:
    """Mail a link and a code. Known and unknown addresses get the same page. Only the cookie keeps the request.

    If sign-up needs an invitation, an address with neither an account nor an invitation gets a mail that says so.
    """
    typed, next = request.form.get("email", ""), next_page(request.form.get("next"))
    try:
        email = canonical(typed)
    except Refusal as refusal:
        return page(refusal, email=typed[:254], next=next)
    earlier = pending_sign_in()
    if earlier and earlier.email == email and (wait := earlier.send_again_in):
        return check_email_page(earlier, TooMany("too_soon", wait))
    pending = sign_in_links.ask(email, next, earlier)
    # Make all values for either mail, so that both take the same time.
    template = "sign_in" if invitations.may_sign_in(email) else "notice"
    values = mail_values(pending)
    try:
        with mail_allowance(email):
            mailer.send(template, email, **values)
    except Refusal as refusal:
        return page(refusal, email=email, next=next)
    remember_pending(pending)
    tour.mark_done("ask")
    return redirect(url_for("sign_in.check_email"), 303)


def mail_values(pending: PendingSignIn) -> dict[str, Any]:
    """Return the values for the templates of either mail."""
    client = this_client()
    token = sign_in_links.link_token(pending, browser_id(), client.browser)
    return {
        # Use SITE_URL, because a proxy may send another Host header.
        "link": current_app.config["SITE_URL"] + url_for("sign_in_link.show", token=token),
        "code": codes.code_for(LINK, pending.id),
        "pending": pending,
        "kind": "by_invitation",
        "client": client,
        "time": now(),
    }


@blueprint.get("/sign-in/check-email")
def check_email() -> ResponseReturnValue:
    """Show the code field, and the button that sends the mail again."""
    pending = pending_sign_in()
    if not pending:
        return redirect(url_for("sign_in.show"), 303)
    return check_email_page(pending)


def check_email_page(pending: PendingSignIn, refusal: Refusal | None = None) -> ResponseReturnValue:
    """Return the page with the code field, and with the refusal if there is one."""
    return render_page("sign_in/check_email.html", refusal, pending=pending)


@blueprint.post("/sign-in/code")
@one_transaction
def use_code() -> ResponseReturnValue:
    """Sign in with the code of the mail, in the browser that asked for it."""
    pending = pending_sign_in()
    if not pending and current_user.is_authenticated:
        # The link or the code was used in another tab.
        return redirect(url_for("account.show"), 303)
    try:
        proven = sign_in_links.redeem_code(request.form.get("code", ""), pending)
    except Refusal as refusal:
        return check_email_page(pending, refusal) if pending else page(refusal)
    return sign_in_by_mail(proven, Method.CODE)
