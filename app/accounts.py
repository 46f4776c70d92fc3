"""Accounts, and what their owners decide."""

from typing import Any

from sqlalchemy import Row, bindparam, select, update
from sqlalchemy import delete as delete_from
from sqlalchemy.exc import IntegrityError

from app import codes, invitations, single_use
from app.database import db, run
from app.models import User
from app.refusals import Refusal
from app.sessions import USER, SignedIn

FIND = select(*USER).where(User.__table__.c.email == bindparam("email"))

# A sign-in by mail waits for the lock that `hold` takes (PostgreSQL; on SQLite all writers wait anyway).
FIND_AND_WAIT = FIND.with_for_update(key_share=True)

# A write, so that it waits for other writers on SQLite too.
HOLD = update(User).values(email=User.email).where(User.id == bindparam("user"))

KEEP = select(User.__table__.c.id).where(User.__table__.c.id == bindparam("user"))
KEEP = KEEP.with_for_update(read=True, key_share=True)

EMAIL_CHANGE = single_use.Purpose("email-change", codes.LIFETIME)


def find(email: str, and_wait: bool = False) -> Row[Any] | None:
    """Return the user (the columns USER) of this address. With `and_wait`, wait for the lock that `hold` takes."""
    return run(FIND_AND_WAIT if and_wait else FIND, email=email).first()


def hold(user_id: int) -> None:
    """Lock the account row until the transaction ends: other changes of its sign-in methods wait, and so do sign-ins by
    mail. Call this before looking at what you change."""
    run(HOLD, user=user_id)


def keep(user_id: int) -> None:
    """Make a deletion of this account wait until the transaction ends (PostgreSQL), and nothing else. This is for a
    second account: if two visitors each held one account and waited for the other, neither would go on."""
    run(KEEP, user=user_id)


def turn_down_offer(user: SignedIn) -> None:
    """Recommend no passkey to this user any more: the account page says what there is, and leaves it at that."""
    run(update(User).where(User.id == user.id).values(wants_passkey_offer=False))


def begin_email_change(user: SignedIn, email: str) -> tuple[str, str, bool]:
    """Return a token for this session and the code that goes with it, and whether the address has an account already:
    then the code must not be mailed. Raises Refusal `same_email`."""
    if email == user.email:
        raise Refusal("same_email")
    token, code = codes.issue(EMAIL_CHANGE, email=email, **_bound_to(user))
    return token, code, find(email) is not None


def pending_email_change(user: SignedIn, token: str) -> str:
    """Return the address that a token of `begin_email_change` is for, as long as it's good for anything; else ""."""
    try:
        return single_use.read(EMAIL_CHANGE, token, **_bound_to(user)).claims["email"]
    except Refusal:
        return ""


def _bound_to(user: SignedIn) -> dict[str, str]:
    # The address, too: what was begun before a change is not to follow it.
    return {"session": str(user.session_id), "from": user.email}


def finish_email_change(user: SignedIn, token: str, typed: str) -> tuple[str, str]:
    """Move the account to the address that the code proves; return the old and the new one. From then on a link to the
    old one doesn't open this account.

    Raises Refusal as `codes.redeem` does, `not_proven`, and `address_taken`.
    """
    redeemed = codes.redeem(EMAIL_CHANGE, token, typed, **_bound_to(user))
    # What was true when it was begun may have ended since.
    if not user.was_proven(redeemed.made_at):
        raise Refusal("not_proven")
    email = redeemed.claims["email"]
    return move(user.id, email), email


def move(user_id: int, email: str) -> str:
    """Give the account this address, use up the address's invitation, and return the former address.

    The caller holds the account. Raises Refusal `account_gone` and `address_taken`.
    """
    former = run(select(User.email).where(User.id == user_id)).scalar()
    if not former:
        raise Refusal("account_gone")
    invitations.withdraw(email)
    try:
        with db.session.begin_nested():
            run(update(User).where(User.id == user_id).values(email=email))
    except IntegrityError as error:
        raise Refusal("address_taken") from error
    return former


def delete(user_id: int) -> None:
    """Delete the account; passkeys, sessions and activity go with it. Its number and its handle are never given to
    another."""
    run(delete_from(User).where(User.id == user_id))


def set_disabled(user_id: int, is_disabled: bool) -> None:
    """Let nothing sign in to the account any more, or let it again. What was signed in is ended by `revoke_of`."""
    run(update(User).where(User.id == user_id).values(is_disabled=is_disabled))
