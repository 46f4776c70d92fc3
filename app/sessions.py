"""Who is signed in: a row per sign-in, so that ending one takes effect with the next request."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import bindparam, delete, insert, select

from app import single_use
from app.extensions import db
from app.models import Session, User, now

LONGEST = timedelta(days=90)

# Every page asks this: a statement made once, of tables instead of classes.
_sessions: Any = Session.__table__
_users: Any = User.__table__
FIND = (
    select(_sessions.c.id, _users.c.id, _users.c.email, _users.c.user_handle, _users.c.wants_passkey_offer)
    .join_from(_sessions, _users)
    .where(_sessions.c.id == bindparam("id"), _sessions.c.created_at > bindparam("since"))
)
START = insert(_sessions)
END = delete(_sessions).where(_sessions.c.id == bindparam("session"))


@dataclass(frozen=True)
class SignedIn:
    """A user by a live session of theirs: what Flask-Login calls a user, and knows by the session's id."""

    session_id: str
    id: int
    email: str
    user_handle: bytes
    wants_passkey_offer: bool

    is_authenticated = True
    is_active = True
    is_anonymous = False

    def get_id(self) -> str:
        """Return what is kept in the cookie."""
        return self.session_id


def start(user_id: int, method: str, user_agent: str) -> str:
    """Open a session for a user who proved themselves by `method` (link, code, passkey), in the caller's
    transaction. Returns its id."""
    id = single_use.new_id()
    values = {"id": id, "user_id": user_id, "method": method, "user_agent": user_agent[:300], "created_at": now()}
    db.session.execute(START, values)
    return id


def find(id: str) -> SignedIn | None:
    """Return who is signed in by this session, if it lives."""
    found = db.session.execute(FIND, {"id": id, "since": now() - LONGEST}).first()
    return SignedIn(*found) if found else None


def end(id: str) -> None:
    """End the session, if it lives, in the caller's transaction."""
    db.session.execute(END, {"session": id})
