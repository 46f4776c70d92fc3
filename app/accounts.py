"""Accounts, and what their owners decide."""

from datetime import timedelta

from sqlalchemy import delete as delete_from
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from app import codes, single_use
from app.extensions import db, run
from app.models import User
from app.refusals import Refusal
from app.sessions import SignedIn

EMAIL_CHANGE = single_use.Purpose("email-change", timedelta(minutes=10))


def turn_down_offer(user: SignedIn) -> None:
    """Recommend no passkey to this user any more: the account page says what there is, and leaves it at that."""
    run(update(User).where(User.id == user.id).values(wants_passkey_offer=False))


def begin_email_change(user: SignedIn, email: str) -> tuple[str, str, bool]:
    """Return a token for this session and the code that goes with it, and whether the address has an account already:
    then the code must not be mailed. Raises Refusal `same_email`."""
    if email == user.email:
        raise Refusal("same_email")
    token, code = codes.issue(EMAIL_CHANGE, session=user.session_id, email=email)
    return token, code, run(select(User.id).where(User.email == email)).first() is not None


def finish_email_change(user: SignedIn, token: str, typed: str) -> tuple[str, str]:
    """Move the account to the address that the code proves; return the old and the new one. From then on a link to the
    old one doesn't open this account.

    Raises Refusal as `codes.redeem` does, and `address_taken`.
    """
    email = codes.redeem(EMAIL_CHANGE, token, typed, session=user.session_id).claims["email"]
    try:
        with db.session.begin_nested():
            run(update(User).where(User.id == user.id).values(email=email))
    except IntegrityError as error:
        raise Refusal("address_taken") from error
    return user.email, email


def delete(user: SignedIn) -> None:
    """Delete the account; passkeys, sessions and activity go with it. Its number and its handle are never given to
    another."""
    run(delete_from(User).where(User.id == user.id))
