"""The mailed link. Opening it changes nothing. The button on its page signs in, in the browser that asked for it."""

from flask import Blueprint, Response, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from app import codes, sign_in_links
from app.refusals import Refusal
from app.sessions import Method
from app.sign_in_links import LINK
from app.single_use import Token
from app.views.shared.answers import render_page
from app.views.shared.browser import browser_id, pending_sign_in
from app.views.shared.signing_in import sign_in_by_mail
from app.views.shared.transaction import one_transaction

blueprint = Blueprint("sign_in_link", __name__, url_prefix="/sign-in/link")


@blueprint.after_request
def hide_token(response: Response) -> Response:
    """Send only the origin in `Referer`, because the path contains the token. Proxies log that header."""
    response.headers["Referrer-Policy"] = "strict-origin"
    return response


@blueprint.get("/<token>")
def show(token: str) -> ResponseReturnValue:
    """Name the account and offer to sign in. If another browser asked, show the code to type there."""
    try:
        link = sign_in_links.open_link(token)
    except Refusal as refusal:
        return dead_link(refusal)
    try:
        pending = sign_in_links.check_browser(link, pending_sign_in(), browser_id())
    except Refusal as refusal:
        return other_browser(link) if refusal.reason == "other_browser" else dead_link(refusal)
    return render_template("sign_in/confirm.html", pending=pending, action=url_for(".use", token=token))


@blueprint.post("/<token>")
@one_transaction
def use(token: str) -> ResponseReturnValue:
    """Sign in with the link, in the browser that asked for it."""
    try:
        link = sign_in_links.open_link(token)
    except Refusal as refusal:
        return dead_link(refusal)
    try:
        proven = sign_in_links.redeem_link(link, pending_sign_in(), browser_id())
    except Refusal as refusal:
        return other_browser(link, refusal) if refusal.reason == "other_browser" else dead_link(refusal)
    return sign_in_by_mail(proven, Method.LINK)


def other_browser(link: Token, refusal: Refusal | None = None) -> ResponseReturnValue:
    """Return the page with the code for the browser that asked, and with the refusal if there is one."""
    code = codes.code_for(LINK, link.id)
    return render_page("sign_in/other_browser.html", refusal, 403, link=link, code=code)


def dead_link(refusal: Refusal) -> ResponseReturnValue:
    """Return a page that says why the link doesn't work, or that the visitor is signed in by now."""
    # If nothing is pending, this browser has used the newer mail already.
    is_done = refusal.reason == "already_used" or (refusal.reason == "newer_mail" and not pending_sign_in())
    if is_done and current_user.is_authenticated:
        return render_template("sign_in/already.html", refusal=refusal.reason)
    return render_page("sign_in/dead_link.html", refusal, 410)
