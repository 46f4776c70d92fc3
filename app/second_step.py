"""Accounts for which email alone is not enough: a link or code leads to a second step, by passkey or recovery code."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from flask import current_app
from sqlalchemy import Row, delete, exists, select, update

from app import accounts, limits, recovery_codes, sessions, single_use
from app.database import run
from app.models import Passkey, RecoveryCode, User
from app.refusals import Refusal
from app.sessions import USER, SignedIn

SECOND_STEP = single_use.Purpose("second-step", timedelta(minutes=10))


def require_passkey(user: SignedIn, recovery_code: str) -> Sequence[str]:
    """From now on, email alone signs nobody in to this account, which the caller holds. What a mailbox has opened or
    begun elsewhere ends: return the browsers of the sessions ended.

    Raises Refusal `passkeys_disabled`, `no_passkey`, and `wrong_recovery_code` where the code typed back, which isn't
    used up, is none of the user's.
    """
    if not current_app.config["PASSKEYS_ENABLED"]:
        raise Refusal("passkeys_disabled")
    if not run(select(exists().where(Passkey.user_id == user.id))).scalar():
        raise Refusal("no_passkey")
    recovery_codes.check(user.id, recovery_code)
    run(update(User).where(User.id == user.id).values(requires_passkey=True))
    return sessions.revoke(user)


def stop_requiring(user_id: int) -> None:
    """From now on, a link or code signs in to this account again."""
    run(update(User).where(User.id == user_id).values(requires_passkey=False))


def reset(user_id: int) -> None:
    """Let the mailbox be enough again, for an owner who has nothing else left: passkeys and recovery codes go. What was
    signed in is ended by `revoke_of`, afterwards."""
    accounts.hold(user_id)
    stop_requiring(user_id)
    for kind in (Passkey, RecoveryCode):
        run(delete(kind).where(kind.user_id == user_id))


def begin(user: Row[Any], browser: str, next: str) -> str:
    """Return a token for the page: in this browser, the user (a row with the columns USER) has proven the mailbox."""
    return single_use.issue(SECOND_STEP, user=user.user_handle.hex(), email=user.email, browser=browser, next=next)


def open_token(token: str, browser: str) -> tuple[single_use.Token, Row[Any]]:
    """Return what the token says, and its user, having changed nothing. Raises Refusal as `single_use.read` does,
    `already_used`, `account_gone`, `account_disabled`, and `other_email` where it isn't the mailbox that was proven."""
    opened = single_use.read(SECOND_STEP, token, browser=browser)
    if single_use.is_spent(opened.id):
        raise Refusal("already_used", SECOND_STEP.name)
    user = run(select(*USER).where(User.user_handle == bytes.fromhex(opened.claims["user"]))).first()
    if not user:
        raise Refusal("account_gone")
    if user.email != opened.claims["email"]:
        raise Refusal("other_email")
    if user.is_disabled:
        raise Refusal("account_disabled")
    return opened, user


def close(token: single_use.Token) -> None:
    """Use up an opened token. Raises Refusal `already_used`."""
    single_use.spend(token.id, token.expires_at)


def finish(token: single_use.Token, user: Row[Any], recovery_code: str) -> int:
    """Use up an opened token with a recovery code of its user's; return how many codes remain.

    Raises Refusal `already_used`, `account_changed`, `wrong_recovery_code`, which leaves the token as it was, and with
    the tenth wrong code `too_many_wrong_recovery_codes`, which uses it up.
    """
    accounts.hold(user.user_id)
    # Look again: meanwhile, somebody may have changed the address that the token is for.
    if run(select(*USER).where(User.id == user.user_id)).first() != user:
        raise Refusal("account_changed")
    # Count by the token, so that changing the IP address doesn't evade the limit.
    count = limits.code_typed(token.id)
    try:
        recovery_codes.check(user.user_id, recovery_code)
    except Refusal:
        if count < limits.LAST_WRONG_CODE:
            raise
        # From the eleventh on it is closed already: then right and wrong codes are refused alike.
        close(token)
        raise Refusal("too_many_wrong_recovery_codes") from None
    close(token)
    return recovery_codes.spend(user.user_id, recovery_code)
