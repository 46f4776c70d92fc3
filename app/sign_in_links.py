"""The sign-in mail: one request, one link, one code, one browser.

A request lives in the browser that asked (its signed cookie). The link carries the request's id and who asked, never
the address, because links end up in histories. The code is derived from the id with the secret key. Using either ends
both: what is spent is the request's id. Both expire together, however often they are sent.
"""

import secrets
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from flask import current_app
from sqlalchemy import Row

from app import accounts, codes, invitations, single_use
from app.database import insert_if_absent
from app.models import User, now
from app.refusals import Refusal
from app.single_use import CLOCK_SKEW

LINK_LIFETIME = timedelta(minutes=10)
LINK = single_use.Purpose("sign-in-link", LINK_LIFETIME)

# Sending again repeats the request, so that the code of the mail in flight stays good; but only while there is at least
# so much time left to use it.
REPEATABLE_WHILE = timedelta(minutes=5)
SEND_AGAIN_AFTER = timedelta(seconds=30)

# A browser keeps a request for so long after its last mail, so that an expired one can be asked for again.
FORGOTTEN_AFTER = timedelta(hours=1)


@dataclass(frozen=True)
class PendingSignIn:
    """A browser's request for a sign-in link to one address. The times of its first mail and of its last are in
    seconds since 1970."""

    id: str
    email: str
    next: str
    asked_at: int
    sent_at: int

    @property
    def send_again_in(self) -> int:
        """Seconds until the mail may be sent again; 0 when it may be."""
        if not current_app.config["LIMITS_ENABLED"]:
            return 0
        waited = int(now().timestamp()) - self.sent_at
        # A clock that was set back must not make anybody wait for longer.
        return max(0, int(SEND_AGAIN_AFTER.total_seconds()) - max(0, waited))

    @property
    def mailed_at(self) -> datetime:
        """When the last mail was sent."""
        return datetime.fromtimestamp(self.sent_at, UTC)

    @property
    def expires_at(self) -> datetime:
        """When link and code expire, however often they have been sent."""
        return datetime.fromtimestamp(self.asked_at, UTC) + LINK_LIFETIME

    @property
    def minutes_left(self) -> int:
        """For how many minutes link and code still work, rounded."""
        return max(0, round((self.expires_at - now()) / timedelta(minutes=1)))

    @property
    def is_abandoned(self) -> bool:
        """Whether the browser has no more use for it: finished or abandoned, or made by a clock that was ahead."""
        return not now() - FORGOTTEN_AFTER < self.mailed_at <= now() + CLOCK_SKEW


def ask(email: str, next: str, earlier: PendingSignIn | None) -> PendingSignIn:
    """Return the request to send a mail for: the earlier one again where it is for the same address and lives for long
    enough, else a new one."""
    at = int(now().timestamp())
    if earlier and earlier.email == email:
        lives_for_long = earlier.expires_at.timestamp() - at >= REPEATABLE_WHILE.total_seconds()
        # The answer to a confirmation may have got lost: then the browser still holds a request that is used up.
        if lives_for_long and not single_use.is_spent(earlier.id):
            return replace(earlier, next=next or earlier.next, sent_at=at)
    return PendingSignIn(single_use.new_id(), email, next, asked_at=at, sent_at=at)


def link_token(request: PendingSignIn, browser: str, asked_with: str) -> str:
    """Return the token of the mailed link. `browser` is the id of the browser that asked, and `asked_with` what it is,
    in words."""
    expires_at = str(int(request.expires_at.timestamp()))
    return single_use.issue(LINK, request.id, browser=_digest(browser), asked_with=asked_with, expires_at=expires_at)


def code_for(request_id: str) -> str:
    """Return the request's code: the other way to use it, on the page where it was asked for."""
    return codes.code_for(LINK, request_id)


def open_link(token: str) -> single_use.Token:
    """Return what a mailed link says, having changed nothing. Raises Refusal as `single_use.read` does, and
    `already_used`."""
    link = single_use.read(LINK, token)
    if single_use.is_spent(link.id):
        raise Refusal("already_used", LINK.name)
    return link


def request_of(link: single_use.Token, latest: PendingSignIn | None, browser: str) -> PendingSignIn:
    """Return the request that an opened link belongs to, if it is the latest of this browser, whose id is `browser`.

    Raises Refusal `newer_mail` if this browser asked for the link, but has asked again or signed in since. Raises
    `other_browser` otherwise: a stranger's link must sign nobody in to the stranger's account, and a mail scanner must
    not use up the visitor's.
    """
    if latest and latest.id == link.id:
        return latest
    raise Refusal("newer_mail" if link.claims.get("browser") == _digest(browser) else "other_browser")


def redeem_link(
    link: single_use.Token, latest: PendingSignIn | None, browser: str
) -> tuple[Row[Any], PendingSignIn, bool]:
    """Spend an opened link; return the user it signs in, its request, and whether the account is new.

    Raises Refusal as `request_of` does, which spends nothing, or `already_used`.
    """
    return _prove(request_of(link, latest, browser))


def redeem_code(typed: str, request: PendingSignIn | None) -> tuple[Row[Any], PendingSignIn, bool]:
    """Spend the request by its code; return as `redeem_link` does.

    Raises Refusal `no_request`, `expired`, as `codes.check` does, or `already_used`.
    """
    if not request:
        raise Refusal("no_request")
    if request.expires_at <= now():
        raise Refusal("expired")
    codes.check(LINK, request.id, typed, request.expires_at)
    return _prove(request)


def _digest(browser: str) -> str:
    """Return what a link may hold of a browser's id, which is random: enough to know it again."""
    return sha256(browser.encode()).hexdigest()[:16]


def _prove(request: PendingSignIn) -> tuple[Row[Any], PendingSignIn, bool]:
    """Spend the request: its address is proven by that, and gets an account where it has none and may have one. Raises
    Refusal `not_invited` or `account_disabled`, too."""
    single_use.spend(request.id, request.expires_at)
    user = accounts.find(request.email, and_wait=True)
    is_new = not user and invitations.accept(request.email) and _open_account(request.email)
    # Ours, or that of a request which came first; or none, for who isn't invited.
    user = user or accounts.find(request.email, and_wait=True)
    if not user:
        raise Refusal("not_invited")
    if user.is_disabled:
        raise Refusal("account_disabled")
    return user, request, is_new


def _open_account(email: str) -> bool:
    return insert_if_absent(
        User,
        email=email,
        # WebAuthn L3 14.6.1: 64 random bytes, so that the handle tells nothing about the person.
        user_handle=secrets.token_bytes(64),
        wants_passkey_offer=True,
        created_at=now(),
    )
