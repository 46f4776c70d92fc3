"""Signed tokens that work once.

*Issuing* writes nothing, so nobody can fill the database by asking. *Reading* checks a token and changes nothing.
*Spending* writes one row. The primary key decides who is first, however many requests arrive at once. Spending a token
and everything that follows from it belong to one transaction, and the caller commits it.
"""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256

from flask import current_app
from itsdangerous import BadSignature, URLSafeTimedSerializer
from itsdangerous.encoding import base64_decode, base64_encode
from sqlalchemy import bindparam, select

from app.database import delete_some, execute, insert_if_absent, is_time_to_sweep
from app.models import SpentToken, now
from app.refusals import Refusal

# Clocks of different machines differ by seconds. Accept a time in the future up to this far ahead.
CLOCK_SKEW = timedelta(seconds=30)

# A spent id is kept for this long after its token expired. So setting a clock back makes no token valid again.
KEPT_AFTER_EXPIRY = timedelta(days=1)

# Building a statement takes longer than executing it, so each is built once.
IS_SPENT = select(SpentToken.id).where(SpentToken.id == bindparam("id"))
SWEEP = delete_some(SpentToken.id, SpentToken.expires_at < bindparam("before"))


@dataclass(frozen=True)
class Purpose:
    """The purpose of a token, and how long it is valid. A token for one purpose is refused for every other."""

    name: str
    lifetime: timedelta


@dataclass(frozen=True)
class Token:
    """The contents of a token whose signature, age and purpose have been checked."""

    id: str
    claims: dict[str, str]
    made_at: datetime
    expires_at: datetime


def new_id() -> str:
    """Return 128 random bits as 22 characters."""
    return secrets.token_urlsafe(16)


def issue(purpose: Purpose, id: str | None = None, **claims: str) -> str:
    """Return a signed token with these claims. Its id is random unless it is given.

    It expires after its purpose's lifetime, or earlier if it has a claim `expires_at` (in seconds since 1970).
    """
    return _serializer(purpose).dumps([id or new_id(), claims])


def read(purpose: Purpose, text: str, **bound_to: str) -> Token:
    """Check a token and return its contents. This changes nothing.

    Raises Refusal `malformed_token` (not signed here, or for another purpose), `expired`, `from_the_future`, or
    `bound_to_another_<claim>` if one of its claims differs from the given one.
    """
    try:
        (id, claims), made_at = _serializer(purpose).loads(text, return_timestamp=True)
        # Accept one text per token. Python's decoder ignores foreign characters and unused bits.
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


def spend(token: Token) -> None:
    """Use up a token. Call this before the changes that the token allows, so that a second request makes none.

    Raises Refusal `already_used`.
    """
    if not insert_if_absent(SpentToken, id=token.id, expires_at=token.expires_at):
        raise Refusal("already_used")
    if is_time_to_sweep():
        sweep()


def is_spent(id: str) -> bool:
    """Return True if the token of this id has been used. This changes nothing."""
    return execute(IS_SPENT, id=id).first() is not None


def sweep() -> int:
    """Delete some ids of tokens that expired long ago. Return how many."""
    return execute(SWEEP, before=now() - KEPT_AFTER_EXPIRY).rowcount


def _serializer(purpose: Purpose) -> URLSafeTimedSerializer:
    return _serializer_for(current_app.config["SECRET_KEYS"], purpose.name)


@cache
def _serializer_for(secret_keys: tuple[str, ...], purpose: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(
        secret_keys, salt=f"latchkey.{purpose}", signer_kwargs={"digest_method": sha256, "key_derivation": "hmac"}
    )
