"""The account page, and the offer to make a passkey after the first sign-in."""

from collections import Counter
from collections.abc import Iterable

from flask import Blueprint, current_app, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_required

from app import accounts, notices, passkeys, recovery_codes, sessions
from app.models import Passkey
from app.refusals import Refusal
from app.views.shared.answers import render_page
from app.views.shared.next_page import next_page
from app.views.shared.transaction import one_transaction

blueprint = Blueprint("account", __name__, url_prefix="/account")


@blueprint.get("")
@login_required
def show() -> ResponseReturnValue:
    """Show the address, the passkeys, and where the visitor is signed in."""
    return page()


def page(refusal: Refusal | None = None, refused_rename: int = 0, typed: str = "") -> ResponseReturnValue:
    """Return the account page, with the refusal if there is one.

    If a new name for a passkey was refused, `refused_rename` is the passkey's id, and `typed` the name.
    """
    own = passkeys.for_user(current_user.user_id)
    return render_page(
        "account/show.html",
        refusal,
        refused_rename=refused_rename,
        typed=typed,
        passkeys=own,
        names=numbered_names(own),
        options=passkeys.begin_registration(current_user, own),
        remaining=recovery_codes.count(current_user.user_id),
        mail_is_delayed=notices.are_delayed(current_user.user_id),
        # This browser's session first. Sorting keeps the order of the others.
        sessions=sorted(sessions.for_user(current_user.user_id), key=lambda each: each.id != current_user.id),
    )


@blueprint.get("/welcome")
@login_required
def welcome() -> ResponseReturnValue:
    """Offer to make a passkey, if this site has them."""
    next = next_page(request.args.get("next"))
    if not current_app.config["PASSKEYS_ENABLED"]:
        return redirect(next or url_for(".show"), 303)
    return welcome_page(next)


def welcome_page(next: str, refusal: Refusal | None = None) -> ResponseReturnValue:
    """Return the offer with fresh creation options, and with the refusal if there is one."""
    options = passkeys.begin_registration(current_user, passkeys.for_user(current_user.user_id))
    return render_page("account/welcome.html", refusal, options=options, next=next)


@blueprint.post("/welcome")
@login_required
@one_transaction
def decline() -> ResponseReturnValue:
    """Turn the offer down, for now or for good."""
    if request.form.get("again") == "never":
        accounts.decline_passkey_offer(current_user.user_id)
    return redirect(next_page(request.form.get("next")) or url_for(".show"), 303)


def numbered_names(own: Iterable[Passkey]) -> dict[int, str]:
    """Return the name of each passkey by its id. The second of the same name gets "(2)", and so on."""
    counts: Counter[str] = Counter()
    names = {}
    for passkey in own:
        counts[passkey.name] += 1
        names[passkey.id] = f"{passkey.name} ({counts[passkey.name]})" if counts[passkey.name] > 1 else passkey.name
    return names
