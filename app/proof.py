"""Fresh proof: changing a sign-in method needs proof of identity from the last ten minutes.

A proof leaves a random mark in the browser's cookie, and the mark's hash in the session's row. It counts only if both
agree. So a cookie that was copied before the proof gains nothing from it.
"""

import hmac
from datetime import datetime, timedelta
from hashlib import sha256

from sqlalchemy import bindparam, update

from app import codes, single_use
from app.database import execute
from app.models import Session, User, now
from app.refusals import Refusal
from app.single_use import CLOCK_SKEW, Purpose

PROOF_LIFETIME = timedelta(minutes=10)

# A session that a recovery code opened may add a passkey for this long without fresh proof. That code may have been the
# last, so the owner may have no other proof.
RECOVERY_LIFETIME = timedelta(hours=1)

CONFIRMATION_CODE = Purpose("confirmation-code", codes.CODE_LIFETIME)

END_RECOVERY = (
    update(Session)
    .where(Session.user_id == bindparam("user"), Session.recovering_until.is_not(None))
    .values(recovering_until=None)
)


def is_fresh(session: Session) -> bool:
    """Return True if the last proof of this session is fresh, and this request's cookie has its mark."""
    return was_fresh(session, now())


def was_fresh(session: Session, at: datetime) -> bool:
    """Return True if the last proof was fresh at that time. A proof with a date in the future never counts."""
    return session.has_proof_mark and at - PROOF_LIFETIME < session.proved_at <= now() + CLOCK_SKEW


def could_add_passkey(session: Session, at: datetime) -> bool:
    """Return True if the session could add a passkey at that time: with fresh proof, or after a recovery code."""
    until = session.recovering_until
    is_recovering = until is not None and at < until <= now() + RECOVERY_LIFETIME + CLOCK_SKEW
    return was_fresh(session, at) or is_recovering


def renew(session: Session) -> str:
    """Record that the user has just proven who they are. Return the mark for the cookie. The caller commits."""
    mark = single_use.new_id()
    proof = {"proved_at": now(), "proof_digest": digest(mark), "recovering_until": None}
    execute(update(Session).where(Session.id == session.id), **proof)
    return mark


def expire_others(session: Session) -> None:
    """Make the user's other sessions prove again, because a sign-in method has changed. From then on, all of them and
    this one need fresh proof to add a passkey."""
    others = update(Session).where(Session.user_id == session.user_id, Session.id != session.id)
    execute(others, proof_digest=b"")
    end_recovery(session.user_id)


def end_recovery(user_id: int) -> None:
    """Make sessions of the user that a recovery code opened give fresh proof before they add a passkey."""
    execute(END_RECOVERY, user=user_id)


def issue_code(session: Session) -> codes.Issued:
    """Return a token for the page and a code for the mail, by which the user can prove who they are.

    Raises Refusal `mail_is_not_enough` if the account requires a passkey.
    """
    _refuse_if_passkey_required(session.user)
    return codes.issue(CONFIRMATION_CODE, **_mailbox(session))


def redeem_code(session: Session, token: str, typed: str) -> None:
    """Spend a token of `issue_code` with its code. Raises Refusal as `codes.redeem` does, and `mail_is_not_enough`."""
    _refuse_if_passkey_required(session.user)
    codes.redeem(CONFIRMATION_CODE, token, typed, **_mailbox(session))


def digest(mark: str) -> bytes:
    """Return the hash of a proof mark, for the session's row."""
    return sha256(mark.encode()).digest()


def is_mark_of(session: Session, mark: str) -> bool:
    """Return True if the last proof of this session left this mark in the cookie."""
    return hmac.compare_digest(session.proof_digest, digest(mark))


def _refuse_if_passkey_required(user: User) -> None:
    if user.requires_passkey:
        raise Refusal("mail_is_not_enough")


def _mailbox(session: Session) -> dict[str, str]:
    # Bound to the address too: after it was changed, the former mailbox must prove nothing.
    return {"session": str(session.id), "email": session.user.email}
