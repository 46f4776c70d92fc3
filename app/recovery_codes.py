"""Recovery codes: each works once in place of a passkey, for accounts that require one."""

from hashlib import sha256

from sqlalchemy import ColumnElement, and_, bindparam, delete, func, insert, select

from app import codes
from app.database import execute
from app.models import RecoveryCode
from app.refusals import Refusal

COUNT = 10

# 71 bits.
LENGTH = 16

# The account page asks this each time, and building a statement takes longer than executing it.
COUNT_FOR_USER = select(func.count()).where(RecoveryCode.user_id == bindparam("user"))


def make(user_id: int) -> list[str]:
    """Return COUNT new codes of the user, and delete the old ones. The codes can't be shown again.

    The account must be locked: two requests at once would leave the user twice as many codes.
    """
    execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    made = [codes.random_code(LENGTH) for _ in range(COUNT)]
    execute(insert(RecoveryCode).values([{"user_id": user_id, "digest": _digest(code)} for code in made]))
    return made


def count(user_id: int) -> int:
    """Return how many unused codes the user has."""
    return execute(COUNT_FOR_USER, user=user_id).scalar_one()


def check(user_id: int, typed: str) -> None:
    """Check a code of the user. Upper or lower case, and dashes, make no difference. This doesn't use it up.

    Raises Refusal `wrong_recovery_code`.
    """
    if not execute(select(RecoveryCode.user_id).where(_matches(user_id, typed))).first():
        raise Refusal("wrong_recovery_code")


def spend(user_id: int, typed: str) -> int:
    """Use up a code of the user, and return how many are left.

    One statement finds and deletes the code, so it works once. Raises Refusal `wrong_recovery_code`, also if the code
    was used before.
    """
    if not execute(delete(RecoveryCode).where(_matches(user_id, typed))).rowcount:
        raise Refusal("wrong_recovery_code")
    return count(user_id)


def _matches(user_id: int, typed: str) -> ColumnElement[bool]:
    return and_(RecoveryCode.user_id == user_id, RecoveryCode.digest == _digest(typed))


def _digest(code: str) -> bytes:
    return sha256(codes.letters_of(code).encode()).digest()
