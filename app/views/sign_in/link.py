"""The mailed link: opening it changes nothing; a person confirming in the browser that asked signs in."""

from typing import Any

from flask import Blueprint, Response, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from app import sign_in_links
from app.refusals import Refusal
from app.single_use import Token
from app.views.shared.answers import render_page
from app.views.shared.browser import pending_sign_in, this_browser
from app.views.shared.signing_in import finish_email
from app.views.shared.transaction import one_transaction

blueprint = Blueprint("sign_in_link", __name__, url_prefix="/sign-in/link")


@blueprint.after_request
def hide_token(response: Response) -> Response:
    """Have the browser name the site but not the path in `Referer`: our own static files would get it, too, and the
    proxy in front of them may log it."""
    response.headers["Referrer-Policy"] = "strict-origin"
    return response


@blueprint.get("/<token>")
def show(token: str) -> ResponseReturnValue:
    """Name the account and offer to sign in, or show the code where another browser asked."""
    try:
        link = sign_in_links.open_link(token)
        pending = sign_in_links.request_of(link, pending_sign_in(), this_browser())
    except Refusal as refusal:
        if refusal.reason == "other_browser":
            return render_template("sign_in/other_browser.html", **asked_elsewhere(link))
        return dead_link(refusal)
    return render_template("sign_in/confirm.html", pending=pending, action=url_for(".use", token=token))


@blueprint.post("/<token>")
@one_transaction
def use(token: str) -> ResponseReturnValue:
    """Sign in with the link, in the browser that asked for it."""
    try:
        link = sign_in_links.open_link(token)
        user, asked, is_new = sign_in_links.redeem_link(link, pending_sign_in(), this_browser())
    except Refusal as refusal:
        if refusal.reason == "other_browser":
            return render_page("sign_in/other_browser.html", refusal, 403, **asked_elsewhere(link))
        return dead_link(refusal)
    return finish_email(user, "link", asked, is_new)


def dead_link(refusal: Refusal) -> ResponseReturnValue:
    """Say why the link doesn't work, unless the visitor is signed in by now, with this link or in another way."""
    is_done = refusal.reason == "already_used" or (refusal.reason == "newer_mail" and not pending_sign_in())
    if is_done and current_user.is_authenticated:
        return render_template("sign_in/already.html", refusal=refusal.reason)
    return render_page("sign_in/dead_link.html", refusal, 410)


def asked_elsewhere(link: Token) -> dict[str, Any]:
    """What a strange browser is shown: the code, and what asked for it."""
    return {"link": link, "code": sign_in_links.code_for(link.id)}
