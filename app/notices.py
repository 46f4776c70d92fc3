"""Notices: mails that tell owners what happened to their account.

A notice is a row. It is written in the transaction of the event that it reports, so there is a notice for each event
that is committed, and for no other. A thread of each serving process sends the rows and deletes them. So neither a
crash nor a mail server that is slow or down loses a notice, and no visitor waits for one.
"""

import atexit
import json
import sys
import threading
from datetime import timedelta
from typing import Any

from flask import Flask
from sqlalchemy import ColumnElement, Update, bindparam, delete, func, insert, or_, select, update

from app import activity, log, mailer
from app.activity import Client
from app.database import db, run
from app.models import Notice, now
from app.single_use import CLOCK_SKEW

# A claimed notice is nobody else's for so long. After a crash, another thread sends it then.
CLAIM_LIFETIME = timedelta(seconds=60)

# The pause before the next try doubles with each failure, from one minute up to this.
LONGEST_PAUSE_MINUTES = 60

# A notice that has failed for so long is given up.
GIVEN_UP_AFTER = timedelta(days=3)

# The account page says that mail is delayed when a notice has waited for so long.
DELAY = timedelta(minutes=5)

# The thread looks for notices at least this often: for those of other processes, and for those to try again.
SECONDS_BETWEEN_LOOKS = 30

# These go to the current address only. All others are about ways in, or about the account as a whole.
ABOUT_SIGNING_IN = ("new_browser", "counter_went_back")
# A process that stops waits so long for the notice that is being sent.
SECONDS_TO_FINISH = 20

_notices: Any = Notice.__table__
# A try that is later than any pause was written by a clock that was ahead.
_is_due = or_(_notices.c.next_try <= bindparam("now"), _notices.c.next_try > bindparam("latest"))


def _claiming(*whose: ColumnElement[bool]) -> Update:
    """Return the statement that claims the next notice. Threads that run it at the same time get different notices.

    Accounts take turns: after the account `last`, the next one that has notices comes first, then `last` again.
    """
    next_one = (
        select(_notices.c.id)
        .where(_is_due, *whose)
        .order_by(_notices.c.user_id <= bindparam("last"), _notices.c.user_id, _notices.c.id)
        .limit(1)
        # Two threads must not wait for each other (PostgreSQL; SQLite has one writer anyway).
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    claim = update(_notices).where(_notices.c.id == next_one, _is_due)
    return claim.values(next_try=bindparam("until"), tries=_notices.c.tries + 1).returning(_notices)


CLAIM = _claiming()
CLAIM_FOR_USER = _claiming(_notices.c.user_id == bindparam("user"))
ADD = insert(_notices)
RETRY = update(_notices).where(_notices.c.id == bindparam("notice")).values(next_try=bindparam("later"))
DELETE = delete(_notices).where(_notices.c.id == bindparam("notice"))
DELAYED = (
    select(_notices.c.id)
    .where(_notices.c.user_id == bindparam("user"), _notices.c.created_at <= bindparam("before"))
    .limit(1)
)

_has_news = threading.Event()
_is_stopping = threading.Event()


def add(user_id: int, email: str, kind: str, client: Client, detail: str = "") -> None:
    """Write a notice to the owner in the caller's transaction. Call `wake` or `send_due` after the commit.

    It goes to the account's address, `email`, and about a way in also to each address that the account had lately: a
    thief may have changed the address. `kind` chooses the sentences in `templates/mail/notices.html`, `client` is who
    did it, and `detail` names what it was done to. The rows don't belong to the account: they outlive it.
    """
    _add(user_id, email, kind, client=client._asdict(), detail=detail)
    if kind not in ABOUT_SIGNING_IN:
        for former in activity.former_addresses(user_id):
            if former != email:
                # No details, not even in the row: the owner may have changed the address because others read that mail.
                _add(user_id, former, kind, is_former=True)


def _add(user_id: int, recipient: str, kind: str, **context: Any) -> None:
    at = now()
    run(
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
    """Tell this process's thread that a notice was committed."""
    _has_news.set()


def start_thread(app: Flask) -> None:
    """Send this site's notices from a thread of this process, for as long as it runs. Call it after forking."""
    thread = threading.Thread(target=_send_until_stopped, args=[app], name="notices", daemon=True)
    thread.start()
    atexit.register(_stop, thread)


def _stop(thread: threading.Thread) -> None:
    """Let the thread finish the notice in hand, so that a restart sends none twice."""
    _is_stopping.set()
    _has_news.set()
    thread.join(SECONDS_TO_FINISH)


def _send_until_stopped(app: Flask) -> None:
    while not _is_stopping.is_set():
        try:
            with app.app_context():
                send_due()
        except Exception:  # The database may be away: the thread outlives that, and tries again.
            log.failure("notices", sys.exc_info())
        _has_news.wait(SECONDS_BETWEEN_LOOKS)
        # Now, and not after looking: news that come meanwhile are for the next look.
        _has_news.clear()


def send_due(user_id: int | None = None) -> list[mailer.Unsent]:
    """Send all notices that are due, or all of one user's, and return why some could not be sent.

    Commits: no transaction is open while a mail is sent.
    """
    failures: list[mailer.Unsent] = []
    last = 0
    while not _is_stopping.is_set():
        # The place comes first, because a claim doesn't wait.
        with mailer.place():
            notice = _claim(last, user_id)
            if not notice:
                break
            last = notice.user_id
            if failure := _send(notice):
                failures.append(failure)
    return failures


def _claim(last: int, user_id: int | None) -> Any:
    """Return the next notice, having made it ours for a minute; None if none is due."""
    at = now()
    latest = at + timedelta(minutes=LONGEST_PAUSE_MINUTES) + CLOCK_SKEW
    times = {"now": at, "until": at + CLAIM_LIFETIME, "latest": latest}
    if user_id is None:
        claimed = run(CLAIM, last=last, **times).first()
    else:
        claimed = run(CLAIM_FOR_USER, last=last, user=user_id, **times).first()
    db.session.commit()
    return claimed


def _send(notice: Any) -> mailer.Unsent | None:
    """Send a claimed notice and delete it, or leave it for later; return why it could not be sent."""
    failure = None
    try:
        values = {"kind": notice.kind, "time": notice.created_at, **json.loads(notice.context)}
        mailer.hand_over(mailer.compose("notice", notice.recipient, notice.message_id, **values))
    except mailer.Unsent as unsent:
        failure = unsent
    except Exception as error:  # A broken row must not keep other accounts' notices waiting.
        log.failure("notices", sys.exc_info())
        failure = mailer.Unsent("broken_notice", type(error).__name__)
    # Retry whatever the reason is. Some servers refuse for good (5xx) while a quota is used up.
    if failure and now() < notice.created_at + GIVEN_UP_AFTER:
        _log("notice_not_sent", notice, failure)
        pause = min(2 ** (notice.tries - 1), LONGEST_PAUSE_MINUTES)
        run(RETRY, notice=notice.id, later=now() + timedelta(minutes=pause))
    else:
        if failure:
            _log("notice_given_up", notice, failure)
        run(DELETE, notice=notice.id)
    db.session.commit()
    return failure


def _log(event: str, notice: Any, failure: mailer.Unsent) -> None:
    log.event(
        event,
        user=notice.user_id,
        kind=notice.kind,
        tries=notice.tries,
        reason=failure.reason,
        detail=failure.detail,
    )


def are_delayed(user_id: int) -> bool:
    """Return whether a notice of this user has waited for DELAY."""
    return run(DELAYED, user=user_id, before=now() - DELAY).first() is not None


def count_delayed() -> int:
    """Return how many notices have waited for DELAY."""
    return run(select(func.count()).where(Notice.created_at <= now() - DELAY)).scalar_one()
