"""For whom mail and attempts are counted: see limits.py."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from app import limits, mailer
from app.database import db
from app.limits import TooMany
from app.views.shared import known_accounts
from app.views.shared.browser import this_browser, this_client


@contextmanager
def mail_allowance(email: str) -> Iterator[None]:
    """Count the mail that is sent within; nobody else's writing waits for the mail server. Raises TooMany, and what it
    is sent with raises Unsent: then it has not been counted, unless the server refuses it for good."""
    counted = _take_mail(email, limits.client(this_client().address), known_accounts.has_address(email))
    limits.watch("alarm")
    db.session.commit()
    try:
        yield
    except mailer.Unsent as refusal:
        # For good, it counts: or nothing would keep a client from trying addresses out on the mail server.
        if not refusal.is_for_good:
            limits.give_back(**counted)
            db.session.commit()
        raise


def _take_mail(email: str, address: str, is_known: bool) -> dict[str, tuple[str, ...]]:
    """Count one mail, and return what was counted: what a browser that has signed in has for itself, or what everybody
    has, once that is used up (its cookie may be in other hands, too)."""
    # By the very address, which was proven there: nobody else whose address is only like it has a part in this.
    own: dict[str, tuple[str, ...]] = {
        "mails": (email, this_browser()),
        "mails_to_address": (email, "known browsers"),
    }
    if is_known:
        with suppress(TooMany):
            limits.take(**own)
            return own
    inbox = limits.inbox(email)
    everybodys = {"mails": (inbox, address), "mails_to_address": (inbox,), "mails_of_client": (address,)}
    limits.take(**everybodys)
    return everybodys


def who(user_id: int) -> tuple[str, str]:
    """Whose attempts at an account are counted together: one client's, so that no stranger locks its owner out."""
    return str(user_id), limits.client(this_client().address)
