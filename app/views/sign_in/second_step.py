"""The second step, if a link or code is not enough: a passkey, or a recovery code in its place."""

from contextlib import suppress

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from app import passkeys, second_step, single_use
from app.activity import Kind
from app.refusals import Refusal
from app.second_step import SecondStep
from app.sessions import Method
from app.views.shared.allowances import count_proof
from app.views.shared.answers import render_page
from app.views.shared.browser import browser_id
from app.views.shared.history import record_recovery_code_used, record_refusal
from app.views.shared.signing_in import sign_in
from app.views.shared.transaction import one_transaction
from app.views.sign_in import mail

blueprint = Blueprint("second_step", __name__, url_prefix="/sign-in/second-step")


@blueprint.get("")
def show() -> ResponseReturnValue:
    """Ask for a passkey or a recovery code. The visitor has just proven the mailbox in this browser."""
    if "token" not in request.args:
        return redirect(url_for("sign_in.show"), 303)
    return page()


@blueprint.post("")
@one_transaction
def use() -> ResponseReturnValue:
    """Sign in with a recovery code."""
    try:
        step = open_step()
    except Refusal as refusal:
        return dead_end(refusal)
    try:
        count_proof(step.user.id)
        left = second_step.finish(step, request.form.get("code", ""))
    except Refusal as refusal:
        record_refusal(refusal, Kind.SIGN_IN_REFUSED, step.user.id)
        if refusal.reason == "too_many_wrong_recovery_codes":
            return mail.page(refusal)
        return page_for(step, refusal)
    record_recovery_code_used(step.user, left)
    return sign_in(step.user, Method.RECOVERY_CODE, step.token.claims["next"])


def page(refusal: Refusal | None = None) -> ResponseReturnValue:
    """Return the page for the token of this request, with the refusal if there is one."""
    try:
        step = open_step()
    except Refusal as dead:
        return dead_end(dead)
    return page_for(step, refusal)


def page_for(step: SecondStep, refusal: Refusal | None = None) -> ResponseReturnValue:
    """Return the page for an opened token, with the refusal if there is one."""
    return render_page(
        "sign_in/second_step.html",
        refusal,
        # The proven address. The user may have another one by now, and that is not for everybody.
        email=step.token.claims["email"],
        next=step.token.claims["next"],
        token=request.values["token"],
        options=passkeys.begin_authentication(browser_id()),
    )


def open_step() -> SecondStep:
    """Return the second step of this request's token. Raises Refusal as `second_step.open_token` does."""
    return second_step.open_token(request.values.get("token", ""), browser_id())


def close() -> None:
    """Spend this request's token if it is still valid, because a passkey has completed the sign-in."""
    with suppress(Refusal):
        single_use.spend(open_step().token)


def dead_end(refusal: Refusal) -> ResponseReturnValue:
    """Show the sign-in page again. If an earlier click has completed the sign-in, redirect to the account."""
    if refusal.reason == "already_used" and current_user.is_authenticated:
        return redirect(url_for("account.show"), 303)
    return mail.page(refusal)
