"""The account, and the offer after the first sign-in."""

from typing import Any

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_required

from app import accounts, passkeys, sessions
from app.refusals import Refusal
from app.views import flow

blueprint = Blueprint("account", __name__, url_prefix="/account")


@blueprint.get("")
@login_required
def show() -> ResponseReturnValue:
    """The address, the passkeys, and where the visitor is signed in."""
    return page()


def page(refusal: Refusal | None = None) -> ResponseReturnValue:
    """Return the account page, and the refusal if there is one."""
    return _with_options("account/show.html", refusal, sessions=sessions.of(current_user))


@blueprint.get("/welcome")
@login_required
def welcome() -> ResponseReturnValue:
    """The offer to make a passkey."""
    return welcome_page(flow.next_page(request.args.get("next")))


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
    return redirect(flow.next_page(request.form.get("next")) or url_for(".show"), 303)


def _with_options(template: str, refusal: Refusal | None, **values: Any) -> ResponseReturnValue:
    own = passkeys.of(current_user)
    # No passkey is to be made on the device and then refused: options are for fresh proof only.
    options = passkeys.begin_registration(current_user, own) if current_user.is_proven else ""
    values |= {"passkeys": own, "options": options}
    return flow.page(template, refusal, **values)
