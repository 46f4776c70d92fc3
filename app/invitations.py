"""Who may sign up, on a site that is by invitation (FLASK_SIGN_UP=invite). An account still comes into being on proof
of the address, and never before."""

from flask import current_app
from sqlalchemy import delete, select

from app import accounts
from app.extensions import insert_if_absent, run
from app.models import Invitation, now
from app.refusals import Refusal


def lets_in(email: str) -> bool:
    """Whether this address may sign in: everybody's may, or what has an account, or an invitation to one."""
    if current_app.config["SIGN_UP"] == "open":
        return True
    invited = run(select(Invitation.email).where(Invitation.email == email)).first()
    return bool(invited or accounts.find(email))


def invite(email: str) -> None:
    """Write an invitation; one that was written before stays. Raises Refusal `has_account`."""
    if accounts.find(email):
        raise Refusal("has_account")
    insert_if_absent(Invitation, email=email, created_at=now())


def withdraw(email: str) -> bool:
    """Forget the invitation, because it was accepted or is no longer meant; return whether there was one."""
    return bool(run(delete(Invitation).where(Invitation.email == email)).rowcount)
