"""Sessions: one row for each sign-in, so that ending one takes effect with the next request.

The cookie holds the row's random token, and the mark that the last proof left there. Everything else names a session by
its number, which opens nothing.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from flask import current_app
from sqlalchemy import Row, bindparam, delete, insert, or_, select, update

from app import single_use
from app.database import is_time_to_sweep, run
from app.models import Session, User, now
from app.single_use import CLOCK_SKEW

# Being seen is written down at most this often: reading pages is not to cost a write each.
SEEN_EVERY = timedelta(minutes=5)

# Changing a sign-in method needs proof of identity that is no older.
PROOF_LIFETIME = timedelta(minutes=10)

# A recovery code may have been the last one: for so long, the session that it opened may add a passkey.
RECOVERING_FOR = timedelta(hours=1)

RECOVERY_CODE = "recovery code"

# Nobody reads more of them, and a program that never signs out has thousands.
LISTED = 20

# Every page asks this: a statement made once, of tables instead of classes.
_sessions: Any = Session.__table__
_users: Any = User.__table__
USER: Any = (
    _users.c.id.label("user_id"),
    _users.c.email,
    _users.c.user_handle,
    _users.c.wants_passkey_offer,
    _users.c.requires_passkey,
    _users.c.is_disabled,
)
"""What is known of a user wherever one is found."""
_alive = (
    _sessions.c.created_at > bindparam("began"),
    _sessions.c.created_at <= bindparam("latest"),
    _sessions.c.seen_at > bindparam("seen"),
)
_expired = or_(_sessions.c.created_at <= bindparam("began"), _sessions.c.seen_at <= bindparam("seen"))
FIND = (
    select(*USER, _sessions)
    .join_from(_sessions, _users)
    .where(_sessions.c.token == bindparam("token"), _users.c.is_disabled.is_(False), *_alive)
)
FIND_EXPIRED = select(_sessions.c.id).where(_sessions.c.token == bindparam("token"), _expired)
OF_USER = (
    select(*(_sessions.c[name] for name in ("id", "method", "browser", "created_at", "seen_at")))
    .where(_sessions.c.user_id == bindparam("user"), *_alive)
    .order_by(_sessions.c.created_at.desc())
    .limit(LISTED)
)
START = insert(_sessions).returning(_sessions)
SWEEP = delete(_sessions).where(_expired)
END = delete(_sessions).where(_sessions.c.id == bindparam("session"))
STOP_RECOVERING = (
    update(_sessions)
    .where(_sessions.c.user_id == bindparam("user"), _sessions.c.recovering_until.is_not(None))
    .values(recovering_until=None)
)


@dataclass(frozen=True)
class SignedIn:
    """A user by a live session of theirs: what Flask-Login calls a user, and knows by the session's token."""

    id: int
    email: str
    user_handle: bytes
    wants_passkey_offer: bool
    requires_passkey: bool
    session_id: int
    """The session's public number."""
    token: str
    method: str
    created_at: datetime
    seen_at: datetime
    proved_at: datetime
    recovering_until: datetime | None
    has_proof_mark: bool
    """Whether the cookie of this request has the mark that the last proof left."""

    is_authenticated = True
    is_active = True
    is_anonymous = False

    def get_id(self) -> str:
        """Return what is kept in the cookie."""
        return self.token

    @property
    def is_proven(self) -> bool:
        """Whether this browser's user has proven lately who they are."""
        return self.was_proven(now())

    def was_proven(self, at: datetime) -> bool:
        """Whether the last proof was fresh then. It counts only for the cookie that it was given in, and never if it is
        dated ahead."""
        return self.has_proof_mark and at - PROOF_LIFETIME < self.proved_at <= now() + CLOCK_SKEW

    def could_add_passkey(self, at: datetime) -> bool:
        """Whether a passkey could be made then: with fresh proof, or by a session that a recovery code has opened,
        until `recovering_until`."""
        is_recovering = self.recovering_until and at < self.recovering_until <= now() + RECOVERING_FOR + CLOCK_SKEW
        return self.was_proven(at) or bool(is_recovering)

    @property
    def mark(self) -> str:
        """By which a page tells whose it is."""
        return self.user_handle.hex()[:16]


def start(user: Row[Any], method: str, browser: str, passkey_id: int | None = None) -> tuple[SignedIn, str]:
    """Open a session for a user (a row with the columns USER) who proved themselves by `method` (link, code, passkey,
    recovery code) in this browser, in the caller's transaction. Return it, and the proof mark for the cookie."""
    token, proof_mark, at = single_use.new_id(), single_use.new_id(), now()
    if is_time_to_sweep():
        run(SWEEP.where(_sessions.c.user_id == user.user_id), **_limits())
    values = {
        "token": token,
        "user_id": user.user_id,
        "method": method,
        "passkey_id": passkey_id,
        "browser": browser,
        "created_at": at,
        "seen_at": at,
        "proved_at": at,
        "proof_digest": _digest(proof_mark),
        "recovering_until": at + RECOVERING_FOR if method == RECOVERY_CODE else None,
    }
    return _signed_in(user, run(START, **values).one(), has_proof_mark=True), proof_mark


def find(token: str, proof_mark: str) -> SignedIn | None:
    """Return who is signed in by the session of this token, if it lives. Its last proof counts only if `proof_mark` is
    what that proof left in the cookie."""
    found: Any = run(FIND, token=token, **_limits()).first()
    if not found:
        return None
    return _signed_in(found, found, hmac.compare_digest(found.proof_digest, _digest(proof_mark)))


def see(user: SignedIn) -> bool:
    """Write down that this session was used just now, unless that has been written lately, by a clock that agrees with
    ours; return whether it was written.

    The caller commits."""
    if -CLOCK_SKEW <= now() - user.seen_at < SEEN_EVERY:
        return False
    run(update(_sessions).where(_sessions.c.id == user.session_id), seen_at=now())
    return True


def end_expired(token: str) -> bool:
    """Delete the session of this token if it has expired, so that a clock set back does not revive it; return whether
    it was deleted. The caller commits."""
    # Look first: a cookie that is worth nothing must not cost a write per request.
    expired = run(FIND_EXPIRED, token=token, **_limits()).first()
    return bool(expired and end(expired.id))


def prove(user: SignedIn) -> str:
    """Write down, in the caller's transaction, that this session's user has just proven who they are. Return the proof
    mark for the cookie: cookies that were copied earlier have another, and are not proven by this."""
    proof_mark = single_use.new_id()
    proof = {"proved_at": now(), "proof_digest": _digest(proof_mark), "recovering_until": None}
    run(update(_sessions).where(_sessions.c.id == user.session_id), **proof)
    return proof_mark


def doubt_others(user: SignedIn) -> None:
    """Ask for proof again in the user's other sessions, because a sign-in method has changed. A session that a recovery
    code opened may add no passkey without proof any more, this one included."""
    others = update(_sessions).where(_sessions.c.user_id == user.id, _sessions.c.id != user.session_id)
    run(others, proof_digest=b"")
    stop_recovering(user.id)


def stop_recovering(user_id: int) -> None:
    """Ask for proof again in this user's sessions that recovery codes have opened, before they add a passkey."""
    run(STOP_RECOVERING, user=user_id)


def of(user: SignedIn) -> Sequence[Row[Any]]:
    """Return the newest of the user's sessions that live, at most LISTED."""
    return run(OF_USER, user=user.id, **_limits()).all()


def end(id: int) -> bool:
    """End the session of this number, in the caller's transaction; return whether there was one."""
    return bool(run(END, session=id).rowcount)


def revoke(user: SignedIn, **which: Any) -> Sequence[str]:
    """End the user's sessions that have these values (`id=...`, `passkey_id=...`; without any: all), and return their
    browsers. This session is ended only where `id` names it."""
    return revoke_of(user.id, 0 if "id" in which else user.session_id, **which)


def revoke_of(user_id: int, but: int = 0, **which: Any) -> Sequence[str]:
    """End the sessions of this user's that have these values, but one; return their browsers."""
    statement = delete(_sessions).where(_sessions.c.user_id == user_id, _sessions.c.id != but)
    return run(statement.filter_by(**which).returning(_sessions.c.browser)).scalars().all()


def sweep() -> int:
    """Forget what has ended by itself; return how many."""
    return run(SWEEP, **_limits()).rowcount


def _limits() -> dict[str, datetime]:
    config, at = current_app.config, now()
    return {
        "began": at - timedelta(days=config["SESSION_DAYS"]),
        "latest": at + CLOCK_SKEW,
        "seen": at - timedelta(days=config["SESSION_IDLE_DAYS"]),
    }


def _digest(proof_mark: str) -> bytes:
    return sha256(proof_mark.encode()).digest()


def _signed_in(user: Any, session: Any, has_proof_mark: bool) -> SignedIn:
    return SignedIn(
        user.user_id,
        user.email,
        user.user_handle,
        user.wants_passkey_offer,
        user.requires_passkey,
        session.id,
        session.token,
        session.method,
        session.created_at,
        session.seen_at,
        session.proved_at,
        session.recovering_until,
        has_proof_mark,
    )
