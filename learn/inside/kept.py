"""The ceremonies that the activity of an account keeps, and its sign-ins by mail."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from flask import current_app
from sqlalchemy import bindparam, select

from app.database import db
from app.models import Activity, now
from learn.inside import ceremonies, mails
from learn.inside.ceremonies import Ceremony
from learn.inside.mails import Mailed

PAGE_SIZE = 50

# The largest number that the id's column can hold on PostgreSQL.
LARGEST_ID = 2**31 - 1


class Event(NamedTuple):
    """The row of the activity that a ceremony belongs to, without its transcript."""

    id: int
    kind: str
    at: datetime
    browser: str
    detail: str


# Like the activity, this shows nothing older than ACTIVITY_DAYS, even if it has not been deleted yet.
OWN = select(Activity.id, Activity.kind, Activity.at, Activity.browser, Activity.detail).where(
    Activity.user_id == bindparam("user"), Activity.transcript != "", Activity.at > bindparam("since")
)
NEWEST = OWN.where(Activity.id < bindparam("before")).order_by(Activity.id.desc()).limit(PAGE_SIZE + 1)
ONE = OWN.add_columns(Activity.transcript).where(Activity.id == bindparam("id"))


def newest(user_id: int, before: int = 0) -> Sequence[Event]:
    """Return the user's newest ceremonies: up to PAGE_SIZE, and one more to show that there is another page.

    `before` selects those that are older than the one with this id.
    """
    found = db.session.execute(
        NEWEST, {"user": user_id, "since": _since(), "before": before if before > 0 else LARGEST_ID}
    )
    return [Event(*row) for row in found]


def find(user_id: int, activity_id: int) -> tuple[Event, Ceremony | Mailed] | None:
    """Return one of the user's ceremonies or sign-ins by mail, or None if there is none, or it can't be read."""
    row = db.session.execute(ONE, {"user": user_id, "since": _since(), "id": activity_id}).first()
    if not row:
        return None
    found = ceremonies.read(row.transcript) or mails.read(row.transcript)
    return (Event(*row[:-1]), found) if found else None


def _since() -> datetime:
    return now() - timedelta(days=current_app.config["ACTIVITY_DAYS"])
