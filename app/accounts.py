"""Accounts: finding, creating, locking and deleting them, and changing their address."""

import secrets

from sqlalchemy import bindparam, select, update
from sqlalchemy import delete as delete_from
from sqlalchemy.exc import IntegrityError

from app import codes, invitations, proof, single_use
from app.database import db, execute, insert_if_absent
from app.models import Session, User, now
from app.refusals import Refusal

# Replace values that were loaded before waiting for a lock.
FIND = select(User).where(User.email == bindparam("email")).execution_options(populate_existing=True)

# Also locks the row, as `lock` does (PostgreSQL; on SQLite all writers wait anyway).
FIND_AND_LOCK = FIND.with_for_update(key_share=True)

# A write, so that it waits for other writers on SQLite too.
LOCK = update(User).where(User.id == bindparam("user")).values(email=User.email)

LOCK_AGAINST_DELETION = select(User.id).where(User.id == bindparam("user")).with_for_update(read=True, key_share=True)

EMAIL_CHANGE = single_use.Purpose("email-change", codes.CODE_LIFETIME)


def find(email: str) -> User | None:
    """Return the user of this address, or None."""
    return db.session.scalars(FIND, {"email": email}).first()


def find_or_create(email: str) -> tuple[User, bool]:
    """Lock and return the user of an address that has just been proven, and True if the account is new.

    Raises Refusal `not_invited` if the site is by invitation and there is neither an account nor an invitation.
    """
    user = db.session.scalars(FIND_AND_LOCK, {"email": email}).first()
    if user:
        return user, False
    is_new = invitations.accept(email) and insert_if_absent(
        User, email=email, user_handle=secrets.token_bytes(64), wants_passkey_offer=True, created_at=now()
    )
    # If it isn't new, another request may have created it just now.
    user = db.session.scalars(FIND_AND_LOCK, {"email": email}).first()
    if not user:
        raise Refusal("not_invited")
    return user, is_new


def lock(user_id: int) -> None:
    """Lock the account row until the transaction ends. Call this before reading what you are going to change.

    Other changes of the account's sign-in methods wait, and so does signing in by mail.
    """
    execute(LOCK, user=user_id)


def lock_against_deletion(user_id: int) -> None:
    """Make the deletion of this account wait until the transaction ends (PostgreSQL). Nothing else waits.

    This is for the second account of a transaction: two visitors who lock each other's account would deadlock.
    """
    execute(LOCK_AGAINST_DELETION, user=user_id)


def decline_passkey_offer(user_id: int) -> None:
    """Don't offer the user a passkey again."""
    execute(update(User).where(User.id == user_id), wants_passkey_offer=False)


def begin_email_change(session: Session, email: str) -> codes.Issued:
    """Return a token for the page and a code for the mail to the new address. Raises Refusal `same_email`."""
    if email == session.user.email:
        raise Refusal("same_email")
    return codes.issue(EMAIL_CHANGE, email=email, **_bound_to(session))


def pending_email(session: Session, token: str) -> str:
    """Return the address that a valid token of `begin_email_change` is for, otherwise ""."""
    try:
        return single_use.read(EMAIL_CHANGE, token, **_bound_to(session)).claims["email"]
    except Refusal:
        return ""


def finish_email_change(session: Session, token: str, typed: str) -> tuple[str, str]:
    """Move the account to the address that the code proves. Return the former and the new address.

    The caller has locked the account. From then on, a sign-in link that was sent to the former address doesn't open it.
    Raises Refusal as `codes.redeem` and `change_email` do, and `not_proven`.
    """
    redeemed = codes.redeem(EMAIL_CHANGE, token, typed, **_bound_to(session))
    # Proof was needed when the change began. Since then, another session may have expired it.
    if not proof.was_fresh(session, redeemed.made_at):
        raise Refusal("not_proven")
    email = redeemed.claims["email"]
    return change_email(session.user_id, email), email


def change_email(user_id: int, email: str) -> str:
    """Give the locked account this address, use up the address's invitation, and return the former address.

    Raises Refusal `account_gone` and `address_taken`.
    """
    former = execute(select(User.email).where(User.id == user_id)).scalar()
    if not former:
        raise Refusal("account_gone")
    invitations.withdraw(email)
    try:
        with db.session.begin_nested():
            execute(update(User).where(User.id == user_id), email=email)
    except IntegrityError as error:
        raise Refusal("address_taken") from error
    return former


def delete(user_id: int) -> None:
    """Delete the account with its passkeys, sessions and activity. Its id and its handle are never used again."""
    execute(delete_from(User).where(User.id == user_id))


def set_disabled(user_id: int, is_disabled: bool) -> None:
    """Refuse every sign-in to the account, or allow them again. Sessions stay: see `sessions.revoke_for_user`."""
    execute(update(User).where(User.id == user_id), is_disabled=is_disabled)


def _bound_to(session: Session) -> dict[str, str]:
    # Bound to the present address too: changing the address cancels other changes that have begun.
    return {"session": str(session.id), "from": session.user.email}
