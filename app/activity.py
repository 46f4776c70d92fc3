"""What happened to an account, for its owner to read: one row for each thing.

Rows are written only where an account is known and something was submitted. Looking at pages writes nothing. Failed
attempts that give only an email address are logged, not stored.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from flask import current_app
from sqlalchemy import Row, bindparam, delete, func, insert, select

from app.database import is_time_to_sweep, run
from app.models import Activity, now

PAGE = 50

# So many transcripts are kept of what is refused in a while: a stranger with somebody's passkey ids could fill the
# disk. And of each kind that isn't, where they are longer than an authenticator's: so could a member.
TRANSCRIPTS = 20
WITHIN = timedelta(hours=1)
USUAL_TRANSCRIPT = 4096

# Notices about ways in go to each address that the account had in this time. So ACTIVITY_DAYS is no less (config.py).
FORMER_ADDRESS_DAYS = 7

# The oldest addresses of that time: a thief who changes the address often neither pushes out the owner's nor has each
# notice sent a hundred times.
MOST_FORMER_ADDRESSES = 5


class Kind(StrEnum):
    """What can happen. Each has a sentence and an icon in `templates/account/kinds.html`."""

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

# What has a name or an address in its detail.
PERSONAL = {
    Kind.PASSKEY_ADDED,
    Kind.PASSKEY_RENAMED,
    Kind.PASSKEY_REMOVED,
    Kind.COUNTER_WENT_BACK,
    Kind.EMAIL_CHANGED,
}


class Client(NamedTuple):
    """Who is at the other end: browser and system in words, and the network address."""

    browser: str
    address: str


OPERATOR = Client("the people who run this site", "")


_activities: Any = Activity.__table__
RECORD = insert(_activities)
TRANSCRIPTS_LATELY = select(func.count()).where(
    _activities.c.user_id == bindparam("user"),
    _activities.c.kind.in_(bindparam("kinds", expanding=True)),
    func.length(_activities.c.transcript) > bindparam("longer"),
    _activities.c.at > bindparam("since"),
)
FORMER_ADDRESSES = (
    select(_activities.c.detail)
    .where(
        _activities.c.user_id == bindparam("user"),
        _activities.c.kind == Kind.EMAIL_CHANGED,
        _activities.c.at > bindparam("since"),
    )
    .group_by(_activities.c.detail)
    .order_by(func.min(_activities.c.id))
    .limit(MOST_FORMER_ADDRESSES)
)
# By their numbers, and not as `deletion_of_some` does it: that would take an index on `at`.
_oldest = (
    select(_activities.c.id, _activities.c.at)
    .order_by(_activities.c.id)
    .limit(160)
    # Two sweepers must not wait for each other (PostgreSQL; SQLite has one writer anyway).
    .with_for_update(skip_locked=True)
    .subquery()
)
SWEEP = delete(_activities).where(_activities.c.id.in_(select(_oldest.c.id).where(_oldest.c.at < bindparam("before"))))


def record(
    user_id: int,
    kind: Kind,
    client: Client,
    detail: str = "",
    transcript: str = "",
    began: datetime | None = None,
) -> None:
    """Write down that this happened, in the caller's transaction.

    `detail` is what the sentence is about: a method, a reason, a name. `transcript` is a ceremony's. `began` is when
    somebody set about it, where it's known.
    """
    at = now()
    kinds, longer = (REFUSED, 0) if kind in REFUSED else ([kind], USUAL_TRANSCRIPT)
    if len(transcript) > longer and _count_transcripts(user_id, kinds, longer) >= TRANSCRIPTS:
        transcript = ""
    took = max(0, round((at - began).total_seconds() * 1000)) if began else None
    values = {"user_id": user_id, "kind": kind.value, "at": at, "detail": detail[:300], "transcript": transcript}
    run(RECORD, milliseconds=took, **values, **client._asdict())
    if is_time_to_sweep():
        sweep()


def of(user_id: int, kind: Kind | None = None, before: int | None = None) -> Sequence[Row[Any]]:
    """Return the newest rows of a user's, at most PAGE and one more (so that the caller sees whether there are), of
    one kind only, and older than the one of the number `before`."""
    rows = select(_activities).where(_activities.c.user_id == user_id, _activities.c.at > _oldest_kept())
    if kind:
        rows = rows.where(_activities.c.kind == kind)
    if before:
        rows = rows.where(_activities.c.id < before)
    return run(rows.order_by(_activities.c.id.desc()).limit(PAGE + 1)).all()


def former_addresses(user_id: int) -> Sequence[str]:
    """Return the addresses that the user has changed from in the last FORMER_ADDRESS_DAYS, the oldest first, at most
    MOST_FORMER_ADDRESSES. The current one is among them if it was changed away and back."""
    return run(FORMER_ADDRESSES, user=user_id, since=now() - timedelta(days=FORMER_ADDRESS_DAYS)).scalars().all()


def sweep() -> int:
    """Forget some of what is older than ACTIVITY_DAYS, because new rows pay for old ones; return how many."""
    return run(SWEEP, before=_oldest_kept()).rowcount


def _count_transcripts(user_id: int, kinds: Sequence[Kind], longer: int) -> int:
    """Return how many rows of these kinds the user has from the last hour, with transcripts longer than so much."""
    return run(TRANSCRIPTS_LATELY, user=user_id, kinds=kinds, longer=longer, since=now() - WITHIN).scalar_one()


def _oldest_kept() -> datetime:
    return now() - timedelta(days=current_app.config["ACTIVITY_DAYS"])
