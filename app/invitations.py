"""Invitations, for a site where not everybody may sign up (FLASK_SIGN_UP=invite).

An account is still created only when its address is proven.
"""

from flask import current_app
from sqlalchemy import delete, select

from app.database import execute, insert_if_absent
from app.models import Invitation, User, now


def may_sign_in(email: str) -> bool:
    """Return True if this address has an account or an invitation, or the site is open to everybody."""
    if current_app.config["SIGN_UP"] == "open":
        return True
    # One query for both, so that the response time doesn't show which of them exists.
    accounts = select(User.email).where(User.email == email)
    return execute(accounts.union_all(select(Invitation.email).where(Invitation.email == email))).first() is not None


def invite(email: str) -> None:
    """Invite this address. A second invitation changes nothing."""
    insert_if_absent(Invitation, email=email, created_at=now())


def accept(email: str) -> bool:
    """Return True if this address may have an account now. This uses up its invitation."""
    return withdraw(email) or current_app.config["SIGN_UP"] == "open"


def withdraw(email: str) -> bool:
    """Delete the invitation. Return True if there was one."""
    return execute(delete(Invitation).where(Invitation.email == email)).rowcount == 1
