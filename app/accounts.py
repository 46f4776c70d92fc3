"""Accounts, and what their owners decided."""

from sqlalchemy import update

from app.extensions import run
from app.models import User


def turn_down_offer(user_id: int) -> None:
    """Never offer this user to make a passkey again."""
    run(update(User).where(User.id == user_id).values(wants_passkey_offer=False))
