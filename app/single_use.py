"""Signed tokens that work once.

*Issuing* writes nothing, so nobody can fill the database by asking. *Reading* checks and changes nothing. *Spending*
writes one row, and the primary key decides who was first, however many arrive at once. All that follows from a spent
token belongs to the same transaction; the caller commits it.
"""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256
from typing import Any

from flask import current_app
from itsdangerous import BadSignature, URLSafeTimedSerializer
from itsdangerous.encoding import base64_decode, base64_encode
from sqlalchemy import bindparam, select

from app.database import deletion_of_some, insert_if_absent, is_time_to_sweep, run
from app.models import SpentToken, now
from app.refusals import Refusal

# Machines disagree about the time by seconds; a token from further ahead was not made by us.
CLOCK_SKEW = timedelta(seconds=30)

# A spent id is kept for this long after its token expired, so that a clock set back revives nothing.
KEPT_AFTER_EXPIRY = timedelta(days=1)

# Statements of the way in are made once, of tables instead of classes: that is half their cost.
_spent: Any = SpentToken.__table__
IS_SPENT = select(_spent.c.id).where(_spent.c.id == bindparam("id"))
SWEEP = deletion_of_some(_spent.c.id, _spent.c.expires_at < bindparam("before"))


@dataclass(frozen=True)
class Purpose:
    """What a token is for. A token made for one purpose is never taken for another."""

    name: str
    lifetime: timedelta


@dataclass(frozen=True)
class Token:
    """What a token says, once its signature, age and purpose have been checked."""

    id: str
    claims: dict[str, str]
    made_at: datetime
    expires_at: datetime


def new_id() -> str:
    """Return 128 random bits as 22 characters."""
    return secrets.token_urlsafe(16)


def issue(purpose: Purpose, id: str | None = None, **claims: str) -> str:
    """Return a signed token with a random id, or the given one, and what it is bound to.

    It expires after its purpose's lifetime; or earlier, with a claim `expires_at` in seconds since 1970.
    """
    return _serializer(purpose).dumps([id or new_id(), claims])


def read(purpose: Purpose, text: str, **bound_to: str) -> Token:
    """Return what the token says, having changed nothing.

    Raises Refusal `malformed_token` (not signed here, or for another purpose), `expired`, `from_the_future`, or
    `bound_to_another_<claim>` where one of its claims is not the given one.
    """
    try:
        (id, claims), made_at = _serializer(purpose).loads(text, return_timestamp=True)
        # A token has one text. Python's decoder skips what it can't read, and the bits that no byte needs.
        signature = text.rpartition(".")[2]
        if base64_encode(base64_decode(signature)).decode() != signature:
            raise BadSignature("Another text for the same signature")
    except (BadSignature, ValueError) as error:
        raise Refusal("malformed_token", f"{purpose.name}: {type(error).__name__}") from error
    expires_at = made_at + purpose.lifetime
    if "expires_at" in claims:
        expires_at = min(expires_at, datetime.fromtimestamp(int(claims["expires_at"]), UTC))
    if made_at > now() + CLOCK_SKEW:
        raise Refusal("from_the_future", purpose.name)
    if expires_at <= now():
        raise Refusal("expired", purpose.name)
    for claim, value in bound_to.items():
        if claims.get(claim) != value:
            raise Refusal(f"bound_to_another_{claim}", purpose.name)
    return Token(id, claims, made_at, expires_at)


def spend(id: str, expires_at: datetime) -> None:
    """Use up a token, before anything that follows from it is written, so that who comes second changes nothing.

    Raises Refusal `already_used`.
    """
    if not insert_if_absent(SpentToken, id=id, expires_at=expires_at):
        raise Refusal("already_used")
    if is_time_to_sweep():
        sweep()


def is_spent(id: str) -> bool:
    """Whether the token has been used."""
    return run(IS_SPENT, id=id).first() is not None


def sweep() -> int:
    """Forget some ids that have been useless for long, because new rows pay for old ones; return how many."""
    return run(SWEEP, before=now() - KEPT_AFTER_EXPIRY).rowcount


def _serializer(purpose: Purpose) -> URLSafeTimedSerializer:
    return _serializer_for(current_app.config["SECRET_KEYS"], purpose.name)


@cache
def _serializer_for(secret_keys: tuple[str, ...], purpose: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(
        secret_keys, salt=f"latchkey.{purpose}", signer_kwargs={"digest_method": sha256, "key_derivation": "hmac"}
    )
