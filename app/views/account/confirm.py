"""Fresh proof: before an important change, the visitor confirms that it's them. Then the change continues."""

from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import ParamSpec

from flask import Blueprint, redirect, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_required

from app import limits, mailer, passkeys, proof, recovery_codes
from app.activity import Kind
from app.limits import TooMany
from app.models import now
from app.refusals import Refusal
from app.sessions import Method
from app.views.shared.allowances import count_proof, mail_allowance
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

# The fields that the page adds to the interrupted form.
PROOF_FIELDS = ("credential", "code", "proof", "mail", "recovery_code")

# Our largest form has fewer fields. The page repeats them in each of its own forms.
MOST_CARRIED_FIELDS = 10

# Record one attempt without proof in this time, so that nobody can bury other activity under their attempts.
ATTEMPTS_RECORDED_EVERY = timedelta(minutes=10)

blueprint = Blueprint("confirm", __name__, url_prefix="/account/confirm")


def fresh_proof(view: Callable[P, ResponseReturnValue]) -> Callable[P, ResponseReturnValue]:
    """Ask for proof unless the last one is fresh. The page that asks keeps the interrupted form in hidden fields. Its
    button sends them to this view again, with the proof. A proof in a form is checked, even if none is needed."""

    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
        if "mail" in request.form:
            return mail_code()
        try:
            is_proven = check_proof()
        except Refusal as refusal:
            record_refusal(refusal, Kind.CONFIRMATION_REFUSED, current_user.user_id)
            may_retype = isinstance(refusal, TooMany) or refusal.reason == "wrong_code"
            return page(refusal, token=request.form.get("proof", "") if may_retype else "")
        if not is_proven:
            record_missing_proof()
            return page(Refusal("not_proven"))
        return view(*args, **kwargs)

    return guarded


def check_proof() -> bool:
    """Check the proof in the form if there is one. Return True if there is fresh proof. Raises Refusal."""
    # A form without proof changes nothing, so it doesn't count. Otherwise a thief with an old cookie could use up the
    # owner's limit.
    if not proof.is_fresh(current_user) and not has_proof():
        return False
    # Count before checking, so that many guesses at once are no better than one after another.
    count_proof(current_user.user_id)
    # Count per session too, so that changing the IP address doesn't evade the limit.
    limits.take(proofs=(str(current_user.id),))
    visitor = lock_account()
    form, transcript = request.form, ""
    if "credential" in form:
        method = Method.PASSKEY
        passkey, attempt = passkeys.finish_confirmation(visitor, form["credential"])
        transcript = attempt.transcript()
        if attempt.counter_went_back:
            record_counter_went_back(visitor.user, passkey)
    elif "recovery_code" in form and visitor.user.requires_passkey:
        method = Method.RECOVERY_CODE
        record_recovery_code_used(visitor.user, recovery_codes.spend(visitor.user_id, form["recovery_code"]))
    elif "proof" in form:
        method = Method.CODE
        proof.redeem_code(visitor, form["proof"], form.get("code", ""))
    else:
        return proof.is_fresh(visitor)
    session["proof"] = proof.renew(visitor)
    record_activity(visitor.user_id, Kind.CONFIRMED, method, transcript)
    return True


def has_proof() -> bool:
    """Return True if the form has a proof. A recovery code counts only if the account requires a passkey."""
    form = request.form
    return "credential" in form or "proof" in form or ("recovery_code" in form and current_user.user.requires_passkey)


def mail_code() -> ResponseReturnValue:
    """Mail a code to the visitor, and show the field where it is typed."""
    try:
        token, code = proof.issue_code(current_user)
        email, client = current_user.user.email, this_client()
        values = {"code": code, "asked_for": request.endpoint, "client": client, "time": now()}
        with mail_allowance(email):
            mailer.send("code", email, purpose="confirm", **values)
        answer = page(token=token)
    except Refusal as refusal:
        answer = page(refusal)
    # Last, because a limit that is used up rolls the transaction back.
    if not proof.is_fresh(current_user):
        record_missing_proof()
    return answer


def page(refusal: Refusal | None = None, token: str = "") -> ResponseReturnValue:
    """Return the page that asks for proof and carries the interrupted form. `token` belongs to a mailed code."""
    carried = [(name, value) for name, value in request.values.items(multi=True) if name not in PROOF_FIELDS]
    return render_page(
        "account/confirm.html",
        refusal,
        403,
        options=passkeys.begin_confirmation(current_user, passkeys.for_user(current_user.user_id)),
        proof=token,
        carried=carried[:MOST_CARRIED_FIELDS],
        action=request.path,
        asked_for=request.endpoint,
    )


def record_missing_proof() -> None:
    """Record that this session tried to change something without fresh proof, at most once in ten minutes."""
    if limits.count("attempts_without_proof", str(current_user.id), window=ATTEMPTS_RECORDED_EVERY) == 1:
        record_activity(current_user.user_id, Kind.ASKED_TO_CONFIRM, request.endpoint or "")


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
    """Redirect to the page that the visitor came for."""
    return redirect(next_page(request.form.get("next")) or url_for("account.show"), 303)
