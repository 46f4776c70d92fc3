"""The second step, where a link or code alone is not enough: a passkey, or a recovery code in its place."""

from contextlib import suppress
from typing import Any

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy import Row

from app import limits, passkeys, second_step
from app.activity import Kind
from app.refusals import Refusal
from app.sessions import RECOVERY_CODE
from app.single_use import Token
from app.views.shared import allowances
from app.views.shared.answers import render_page
from app.views.shared.browser import this_browser
from app.views.shared.history import record_recovery_code_used, record_refusal
from app.views.shared.signing_in import sign_in
from app.views.shared.transaction import one_transaction
from app.views.sign_in import mail

blueprint = Blueprint("second_step", __name__, url_prefix="/sign-in/second-step")


@blueprint.get("")
def show() -> ResponseReturnValue:
    """Offer both ways on, to whoever has just proven the mailbox in this browser."""
    if "token" not in request.args:
        return redirect(url_for("sign_in.show"), 303)
    return page()


def page(refusal: Refusal | None = None) -> ResponseReturnValue:
    """Return the page for the token of this request, with the refusal if there is one."""
    try:
        token, user = opened()
    except Refusal as dead:
        return dead_end(dead)
    return page_for(token, user, refusal)


def page_for(token: Token, user: Row[Any], refusal: Refusal | None = None) -> ResponseReturnValue:
    """Return the page for an opened token, with the refusal if there is one."""
    options = passkeys.begin_authentication(this_browser())
    values = {"email": user.email, "next": token.claims["next"], "token": request.values["token"]}
    return render_page("sign_in/second_step.html", refusal, options=options, **values)


def opened() -> tuple[Token, Row[Any]]:
    """Return what this request's token says, and its user. Raises Refusal."""
    return second_step.open_token(request.values.get("token", ""), this_browser())


def close() -> None:
    """Use up this request's token, where there is one that is still good: a passkey was enough."""
    if "token" in request.form:
        with suppress(Refusal):
            second_step.close(opened()[0])


def dead_end(refusal: Refusal) -> ResponseReturnValue:
    """Begin anew, unless what the token was for has been done: a double click."""
    if refusal.reason == "already_used" and current_user.is_authenticated:
        return redirect(url_for("account.show"), 303)
    return mail.page(refusal)


@blueprint.post("")
@one_transaction
def use() -> ResponseReturnValue:
    """Sign in with a recovery code."""
    try:
        token, user = opened()
    except Refusal as refusal:
        return dead_end(refusal)
    try:
        limits.take(proofs=allowances.who(user.user_id))
        left = second_step.finish(token, user, request.form.get("code", ""))
    except Refusal as refusal:
        record_refusal(refusal, Kind.SIGN_IN_REFUSED, user.user_id)
        if refusal.reason == "too_many_wrong_recovery_codes":
            return mail.page(refusal)
        return page_for(token, user, refusal)
    record_recovery_code_used(user.user_id, user.email, left)
    return sign_in(user, RECOVERY_CODE, token.claims["next"])
