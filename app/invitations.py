"""Who may sign up, on a site that is by invitation (FLASK_SIGN_UP=invite). An account still comes into being on proof
of the address, and never before."""

from flask import current_app
from sqlalchemy import delete, select

from app.database import insert_if_absent, run
from app.models import Invitation, User, now


def lets_in(email: str) -> bool:
    """Whether this address may sign in: everybody's may, or what has an account, or an invitation to one."""
    if current_app.config["SIGN_UP"] == "open":
        return True
    # One question whatever the answer, so that it takes one time.
    known = select(User.email).where(User.email == email)
    return run(known.union_all(select(Invitation.email).where(Invitation.email == email))).first() is not None


def invite(email: str) -> None:
    """Write an invitation; one that was written before stays."""
    insert_if_absent(Invitation, email=email, created_at=now())


def accept(email: str) -> bool:
    """Whether this address may have an account now. Its invitation is used up by that: two can't both take it."""
    return withdraw(email) or current_app.config["SIGN_UP"] == "open"


def withdraw(email: str) -> bool:
    """Forget the invitation; return whether there was one."""
    return bool(run(delete(Invitation).where(Invitation.email == email)).rowcount)
