"""The account, and the offer after the first sign-in."""

from typing import Any

from flask import Blueprint, current_app, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_required

from app import accounts, notices, passkeys, recovery_codes, sessions
from app.refusals import Refusal
from app.views import flow
from app.views.next_page import next_page

blueprint = Blueprint("account", __name__, url_prefix="/account")


@blueprint.get("")
@login_required
def show() -> ResponseReturnValue:
    """The address, the passkeys, and where the visitor is signed in."""
    return page()


def page(refusal: Refusal | None = None) -> ResponseReturnValue:
    """Return the account page, and the refusal if there is one."""
    values = {
        "remaining": recovery_codes.remaining(current_user.id) if current_user.requires_passkey else 0,
        "mail_is_delayed": notices.are_delayed(current_user.id),
    }
    return _with_options("account/show.html", refusal, sessions=sessions.of(current_user), **values)


@blueprint.get("/welcome")
@login_required
def welcome() -> ResponseReturnValue:
    """The offer to make a passkey, if this site has them."""
    if not current_app.config["PASSKEYS_ENABLED"]:
        return redirect(next_page(request.args.get("next")) or url_for(".show"), 303)
    return welcome_page(next_page(request.args.get("next")))


def welcome_page(next: str, refusal: Refusal | None = None) -> ResponseReturnValue:
    """Return the offer with fresh creation options, and the refusal if there is one."""
    return _with_options("account/welcome.html", refusal, next=next)


@blueprint.post("/welcome")
@login_required
@flow.one_transaction
def decline() -> ResponseReturnValue:
    """Turn the offer down, for now or for good."""
    if request.form.get("again") == "never":
        accounts.turn_down_offer(current_user)
    return redirect(next_page(request.form.get("next")) or url_for(".show"), 303)


def _with_options(template: str, refusal: Refusal | None, **values: Any) -> ResponseReturnValue:
    own = passkeys.of(current_user)
    values |= {"passkeys": own, "options": passkeys.begin_registration(current_user, own)}
    return flow.page(template, refusal, **values)
