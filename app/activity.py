"""The activity of an account, for its owner to read: one row for each event.

A row is written only for a known account, when a visitor submits a form or the operator runs a command. Failed attempts
that give only an email address are logged, not stored. Otherwise the response time would show which addresses have an
account.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from flask import current_app
from sqlalchemy import bindparam, delete, func, insert, select

from app.database import ROWS_PER_SWEEP, db, execute, is_time_to_sweep
from app.models import Activity, now

PAGE_SIZE = 50

# Per account and hour, keep at most this many transcripts of refused ceremonies: a stranger who knows a passkey's id
# could fill the disk with them. The same limit holds for long ones of other kinds, because a member could do the same.
TRANSCRIPTS_PER_HOUR = 20
LONG_TRANSCRIPT = 4096

# Notices about sign-in methods go to each address that the account had in this time. ACTIVITY_DAYS is never less.
FORMER_ADDRESS_DAYS = 7

# Notify only the oldest of them. So a thief who changes the address often can't push out the owner's address, or have
# each notice sent a hundred times.
MOST_FORMER_ADDRESSES = 5


class Kind(StrEnum):
    """The events. Each has a sentence and an icon in `templates/account/kinds.html`."""

    SIGNED_IN = "signed_in"
    SIGN_IN_REFUSED = "sign_in_refused"
    ASKED_TO_CONFIRM = "asked_to_confirm"
    CONFIRMED = "confirmed"
    CONFIRMATION_REFUSED = "confirmation_refused"
    PASSKEY_ADDED = "passkey_added"
    PASSKEY_REFUSED = "passkey_refused"
    PASSKEY_RENAMED = "passkey_renamed"
    PASSKEY_REMOVED = "passkey_removed"
    COUNTER_WENT_BACK = "counter_went_back"
    SECOND_STEP = "second_step"
    RECOVERY_CODES_MADE = "recovery_codes_made"
    RECOVERY_CODE_USED = "recovery_code_used"
    PASSKEY_REQUIRED = "passkey_required"
    PASSKEY_NOT_REQUIRED = "passkey_not_required"
    SESSION_ENDED = "session_ended"
    EMAIL_CHANGED = "email_changed"
    PASSKEYS_RESET = "passkeys_reset"
    DISABLED = "disabled"
    ENABLED = "enabled"


REFUSED = [kind for kind in Kind if kind.endswith("_refused")]

# The detail of these is a name or an email address, so the log leaves it out.
PERSONAL = {
    Kind.PASSKEY_ADDED,
    Kind.PASSKEY_RENAMED,
    Kind.PASSKEY_REMOVED,
    Kind.COUNTER_WENT_BACK,
    Kind.EMAIL_CHANGED,
}


class Client(NamedTuple):
    """The other end of a request: browser and system, such as "Firefox on Windows", and the IP address."""

    browser: str
    address: str


OPERATOR = Client("the people who run this site", "")

RECORD = insert(Activity)
COUNT_TRANSCRIPTS = select(func.count()).where(
    Activity.user_id == bindparam("user"),
    Activity.kind.in_(bindparam("kinds", expanding=True)),
    func.length(Activity.transcript) > bindparam("longer_than"),
    Activity.at > bindparam("since"),
)
FORMER_ADDRESSES = (
    select(Activity.detail)
    .where(
        Activity.user_id == bindparam("user"),
        Activity.kind == Kind.EMAIL_CHANGED,
        Activity.at > bindparam("since"),
    )
    .group_by(Activity.detail)
    .order_by(func.min(Activity.id))
    .limit(MOST_FORMER_ADDRESSES)
)
# The oldest rows by their ids. `sweep_of` would need an index on `at`.
_oldest = (
    select(Activity.id, Activity.at)
    .order_by(Activity.id)
    .limit(ROWS_PER_SWEEP)
    # Two processes that sweep must not wait for each other (PostgreSQL; SQLite has one writer anyway).
    .with_for_update(skip_locked=True)
    .subquery()
)
SWEEP = delete(Activity).where(Activity.id.in_(select(_oldest.c.id).where(_oldest.c.at < bindparam("before"))))


def record(
    user_id: int,
    kind: Kind,
    client: Client,
    detail: str = "",
    transcript: str = "",
    began: datetime | None = None,
) -> None:
    """Record an event of the account. The caller commits.

    `detail` completes the event's sentence: a method, a reason, a name. `transcript` is that of a ceremony, or of a
    sign-in by mail. `began` is the time when the visitor began, if it is known.
    """
    at = now()
    kinds, longer_than = (REFUSED, 0) if kind in REFUSED else ([kind], LONG_TRANSCRIPT)
    if len(transcript) > longer_than and _count_transcripts(user_id, kinds, longer_than) >= TRANSCRIPTS_PER_HOUR:
        transcript = ""
    execute(
        RECORD,
        user_id=user_id,
        kind=kind.value,
        at=at,
        browser=client.browser,
        address=client.address,
        detail=detail[:300],
        milliseconds=max(0, round((at - began).total_seconds() * 1000)) if began else None,
        transcript=transcript,
    )
    if is_time_to_sweep():
        sweep()


def for_user(user_id: int, kind: Kind | None = None, before: int | None = None) -> Sequence[Activity]:
    """Return the user's newest events: up to PAGE_SIZE, and one more to show that there is another page.

    `kind` selects one kind of event, and `before` the events that are older than the one with this id.
    """
    newest = select(Activity).where(Activity.user_id == user_id, Activity.at > _oldest_kept())
    if kind:
        newest = newest.where(Activity.kind == kind)
    if before:
        newest = newest.where(Activity.id < before)
    return db.session.scalars(newest.order_by(Activity.id.desc()).limit(PAGE_SIZE + 1)).all()


def former_addresses(user_id: int) -> Sequence[str]:
    """Return the addresses that the user has changed from in the last FORMER_ADDRESS_DAYS, the oldest first.

    There are at most MOST_FORMER_ADDRESSES. The present address is among them if it was changed away and back.
    """
    since = now() - timedelta(days=FORMER_ADDRESS_DAYS)
    return execute(FORMER_ADDRESSES, user=user_id, since=since).scalars().all()


def sweep() -> int:
    """Delete some events that are older than ACTIVITY_DAYS. Return how many."""
    return execute(SWEEP, before=_oldest_kept()).rowcount


def _count_transcripts(user_id: int, kinds: Sequence[Kind], longer_than: int) -> int:
    since = now() - timedelta(hours=1)
    return execute(COUNT_TRANSCRIPTS, user=user_id, kinds=kinds, longer_than=longer_than, since=since).scalar_one()


def _oldest_kept() -> datetime:
    return now() - timedelta(days=current_app.config["ACTIVITY_DAYS"])
