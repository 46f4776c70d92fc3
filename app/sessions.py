"""Who is signed in: a row per sign-in, so that ending one takes effect with the next request."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import current_app
from sqlalchemy import Row, and_, bindparam, delete, insert, not_, select, update

from app import single_use
from app.extensions import is_time_to_sweep, run
from app.models import Session, User, now

# Being seen is written down at most this often: reading pages is not to cost a write each.
SEEN_EVERY = timedelta(minutes=5)

# What changes a way in takes a proof of who it is that is no older.
PROOF_LIFETIME = timedelta(minutes=10)

NEVER = datetime.fromtimestamp(0, UTC)

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
_alive = (_sessions.c.created_at > bindparam("began"), _sessions.c.seen_at > bindparam("seen"))
FIND = (
    select(*USER, _sessions.c.method, _sessions.c.created_at, _sessions.c.seen_at, _sessions.c.proved_at)
    .join_from(_sessions, _users)
    .where(_sessions.c.id == bindparam("id"), _users.c.is_disabled.is_(False), *_alive)
)
OF_USER = (
    select(_sessions)
    .where(_sessions.c.user_id == bindparam("user"), *_alive)
    .order_by(_sessions.c.created_at.desc())
    .limit(LISTED)
)
START = insert(_sessions)
SWEEP = delete(_sessions).where(not_(and_(*_alive)))
END = delete(_sessions).where(_sessions.c.id == bindparam("session"))


@dataclass(frozen=True)
class SignedIn:
    """A user by a live session of theirs: what Flask-Login calls a user, and knows by the session's id."""

    id: int
    email: str
    user_handle: bytes
    wants_passkey_offer: bool
    requires_passkey: bool
    session_id: str
    method: str
    created_at: datetime
    seen_at: datetime
    proved_at: datetime

    is_authenticated = True
    is_active = True
    is_anonymous = False

    def get_id(self) -> str:
        """Return what is kept in the cookie."""
        return self.session_id

    @property
    def is_proven(self) -> bool:
        """Whether this session's user has proven lately who they are."""
        return self.was_proven(now())

    def was_proven(self, at: datetime) -> bool:
        """Whether the last proof was fresh then."""
        return self.proved_at > at - PROOF_LIFETIME

    @property
    def mark(self) -> str:
        """By which a page tells whose it is."""
        return self.user_handle.hex()[:16]

    @property
    def is_recovering(self) -> bool:
        """Whether a recovery code that opened this session is still proof enough to add a passkey, because it may have
        been the last: until a passkey is added, or another proof is given."""
        return self.method == RECOVERY_CODE and self.proved_at == self.created_at


def start(user: Row[Any], method: str, browser: str, passkey_id: int | None = None) -> SignedIn:
    """Open a session for a user (a row with the columns USER) who proved themselves by `method` (link, code, passkey,
    recovery code) in this browser, in the caller's transaction."""
    id, at = single_use.new_id(), now()
    times = {"created_at": at, "seen_at": at, "proved_at": at}
    if is_time_to_sweep():
        run(SWEEP.where(_sessions.c.user_id == user.user_id), **_limits())
    run(START, id=id, user_id=user.user_id, method=method, passkey_id=passkey_id, browser=browser, **times)
    return _signed_in(user, id, method, at, at, at)


def find(id: str) -> SignedIn | None:
    """Return who is signed in by this session, if it lives."""
    found: Any = run(FIND, id=id, **_limits()).first()
    return _signed_in(found, id, *found[len(USER) :]) if found else None


def see(user: SignedIn) -> bool:
    """Write down that this session was used just now, unless that has been written lately; return whether it was.

    The caller commits."""
    if user.seen_at > now() - SEEN_EVERY:
        return False
    run(update(_sessions).where(_sessions.c.id == user.session_id), seen_at=now())
    return True


def prove(user: SignedIn, at: datetime | None = None) -> None:
    """Write down that this session's user has proven again who they are, just now or then, in the caller's
    transaction."""
    run(update(_sessions).where(_sessions.c.id == user.session_id), proved_at=at or now())


def doubt_others(user: SignedIn) -> None:
    """Have the user's other sessions prove themselves anew, because a way in has changed."""
    others = update(_sessions).where(_sessions.c.user_id == user.id, _sessions.c.id != user.session_id)
    run(others, proved_at=NEVER)


def stop_recovering(user: SignedIn) -> None:
    """A passkey was added: end what a recovery code that opened this session is good for (`is_recovering`)."""
    if user.is_recovering:
        # As fresh as it was, but no longer the proof that opened the session.
        prove(user, user.created_at - timedelta(seconds=1))


def of(user: SignedIn) -> Sequence[Row[Any]]:
    """Return the newest of the user's sessions that live, at most LISTED."""
    return run(OF_USER, user=user.id, **_limits()).all()


def end(id: str) -> bool:
    """End the session, in the caller's transaction; return whether there was one."""
    return bool(run(END, session=id).rowcount)


def revoke(user: SignedIn, **which: Any) -> Sequence[str]:
    """End the user's sessions that have these values (`id=...`, `passkey_id=...`; without any: all), and return their
    browsers. This session is ended only where `id` names it."""
    return revoke_of(user.id, "" if "id" in which else user.session_id, **which)


def revoke_of(user_id: int, but: str = "", **which: Any) -> Sequence[str]:
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
        "seen": at - timedelta(days=config["SESSION_IDLE_DAYS"]),
    }


def _signed_in(user: Any, *session: Any) -> SignedIn:
    return SignedIn(
        user.user_id, user.email, user.user_handle, user.wants_passkey_offer, user.requires_passkey, *session
    )
