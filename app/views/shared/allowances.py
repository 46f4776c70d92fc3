"""Counts this request's mails, proofs and passkey answers against the limits of its account, browser and IP address.

The numbers are in config.py, and limits.py enforces them.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from app import limits, mailer
from app.database import db
from app.limits import TooMany
from app.views.shared import known_accounts
from app.views.shared.browser import browser_id, this_client


@contextmanager
def mail_allowance(email: str) -> Iterator[None]:
    """Count the mail to this address that the block sends. This commits before the block, so no lock is held while the
    mail server is slow.

    Raises TooMany. If the block raises Unsent, the mail isn't counted, unless the server refused it permanently.
    """
    counted = _count_mail(email)
    limits.count_for_alarm("alarm")
    db.session.commit()
    try:
        yield
    except mailer.Unsent as refusal:
        # Permanent refusals count. Otherwise a client could try addresses on the mail server without limit.
        if not refusal.is_permanent:
            limits.give_back(**counted)
            db.session.commit()
        raise


def count_passkey_answer() -> None:
    """Count an answer to a passkey's ceremony. Raises TooMany."""
    limits.take(passkey_answers=(_this_client(),))


def count_proof(user_id: int) -> None:
    """Count a proof of identity for this account, or a change to the account. Raises TooMany.

    The count is per client, so that a stranger can't lock the owner out.
    """
    limits.take(proofs=(str(user_id), _this_client()))


def give_back_proof(user_id: int) -> None:
    """Undo `count_proof`, because nothing was changed."""
    limits.give_back(proofs=(str(user_id), _this_client()))


def _this_client() -> str:
    return limits.client_network(this_client().address)


def _count_mail(email: str) -> dict[str, tuple[str, ...]]:
    """Count a mail, and return what was counted. A browser that has signed in to the account has a count of its own.

    When that is used up, use the limits for all browsers. A thief may have used it up with a copied cookie.
    """
    if known_accounts.has_address(email):
        # Count for the exact address, because the browser has proven only that one, not the whole inbox.
        own: dict[str, tuple[str, ...]] = {
            "mails": (email, browser_id()),
            "mails_to_address": (email, "known browsers"),
        }
        with suppress(TooMany):
            limits.take(**own)
            return own
    inbox, client = limits.inbox(email), _this_client()
    for_everybody = {"mails": (inbox, client), "mails_to_address": (inbox,), "mails_of_client": (client,)}
    limits.take(**for_everybody)
    return for_everybody
