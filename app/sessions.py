"""Who is signed in: a row per sign-in, so that ending one takes effect with the next request."""

from datetime import timedelta

from sqlalchemy import delete, select

from app import single_use
from app.extensions import db
from app.models import Session, User, now

LONGEST = timedelta(days=90)


def start(user: User, method: str, user_agent: str) -> User:
    """Open a session for `user`, who proved themselves by `method` (link, code, passkey), in the caller's
    transaction. Returns the user with the session as `current_session`."""
    row = Session(id=single_use.new_id(), user_id=user.id, method=method, user_agent=user_agent[:300], created_at=now())
    db.session.add(row)
    user.current_session = row
    return user


def find(id: str) -> User | None:
    """Return the user of a live session, with the session as `current_session`."""
    found = db.session.execute(
        select(Session, User).join(Session.user).where(Session.id == id, Session.created_at > now() - LONGEST)
    ).first()
    if not found:
        return None
    session, user = found
    user.current_session = session
    return user


def end(id: str) -> None:
    """End the session, if it lives, in the caller's transaction."""
    db.session.execute(delete(Session).where(Session.id == id))
