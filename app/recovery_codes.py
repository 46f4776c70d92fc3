"""Recovery codes: what takes the passkey's place once, where a mailbox is not proof enough and the passkey is gone."""

from hashlib import sha256

from sqlalchemy import ColumnElement, and_, delete, func, insert, select

from app import codes
from app.database import run
from app.models import RecoveryCode
from app.refusals import Refusal

COUNT = 10

# 71 bits.
LENGTH = 16


def make(user_id: int) -> list[str]:
    """Return ten new codes. They can be shown this once only, and the old ones are worth nothing from now on.

    The caller holds the account, or two who do this at once would leave it twenty.
    """
    run(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    made = [codes.at_random(LENGTH) for _ in range(COUNT)]
    run(insert(RecoveryCode).values([{"user_id": user_id, "digest": _digest(code)} for code in made]))
    return made


def remaining(user_id: int) -> int:
    """Return how many codes the user has that were not used."""
    return run(select(func.count()).where(RecoveryCode.user_id == user_id)).scalar_one()


def check(user_id: int, typed: str) -> None:
    """Take the code in any case, with or without dashes, without using it. Raises Refusal `wrong_recovery_code`."""
    if not run(select(RecoveryCode.user_id).where(_is(user_id, typed))).first():
        raise Refusal("wrong_recovery_code")


def spend(user_id: int, typed: str) -> int:
    """Use a code up, as `check` takes it, and return how many remain. Raises Refusal `wrong_recovery_code`: not one of
    this user's, or used before. Whoever comes second deletes nothing."""
    if not run(delete(RecoveryCode).where(_is(user_id, typed))).rowcount:
        raise Refusal("wrong_recovery_code")
    return remaining(user_id)


def _is(user_id: int, typed: str) -> ColumnElement[bool]:
    return and_(RecoveryCode.user_id == user_id, RecoveryCode.digest == _digest(typed))


def _digest(code: str) -> bytes:
    return sha256(codes.letters_of(code).encode()).digest()
