"""The mailed link: opening it changes nothing; a person confirming in the browser that asked signs in."""

from typing import Any

from flask import Blueprint, Response, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from app import sign_in_links
from app.refusals import Refusal
from app.single_use import Token
from app.views import flow

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
    except Refusal as refusal:
        return dead_link(refusal)
    waiting = flow.pending_request()
    if waiting and waiting.id == link.id:
        return render_template("sign_in/confirm.html", waiting=waiting, action=url_for(".use", token=token))
    return render_template("sign_in/other_browser.html", **asked_elsewhere(link))


@blueprint.post("/<token>")
@flow.one_transaction
def use(token: str) -> ResponseReturnValue:
    """Sign in with the link, in the browser that asked for it."""
    waiting = flow.pending_request()
    try:
        link = sign_in_links.open_link(token)
        user, asked, is_new = sign_in_links.redeem_link(link, waiting)
    except Refusal as refusal:
        if refusal.reason == "other_browser":
            return flow.page("sign_in/other_browser.html", refusal, 403, **asked_elsewhere(link))
        return dead_link(refusal)
    return flow.email_proven(user, "link", asked, is_new)


def dead_link(refusal: Refusal) -> ResponseReturnValue:
    """Say why the link doesn't work, unless what it was for has been done: a double click."""
    if refusal.reason == "already_used" and current_user.is_authenticated:
        return render_template("sign_in/already.html")
    return flow.page("sign_in/dead_link.html", refusal, 410)


def asked_elsewhere(link: Token) -> dict[str, Any]:
    """What a strange browser is shown: the code, and what asked for it."""
    return {"link": link, "code": sign_in_links.code_for(link.id)}
