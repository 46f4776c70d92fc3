"""Who is signed in: a row per sign-in, so that ending one takes effect with the next request."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Row, bindparam, delete, insert, select

from app import single_use
from app.extensions import run
from app.models import Session, User, now

LONGEST = timedelta(days=90)

# Every page asks this: a statement made once, of tables instead of classes.
_sessions: Any = Session.__table__
_users: Any = User.__table__
USER: Any = (_users.c.id.label("user_id"), _users.c.email, _users.c.user_handle, _users.c.wants_passkey_offer)
"""The columns that SignedIn is made of."""
FIND = (
    select(*USER)
    .join_from(_sessions, _users)
    .where(_sessions.c.id == bindparam("id"), _sessions.c.created_at > bindparam("since"))
)
START = insert(_sessions)
END = delete(_sessions).where(_sessions.c.id == bindparam("session"))


@dataclass(frozen=True)
class SignedIn:
    """A user by a live session of theirs: what Flask-Login calls a user, and knows by the session's id."""

    id: int
    email: str
    user_handle: bytes
    wants_passkey_offer: bool
    session_id: str

    is_authenticated = True
    is_active = True
    is_anonymous = False

    def get_id(self) -> str:
        """Return what is kept in the cookie."""
        return self.session_id


def start(user: Row[Any], method: str, user_agent: str) -> SignedIn:
    """Open a session for a user (a row with the columns USER) who proved themselves by `method` (link, code, passkey),
    in the caller's transaction."""
    id = single_use.new_id()
    values = {"id": id, "user_id": user.user_id, "method": method, "user_agent": user_agent[:300], "created_at": now()}
    run(START, **values)
    return _signed_in(user, id)


def find(id: str) -> SignedIn | None:
    """Return who is signed in by this session, if it lives."""
    found: Any = run(FIND, id=id, since=now() - LONGEST).first()
    return _signed_in(found, id) if found else None


def end(id: str) -> None:
    """End the session, if it lives, in the caller's transaction."""
    run(END, session=id)


def _signed_in(user: Any, session_id: str) -> SignedIn:
    return SignedIn(user.user_id, user.email, user.user_handle, user.wants_passkey_offer, session_id)
