"""Fresh proof: changing a sign-in method needs proof of identity from the last 10 minutes, and then goes on."""

from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any, ParamSpec

from flask import Blueprint, redirect, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_required

from app import codes, limits, mailer, passkeys, recovery_codes, sessions, single_use
from app.activity import Kind
from app.limits import TooMany
from app.models import now
from app.refusals import Refusal
from app.sessions import RECOVERY_CODE, SignedIn
from app.user_agents import passkey_name
from app.views.shared import allowances
from app.views.shared.answers import render_page
from app.views.shared.browser import this_client
from app.views.shared.history import (
    record_activity,
    record_counter_went_back,
    record_recovery_code_used,
    record_refusal,
)
from app.views.shared.next_page import next_page
from app.views.shared.transaction import one_transaction
from app.views.shared.visitor import lock_account

P = ParamSpec("P")

CODE = single_use.Purpose("confirmation-code", codes.LIFETIME)

# What the page's own forms add to the form that was interrupted.
PROOF = ("credential", "code", "proof", "mail", "recovery_code")

# One attempt without proof is recorded in this time, so that nobody can bury other activity under their attempts.
ATTEMPTS_RECORDED = timedelta(minutes=10)

blueprint = Blueprint("confirm", __name__, url_prefix="/account/confirm")


def fresh_proof(view: Callable[P, ResponseReturnValue]) -> Callable[P, ResponseReturnValue]:
    """Ask for proof if the last one is older than PROOF_LIFETIME. The page that asks keeps the form, and sends it here
    again with the proof. A proof that is sent is checked, even if none is needed."""

    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
        if "mail" in request.form:
            return mail_code()
        try:
            proven = prove()
        except Refusal as refusal:
            record_refusal(refusal, Kind.CONFIRMATION_REFUSED, current_user.id)
            may_retype = isinstance(refusal, TooMany) or refusal.reason == "wrong_code"
            return page(refusal, proof=request.form.get("proof", "") if may_retype else "")
        if not proven:
            record_attempt()
            return page(Refusal("not_proven"))
        return view(*args, **kwargs)

    return guarded


def prove() -> bool:
    """Take the proof that the form carries, if it carries one; return whether there is fresh proof. Raises Refusal."""
    # Count only proofs, right or wrong, and changes made on fresh proof. Other forms change nothing: if they counted,
    # an old cookie could use up the owner's limit.
    if not current_user.is_proven and not carries_proof():
        return False
    transcript = ""
    # Count before looking, so that many guesses at once are no more than one after another.
    limits.take(proofs=allowances.who(current_user.id))
    # Count per session too, so that changing the IP address doesn't evade the limit.
    limits.take(proofs=(str(current_user.session_id),))
    user = lock_account()
    if "credential" in request.form:
        method = "passkey"
        attempt = passkeys.finish_confirmation(user, request.form["credential"])
        transcript = attempt.transcript()
        if attempt.counter_went_back:
            record_counter_went_back(user.id, user.email, passkey_name(attempt.found["name"], attempt.found["aaguid"]))
    elif "recovery_code" in request.form and user.requires_passkey:
        method = RECOVERY_CODE
        left = recovery_codes.spend(user.id, request.form["recovery_code"])
        record_recovery_code_used(user.id, user.email, left)
    elif "proof" in request.form:
        method = "code"
        refuse_mail(user)
        codes.redeem(CODE, request.form["proof"], request.form.get("code", ""), **mailbox(user))
    else:
        return user.is_proven
    session["proof"] = sessions.prove(user)
    record_activity(user.id, Kind.CONFIRMED, method, transcript)
    return True


def carries_proof() -> bool:
    """Whether the form carries a proof of a kind that this account takes."""
    form = request.form
    return "credential" in form or "proof" in form or ("recovery_code" in form and current_user.requires_passkey)


def refuse_mail(user: SignedIn) -> None:
    """Raise Refusal `mail_is_not_enough` where the account requires more than a mailbox."""
    if user.requires_passkey:
        raise Refusal("mail_is_not_enough")


def mail_code() -> ResponseReturnValue:
    """Mail a code, and show where it is typed."""
    proof, code = codes.issue(CODE, **mailbox(current_user))
    try:
        refuse_mail(current_user)
        with allowances.mail_allowance(current_user.email):
            values: dict[str, Any] = {
                "code": code,
                "asked_for": request.endpoint,
                "client": this_client(),
                "time": now(),
            }
            mailer.send("code", current_user.email, purpose="confirm", **values)
        answer = page(proof=proof)
    except Refusal as refusal:
        answer = page(refusal)
    if not current_user.is_proven:
        record_attempt()
    return answer


def mailbox(user: SignedIn) -> dict[str, str]:
    """Return the session and address that a mailed code is bound to: a former mailbox must prove nothing."""
    return {"session": str(user.session_id), "email": user.email}


def page(refusal: Refusal | None = None, proof: str = "") -> ResponseReturnValue:
    """Return the page that asks for proof, with what was asked in it."""
    values = {
        "options": passkeys.begin_confirmation(current_user, passkeys.of(current_user)),
        "proof": proof,
        # No form of ours has more than a few; the page repeats them in each of its own.
        "carried": [(name, value) for name, value in request.values.items(multi=True) if name not in PROOF][:10],
        "action": request.path,
        "asked_for": request.endpoint,
    }
    return render_page("account/confirm.html", refusal, 403, **values)


def record_attempt() -> None:
    """Record that this session tried to change something without fresh proof, at most once in ATTEMPTS_RECORDED."""
    if limits.times("attempts_without_proof", str(current_user.session_id), window=ATTEMPTS_RECORDED) == 1:
        record_activity(current_user.id, Kind.ASKED_TO_CONFIRM, request.endpoint or "")


@blueprint.get("")
@login_required
def show() -> ResponseReturnValue:
    """Ask for proof."""
    return page()


@blueprint.post("")
@login_required
@one_transaction
@fresh_proof
def carry_on() -> ResponseReturnValue:
    """Go where the visitor wanted to."""
    return redirect(next_page(request.form.get("next")) or url_for("account.show"), 303)
