"""Notices: mails that tell owners what happened to their account.

A notice is a row, written in the transaction of the event that it reports. So each committed event has its notice. A
thread of each serving process sends the rows and deletes them. So no crash and no slow mail server loses a notice, and
no visitor waits for one.
"""

import atexit
import json
import sys
import threading
from datetime import timedelta
from typing import Any

from flask import Flask
from sqlalchemy import ColumnElement, bindparam, delete, func, insert, or_, select, update
from sqlalchemy.sql.dml import ReturningUpdate

from app import activity, log, mailer
from app.activity import Client
from app.database import db, execute
from app.models import Notice, now
from app.single_use import CLOCK_SKEW

# A claimed notice belongs to its thread for this long. If that thread dies, another one sends it afterwards.
CLAIM_LIFETIME = timedelta(seconds=60)

# The pause before the next try doubles with each failure, from one minute up to this.
LONGEST_PAUSE_MINUTES = 60

# A notice that has failed for this long is given up.
GIVEN_UP_AFTER = timedelta(days=3)

# The account page says that mail is delayed if a notice has waited for this long.
DELAYED_AFTER = timedelta(minutes=5)

# The thread looks for notices at least this often, to find those of other processes and those to retry.
SECONDS_BETWEEN_LOOKS = 30

# These go to the present address only. All others also go to former addresses: see `add`.
ABOUT_SIGNING_IN = ("new_browser", "counter_went_back")

# A process that stops waits this long for the notice that is being sent.
SECONDS_TO_FINISH = 20

# If the next try is later than the longest pause from now, a wrong clock planned it.
_is_due = or_(Notice.next_try <= bindparam("now"), Notice.next_try > bindparam("latest"))


def _claim_where(*conditions: ColumnElement[bool]) -> ReturningUpdate[Notice]:
    """Return the statement that claims the next due notice. Threads that execute it at once get different notices.

    Accounts take turns in the order of their ids. It is the turn of the next one after `last`.
    """
    next_one = (
        select(Notice.id)
        .where(_is_due, *conditions)
        .order_by(Notice.user_id <= bindparam("last"), Notice.user_id, Notice.id)
        .limit(1)
        # Two threads must not wait for each other (PostgreSQL; SQLite has one writer anyway).
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    claim = update(Notice).where(Notice.id == next_one, _is_due)
    claim = claim.values(next_try=bindparam("until"), tries=Notice.tries + 1).returning(Notice)
    # The returned row brings a loaded notice up to date. Without `synchronize_session=False`, SQLAlchemy would also
    # evaluate the statement in Python for each loaded notice: 0.4 ms instead of 0.2 ms.
    return claim.execution_options(populate_existing=True, synchronize_session=False)


CLAIM = _claim_where()
CLAIM_FOR_USER = _claim_where(Notice.user_id == bindparam("user"))
ADD = insert(Notice)
RETRY = update(Notice).where(Notice.id == bindparam("notice")).values(next_try=bindparam("later"))
DELETE = delete(Notice).where(Notice.id == bindparam("notice"))
FIND_DELAYED = (
    select(Notice.id).where(Notice.user_id == bindparam("user"), Notice.created_at <= bindparam("before")).limit(1)
)

_has_news = threading.Event()
_is_stopping = threading.Event()


def add(user_id: int, email: str, kind: str, client: Client, detail: str = "") -> None:
    """Add a notice to the owner. The caller commits, and then calls `wake` or `send_due`.

    It goes to the account's address, `email`. Unless its kind is in ABOUT_SIGNING_IN, it also goes to former addresses,
    because a thief may have changed the address. `kind` chooses the sentences in `templates/mail/notices.html`.
    `client` caused the event, and `detail` names the changed thing, such as a passkey. The rows outlive the account.
    """
    _add(user_id, email, kind, client=client._asdict(), detail=detail)
    if kind not in ABOUT_SIGNING_IN:
        for former in activity.former_addresses(user_id):
            if former != email:
                # No details, not even in the row: others may read that mailbox. It may be why the owner left it.
                _add(user_id, former, kind, is_former=True)


def _add(user_id: int, recipient: str, kind: str, **context: Any) -> None:
    at = now()
    execute(
        ADD,
        user_id=user_id,
        recipient=recipient,
        kind=kind,
        context=json.dumps(context),
        message_id=mailer.new_message_id(),
        created_at=at,
        next_try=at,
        tries=0,
    )


def wake() -> None:
    """Have this process's thread look for notices now. Call it after a commit."""
    _has_news.set()


def start_thread(app: Flask) -> None:
    """Start the thread that sends notices for as long as this process runs. Call it after forking."""
    thread = threading.Thread(target=_send_until_stopped, args=[app], name="notices", daemon=True)
    thread.start()
    atexit.register(_stop, thread)


def _stop(thread: threading.Thread) -> None:
    """Let the thread finish the notice that it is sending, so that a restart sends none twice."""
    _is_stopping.set()
    _has_news.set()
    thread.join(SECONDS_TO_FINISH)


def _send_until_stopped(app: Flask) -> None:
    while not _is_stopping.is_set():
        try:
            with app.app_context():
                send_due()
        except Exception:  # the database may be down: try again later
            log.failure("notices", sys.exc_info())
        _has_news.wait(SECONDS_BETWEEN_LOOKS)
        # Clear this before looking, so that a notice added meanwhile causes another look.
        _has_news.clear()


def send_due(user_id: int | None = None) -> list[mailer.Unsent]:
    """Send all notices that are due, or those of one user. Return the errors of those that could not be sent.

    This commits, so that no transaction is open while a mail is sent.
    """
    failures: list[mailer.Unsent] = []
    last = 0
    while not _is_stopping.is_set():
        # First wait for the mail server, because a claim is valid for a limited time.
        with mailer.connection_slot():
            notice = _claim(last, user_id)
            if not notice:
                break
            last = notice.user_id
            if failure := _send(notice):
                failures.append(failure)
    return failures


def _claim(last: int, user_id: int | None) -> Notice | None:
    """Claim the next due notice for CLAIM_LIFETIME and return it, or None if none is due."""
    at = now()
    latest = at + timedelta(minutes=LONGEST_PAUSE_MINUTES) + CLOCK_SKEW
    values: dict[str, Any] = {"last": last, "now": at, "until": at + CLAIM_LIFETIME, "latest": latest}
    if user_id is None:
        notice = db.session.scalars(CLAIM, values).first()
    else:
        notice = db.session.scalars(CLAIM_FOR_USER, values | {"user": user_id}).first()
    db.session.commit()
    return notice


def _send(notice: Notice) -> mailer.Unsent | None:
    """Send a claimed notice and delete it, or plan the next try. Return the error if it could not be sent."""
    failure = None
    try:
        values = {"kind": notice.kind, "time": notice.created_at, **json.loads(notice.context)}
        mailer.deliver(mailer.compose("notice", notice.recipient, notice.message_id, **values))
    except mailer.Unsent as unsent:
        failure = unsent
    except Exception as error:  # a broken row must not delay other accounts' notices
        log.failure("notices", sys.exc_info())
        failure = mailer.Unsent("broken_notice", type(error).__name__)
    # Retry for every reason. Some servers answer with a permanent error (5xx) while a quota is used up.
    if failure and now() < notice.created_at + GIVEN_UP_AFTER:
        _log("notice_not_sent", notice, failure)
        pause = min(2 ** (notice.tries - 1), LONGEST_PAUSE_MINUTES)
        execute(RETRY, notice=notice.id, later=now() + timedelta(minutes=pause))
    else:
        if failure:
            _log("notice_given_up", notice, failure)
        execute(DELETE, notice=notice.id)
    db.session.commit()
    return failure


def _log(event: str, notice: Notice, failure: mailer.Unsent) -> None:
    log.event(
        event,
        user=notice.user_id,
        kind=notice.kind,
        tries=notice.tries,
        reason=failure.reason,
        detail=failure.detail,
    )


def are_delayed(user_id: int) -> bool:
    """Return True if a notice to this user has waited for DELAYED_AFTER."""
    return execute(FIND_DELAYED, user=user_id, before=now() - DELAYED_AFTER).first() is not None


def count_delayed() -> int:
    """Return how many notices have waited for DELAYED_AFTER."""
    return execute(select(func.count()).where(Notice.created_at <= now() - DELAYED_AFTER)).scalar_one()
