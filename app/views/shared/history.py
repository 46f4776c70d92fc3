"""The account's history: activity for its owner to read, and mails that tell the owner at once."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from flask_login import current_user
from sqlalchemy import Row

from app import activity, limits, log, notices
from app.activity import Kind
from app.ceremonies.attempts import Attempt, CeremonyError
from app.limits import TooMany
from app.refusals import Refusal
from app.views.shared.answers import flash_done
from app.views.shared.browser import this_client
from app.views.shared.transaction import after_commit

# Per account and hour. With more, somebody who can sign in could flood the owner's inbox.
NEW_BROWSER_NOTICES = 10


def record_activity(
    user_id: int, kind: Kind, detail: str = "", transcript: str = "", began: datetime | None = None
) -> None:
    """Record that this happened to the account, done by this request's client. Log it after the commit."""
    activity.record(user_id, kind, this_client(), detail, transcript, began)
    # Names and addresses are deleted with the account. So the log has methods and reasons only.
    logged = {} if kind in activity.PERSONAL else {"detail": detail}
    after_commit(log.event, kind.value, user=user_id, **logged)


def record_refusal(refusal: Refusal, kind: Kind, user_id: int | None = None) -> None:
    """Record a refused proof if its account is known. A refusal by a limit is logged only."""
    attempt = refusal.attempt if isinstance(refusal, CeremonyError) else Attempt()
    user_id = user_id or attempt.user_id
    if user_id and not isinstance(refusal, TooMany):
        record_activity(user_id, kind, refusal.reason, attempt.transcript(refusal.reason))


def record_ended_sessions(browsers: Iterable[str]) -> None:
    """Record that the visitor's sessions in these browsers have ended."""
    for browser in browsers:
        record_activity(current_user.id, Kind.SESSION_ENDED, browser)


def notify_owner(user_id: int, email: str, kind: str, detail: str = "") -> None:
    """Mail the owner about an event of this transaction, after its commit."""
    notices.add(user_id, email, kind, this_client(), detail)
    after_commit(notices.wake)


def notify_of_new_browser(user: Row[Any]) -> None:
    """Notify the owner of a sign-in from a browser that is new to the account."""
    if limits.times("new_browsers", str(user.user_id), window=timedelta(hours=1)) <= NEW_BROWSER_NOTICES:
        notify_owner(user.user_id, user.email, "new_browser")


def record_counter_went_back(user_id: int, email: str, passkey: str) -> None:
    """Record that there may be a copy of this passkey. Notify the owner at most once an hour, because each sign-in with
    the copy may set the counter back again."""
    if limits.times("counters_went_back", str(user_id), window=timedelta(hours=1)) == 1:
        notify_owner(user_id, email, "counter_went_back", detail=passkey)
    record_activity(user_id, Kind.COUNTER_WENT_BACK, passkey)


def record_recovery_code_used(user_id: int, email: str, left: int) -> None:
    """Record that a recovery code was used, notify the owner, and say on the next page how many are left."""
    record_activity(user_id, Kind.RECOVERY_CODE_USED, str(left))
    notify_owner(user_id, email, "recovery_code_used", detail=str(left))
    flash_done("recovery_code_used", left=left)
