"""Sessions: one row for each sign-in, so that ending one takes effect with the next request.

The cookie holds the row's random token, and the mark of the last proof. Everything else names a session by its id,
which gives no access.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from flask import current_app
from sqlalchemy import bindparam, delete, insert, or_, select, update
from sqlalchemy.orm import contains_eager

from app import proof, single_use
from app.database import db, execute, is_time_to_sweep
from app.models import Session, User, now
from app.single_use import CLOCK_SKEW

# The time of last use is written at most this often, so that reading pages doesn't cost a write each.
TOUCH_EVERY = timedelta(minutes=5)

# The most sessions that a page lists. A program that never signs out has thousands.
MOST_LISTED = 20

# A session from the future was made by a wrong clock. It is neither alive nor expired.
_is_alive = (
    Session.created_at > bindparam("oldest"),
    Session.created_at <= bindparam("newest"),
    Session.seen_at > bindparam("last_seen"),
)
_is_expired = or_(Session.created_at <= bindparam("oldest"), Session.seen_at <= bindparam("last_seen"))
FIND = (
    select(Session)
    .join(Session.user)
    .options(contains_eager(Session.user))
    .where(Session.token == bindparam("token"), User.is_disabled.is_(False), *_is_alive)
    # Replace values that were loaded before waiting for a lock.
    .execution_options(populate_existing=True)
)
FIND_EXPIRED = select(Session.id).where(Session.token == bindparam("token"), _is_expired)
FOR_USER = (
    select(Session)
    .where(Session.user_id == bindparam("user"), *_is_alive)
    .order_by(Session.created_at.desc())
    .limit(MOST_LISTED)
)
START = insert(Session).returning(Session.id)
TOUCH = update(Session).where(Session.id == bindparam("session")).values(seen_at=bindparam("at"))
END = delete(Session).where(Session.id == bindparam("session"))
SWEEP = delete(Session).where(_is_expired)
SWEEP_FOR_USER = SWEEP.where(Session.user_id == bindparam("user"))


class Method(StrEnum):
    """How somebody signed in, or proved who they are."""

    LINK = "link"
    CODE = "code"
    PASSKEY = "passkey"
    RECOVERY_CODE = "recovery code"


def start(user: User, method: Method, browser: str, passkey_id: int | None = None) -> tuple[Session, str]:
    """Open a session for a user who has just proven who they are. `browser` is like "Firefox on Windows".

    Return the session, and the proof mark for the cookie. The caller commits.
    """
    at, mark = now(), single_use.new_id()
    if is_time_to_sweep():
        execute(SWEEP_FOR_USER, user=user.id, **_time_limits())
    values = {
        "token": single_use.new_id(),
        "user_id": user.id,
        "method": method.value,
        "passkey_id": passkey_id,
        "browser": browser,
        "created_at": at,
        "seen_at": at,
        "proved_at": at,
        "proof_digest": proof.digest(mark),
        "recovering_until": at + proof.RECOVERY_LIFETIME if method is Method.RECOVERY_CODE else None,
    }
    session = Session(id=execute(START, **values).scalar_one(), user=user, **values)
    session.has_proof_mark = True
    return session, mark


def find(token: str, proof_mark: str) -> Session | None:
    """Return the session of this token with its user, unless it has ended or expired, or the account is disabled.

    `proof_mark` is the mark in the cookie: the session's last proof counts only if it left that mark.
    """
    session = db.session.scalars(FIND, {"token": token, **_time_limits()}).first()
    if session:
        session.has_proof_mark = proof.is_mark_of(session, proof_mark)
    return session


def touch(session: Session) -> bool:
    """Write that the session is in use, unless that was written in the last five minutes.

    Return True if it was written. The caller commits.
    """
    # A time in the future comes from a clock that was ahead. Correct it.
    if -CLOCK_SKEW <= now() - session.seen_at < TOUCH_EVERY:
        return False
    execute(TOUCH, session=session.id, at=now())
    return True


def for_user(user_id: int) -> Sequence[Session]:
    """Return the newest sessions of the user that haven't expired, at most MOST_LISTED."""
    return db.session.scalars(FOR_USER, {"user": user_id, **_time_limits()}).all()


def end(session_id: int) -> bool:
    """End the session of this id. Return True if there was one. The caller commits."""
    return execute(END, session=session_id).rowcount == 1


def end_expired(token: str) -> bool:
    """Delete the session of this token if it has expired. Then setting a clock back doesn't revive it.

    Return True if it was deleted. The caller commits.
    """
    # Look first, so that a worthless cookie doesn't cost a write on each request.
    expired = execute(FIND_EXPIRED, token=token, **_time_limits()).first()
    return expired is not None and end(expired.id)


def revoke_others(session: Session, **which: Any) -> Sequence[str]:
    """End the user's other sessions that have these values (`passkey_id=...`), or all. Return their browsers."""
    return revoke_for_user(session.user_id, keep=session.id, **which)


def revoke_for_user(user_id: int, keep: int = 0, **which: Any) -> Sequence[str]:
    """End the user's sessions that have these values, except the one with the id `keep`. Return their browsers."""
    ended = delete(Session).where(Session.user_id == user_id, Session.id != keep).filter_by(**which)
    return execute(ended.returning(Session.browser)).scalars().all()


def sweep() -> int:
    """Delete all expired sessions. Return how many."""
    return execute(SWEEP, **_time_limits()).rowcount


def _time_limits() -> dict[str, datetime]:
    config, at = current_app.config, now()
    return {
        "oldest": at - timedelta(days=config["SESSION_DAYS"]),
        "newest": at + CLOCK_SKEW,
        "last_seen": at - timedelta(days=config["SESSION_IDLE_DAYS"]),
    }
