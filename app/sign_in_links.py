"""The sign-in mail: one request, one link, one code, one browser.

A request lives in the cookie of the browser that asked. The link carries the request's id and a digest of the browser's
id. It never carries the address, because links stay in histories. The code is derived from the request's id with the
secret key. Using either of them spends the id, and so ends both. Both expire together, however often they are sent.
"""

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from flask import current_app

from app import accounts, codes, single_use
from app.models import User, milliseconds, now
from app.refusals import Refusal
from app.single_use import CLOCK_SKEW, Token

LINK_LIFETIME = timedelta(minutes=10)
LINK = single_use.Purpose("sign-in-link", LINK_LIFETIME)

# "Send it again" sends the same link and code if they work for at least this long. So the earlier mail works too.
REUSE_IF_VALID_FOR = timedelta(minutes=5)
SEND_AGAIN_AFTER = timedelta(seconds=30)

# A browser keeps an expired request for this long after its last mail, so that it can be sent again.
ABANDONED_AFTER = timedelta(hours=1)


@dataclass(frozen=True)
class PendingSignIn:
    """A browser's request for a sign-in mail to one address. Its times are in seconds since 1970."""

    id: str
    email: str
    next: str
    asked_at: int
    """The time of the first mail."""
    sent_at: int
    """The time of the last mail."""

    @property
    def send_again_in(self) -> int:
        """Seconds until the mail may be sent again, or 0."""
        if not current_app.config["LIMITS_ENABLED"]:
            return 0
        # If a clock was set back, nobody waits longer because of it.
        waited = max(0, int(now().timestamp()) - self.sent_at)
        return max(0, int(SEND_AGAIN_AFTER.total_seconds()) - waited)

    @property
    def mailed_at(self) -> datetime:
        """The time of the last mail."""
        return datetime.fromtimestamp(self.sent_at, UTC)

    @property
    def expires_at(self) -> datetime:
        """The time when link and code expire, however often they have been sent."""
        return datetime.fromtimestamp(self.asked_at, UTC) + LINK_LIFETIME

    @property
    def minutes_left(self) -> int:
        """How many minutes link and code still work, rounded."""
        return max(0, round((self.expires_at - now()) / timedelta(minutes=1)))

    @property
    def is_abandoned(self) -> bool:
        """True if the browser can forget the request: it is old, or a clock that was ahead has made it."""
        return not now() - ABANDONED_AFTER < self.mailed_at <= now() + CLOCK_SKEW


@dataclass(frozen=True)
class ProvenEmail:
    """The result of a link or code: the user to sign in, the request, and True if the account is new."""

    user: User
    pending: PendingSignIn
    is_new: bool
    link: Token | None
    """The link, or None if the code was typed."""

    @property
    def transcript(self) -> str:
        """The sign-in as JSON text, without its link and code. Times are in milliseconds since 1970."""
        pending = self.pending
        parts = {
            "ceremony": "mail",
            "id": pending.id,
            "email": pending.email,
            "asked_at": pending.asked_at * 1000,
            "sent_at": pending.sent_at * 1000,
            "expires_at": milliseconds(pending.expires_at),
            "used_at": milliseconds(now()),
            "claims": self.link.claims if self.link else None,
            "is_new": self.is_new,
        }
        return json.dumps(parts)


def ask(email: str, next: str, earlier: PendingSignIn | None) -> PendingSignIn:
    """Return the request to send a mail for. It is the browser's earlier one if that is for the same address and works
    for long enough, otherwise a new one."""
    at = int(now().timestamp())
    if earlier and earlier.email == email:
        works_long_enough = earlier.expires_at.timestamp() - at >= REUSE_IF_VALID_FOR.total_seconds()
        # If the response to its confirmation got lost, the browser still has a request that was used.
        if works_long_enough and not single_use.is_spent(earlier.id):
            return replace(earlier, next=next or earlier.next, sent_at=at)
    return PendingSignIn(single_use.new_id(), email, next, asked_at=at, sent_at=at)


def link_token(pending: PendingSignIn, browser_id: str, asked_with: str) -> str:
    """Return the token of the mailed link. `browser_id` is that of the browser that asked, and `asked_with` is its name
    and system, such as "Firefox on Windows"."""
    expires_at = str(int(pending.expires_at.timestamp()))
    return single_use.issue(LINK, pending.id, browser=_digest(browser_id), asked_with=asked_with, expires_at=expires_at)


def open_link(token: str) -> Token:
    """Return the contents of a mailed link. This changes nothing.

    Raises Refusal as `single_use.read` does, and `already_used`.
    """
    link = single_use.read(LINK, token)
    if single_use.is_spent(link.id):
        raise Refusal("already_used", LINK.name)
    return link


def check_browser(link: Token, pending: PendingSignIn | None, browser_id: str) -> PendingSignIn:
    """Return the request of an opened link if it is this browser's pending one. `browser_id` is this browser's.

    Raises Refusal `newer_mail` if this browser asked for the link, but has asked again or signed in since. Raises
    `other_browser` otherwise: a stranger's link must not sign you in to the stranger's account, and a mail scanner must
    not use up your link.
    """
    if pending and pending.id == link.id:
        return pending
    raise Refusal("newer_mail" if link.claims.get("browser") == _digest(browser_id) else "other_browser")


def redeem_link(link: Token, pending: PendingSignIn | None, browser_id: str) -> ProvenEmail:
    """Spend an opened link.

    Raises Refusal as `check_browser` does, which spends nothing, or `already_used`, `not_invited`, `account_disabled`.
    """
    return _redeem(check_browser(link, pending, browser_id), link)


def redeem_code(typed: str, pending: PendingSignIn | None) -> ProvenEmail:
    """Spend the browser's pending request by its code.

    Raises Refusal `no_request`, `expired`, as `codes.check` does, or `already_used`, `not_invited`, `account_disabled`.
    """
    if not pending:
        raise Refusal("no_request")
    if pending.expires_at <= now():
        raise Refusal("expired")
    codes.check(LINK, _token_of(pending), typed)
    return _redeem(pending)


def _redeem(pending: PendingSignIn, link: Token | None = None) -> ProvenEmail:
    """Spend the request, which proves its address. Find or create the account of that address."""
    single_use.spend(_token_of(pending))
    user, is_new = accounts.find_or_create(pending.email)
    if user.is_disabled:
        raise Refusal("account_disabled")
    return ProvenEmail(user, pending, is_new, link)


def _token_of(pending: PendingSignIn) -> Token:
    """Return the token that link and code share: using either of them spends it."""
    return Token(pending.id, {}, datetime.fromtimestamp(pending.asked_at, UTC), pending.expires_at)


def _digest(browser_id: str) -> str:
    """Return the beginning of a hash of the browser's id. The id is random, so this is enough to recognize it."""
    return sha256(browser_id.encode()).hexdigest()[:16]
