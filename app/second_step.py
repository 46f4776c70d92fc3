"""The second step: for accounts that require a passkey, a link or code is not enough.

`sign_in_by_mail` in views/shared/signing_in.py leads here. A recovery code completes the sign-in by `finish`. A passkey
completes it as any sign-in by passkey does (views/sign_in/passkey.py), because it is enough by itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from flask import current_app
from sqlalchemy import bindparam, delete, exists, select, update

from app import accounts, limits, recovery_codes, sessions, single_use
from app.database import db, execute
from app.models import Passkey, RecoveryCode, Session, User
from app.refusals import Refusal
from app.single_use import Token

SECOND_STEP = single_use.Purpose("second-step", timedelta(minutes=10))

# Replace values that were loaded before waiting for a lock.
FIND = select(User).where(User.user_handle == bindparam("handle")).execution_options(populate_existing=True)


@dataclass(frozen=True)
class SecondStep:
    """An opened token, and the user whose mailbox has been proven in this browser."""

    token: Token
    user: User


def require_passkey(session: Session, recovery_code: str) -> Sequence[str]:
    """Require a passkey for signing in to the session's account, which the caller has locked.

    End all other sessions, because a link or code may have opened them, and return their browsers. The owner types a
    recovery code to show that they have kept the codes; it isn't used up. Raises Refusal `passkeys_disabled`,
    `no_passkey` and `wrong_recovery_code`.
    """
    if not current_app.config["PASSKEYS_ENABLED"]:
        raise Refusal("passkeys_disabled")
    if not execute(select(exists().where(Passkey.user_id == session.user_id))).scalar():
        raise Refusal("no_passkey")
    recovery_codes.check(session.user_id, recovery_code)
    _set_required(session.user_id, True)
    return sessions.revoke_others(session)


def stop_requiring_passkey(user_id: int) -> None:
    """Make a link or code sufficient for signing in to this account again."""
    _set_required(user_id, False)


def reset(user_id: int) -> None:
    """Stop requiring a passkey, for an owner who has lost passkeys and recovery codes. Delete all of these.

    This doesn't end the sessions: see `revoke_for_user`.
    """
    accounts.lock(user_id)
    stop_requiring_passkey(user_id)
    for table in (Passkey, RecoveryCode):
        execute(delete(table).where(table.user_id == user_id))


def begin(user: User, browser_id: str, next: str) -> str:
    """Return a token for the page of the second step. In the browser of this id, the user has proven the mailbox."""
    return single_use.issue(SECOND_STEP, user=user.user_handle.hex(), email=user.email, browser=browser_id, next=next)


def open_token(token: str, browser_id: str) -> SecondStep:
    """Return the contents of a token of `begin`. This changes nothing.

    Raises Refusal as `single_use.read` does, `already_used`, `account_gone`, `account_disabled`, and `other_email` if
    the account has another address now.
    """
    opened = single_use.read(SECOND_STEP, token, browser=browser_id)
    if single_use.is_spent(opened.id):
        raise Refusal("already_used", SECOND_STEP.name)
    user = _user_of(opened)
    if not user:
        raise Refusal("account_gone")
    if user.email != opened.claims["email"]:
        raise Refusal("other_email")
    if user.is_disabled:
        raise Refusal("account_disabled")
    return SecondStep(opened, user)


def finish(step: SecondStep, recovery_code: str) -> int:
    """Spend an opened token with a recovery code of its user. Return how many codes are left.

    Raises Refusal `already_used`, `account_changed`, and `wrong_recovery_code`, which spends nothing. The tenth wrong
    code raises `too_many_wrong_recovery_codes` and spends the token.
    """
    # Copy the values, because finding the user again replaces them.
    opened_for = step.user.email, step.user.is_disabled, step.user.requires_passkey
    accounts.lock(step.user.id)
    user = _user_of(step.token)
    if not user or (user.email, user.is_disabled, user.requires_passkey) != opened_for:
        raise Refusal("account_changed")
    # Count per token, so that changing the IP address doesn't evade the limit.
    count = limits.count_code(step.token.id)
    try:
        recovery_codes.check(user.id, recovery_code)
    except Refusal:
        if count < limits.LAST_WRONG_CODE:
            raise
        # The eleventh finds the token spent. From then on, right and wrong codes are refused alike.
        single_use.spend(step.token)
        raise Refusal("too_many_wrong_recovery_codes") from None
    single_use.spend(step.token)
    return recovery_codes.spend(user.id, recovery_code)


def _user_of(token: Token) -> User | None:
    return db.session.scalars(FIND, {"handle": bytes.fromhex(token.claims["user"])}).first()


def _set_required(user_id: int, is_required: bool) -> None:
    execute(update(User).where(User.id == user_id), requires_passkey=is_required)
