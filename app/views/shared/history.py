"""The account's history: activity for its owner to read, and mails that tell the owner at once."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from flask_login import current_user

from app import activity, limits, log, notices
from app.activity import Kind
from app.ceremonies.attempts import CeremonyError
from app.limits import TooMany
from app.models import Passkey, User
from app.refusals import Refusal
from app.user_agents import passkey_name
from app.views.shared.answers import flash_done
from app.views.shared.browser import this_client
from app.views.shared.transaction import after_commit

# Per account and hour. With more, somebody who can sign in could flood the owner's inbox.
NEW_BROWSER_NOTICES = 10


def record_activity(
    user_id: int, kind: Kind, detail: str = "", transcript: str = "", began: datetime | None = None
) -> None:
    """Record this event of the account, with this request's client. Log it after the commit."""
    activity.record(user_id, kind, this_client(), detail, transcript, began)
    # Names and addresses are deleted with the account. The log outlives it, so leave them out.
    logged = {} if kind in activity.PERSONAL else {"detail": detail}
    after_commit(log.event, kind.value, user=user_id, **logged)


def record_refusal(refusal: Refusal, kind: Kind, user_id: int | None = None) -> None:
    """Record a refused proof if its account is known. A refusal by a limit is logged only."""
    attempt = refusal.attempt if isinstance(refusal, CeremonyError) else None
    if attempt:
        user_id = user_id or attempt.user_id
    if user_id and not isinstance(refusal, TooMany):
        record_activity(user_id, kind, refusal.reason, attempt.transcript(refusal.reason) if attempt else "")


def record_ended_sessions(browsers: Iterable[str]) -> None:
    """Record that the visitor's sessions in these browsers have ended."""
    for browser in browsers:
        record_activity(current_user.user_id, Kind.SESSION_ENDED, browser)


def notify_owner(user: User, kind: str, detail: str = "", email: str = "") -> None:
    """Mail the owner about an event of this transaction, after its commit. The mail goes to `email` if that is given,
    otherwise to the user's address, and to former addresses: see `notices.add`."""
    notices.add(user.id, email or user.email, kind, this_client(), detail)
    after_commit(notices.wake)


def notify_of_new_browser(user: User) -> None:
    """Notify the owner of a sign-in from a browser that is new to the account."""
    if limits.count("new_browsers", str(user.id), window=timedelta(hours=1)) <= NEW_BROWSER_NOTICES:
        notify_owner(user, "new_browser")


def record_counter_went_back(user: User, passkey: Passkey) -> None:
    """Record that there may be a copy of this passkey. Notify the owner at most once an hour, because each sign-in with
    the copy may set the counter back again."""
    name = passkey_name(passkey.name, passkey.aaguid)
    if limits.count("counters_went_back", str(user.id), window=timedelta(hours=1)) == 1:
        notify_owner(user, "counter_went_back", detail=name)
    record_activity(user.id, Kind.COUNTER_WENT_BACK, name)


def record_recovery_code_used(user: User, left: int) -> None:
    """Record that a recovery code was used, notify the owner, and say on the next page how many are left."""
    record_activity(user.id, Kind.RECOVERY_CODE_USED, str(left))
    notify_owner(user, "recovery_code_used", detail=str(left))
    flash_done("recovery_code_used", left=left)
