"""The sign-in mail: one request, one link, one code, one browser.

A request lives in the browser that asked (its signed cookie). The link carries the request's id and who asked, never
the address, because links end up in histories. The code is derived from the id with the secret key. Using either ends
both: what is spent is the request's id.
"""

import secrets
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import current_app
from sqlalchemy import Row

from app import accounts, codes, invitations, single_use
from app.extensions import insert_if_absent
from app.models import User, now
from app.refusals import Refusal

LINK_LIFETIME = timedelta(minutes=10)
LINK = single_use.Purpose("sign-in-link", LINK_LIFETIME)

# Sending again repeats the request, so that the code of the mail in flight stays good. Not for ever: a spent id is
# forgotten after a day.
REPEATABLE_FOR = timedelta(hours=1)
SEND_AGAIN_AFTER = timedelta(seconds=30)


@dataclass(frozen=True)
class SignInRequest:
    """What a browser asked for: a sign-in link for one address."""

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
    def began_at(self) -> datetime:
        return datetime.fromtimestamp(self.sent_at, UTC)

    @property
    def expires_at(self) -> datetime:
        return self.began_at + LINK_LIFETIME


def ask(email: str, next: str, earlier: SignInRequest | None) -> SignInRequest:
    """Return the request to send a mail for: the earlier one again where it is for the same address, else a new one."""
    at = int(now().timestamp())
    repeatable = earlier and earlier.email == email and at - earlier.asked_at < REPEATABLE_FOR.total_seconds()
    # The answer to a confirmation may have got lost: then the browser still holds a request that is used up.
    if earlier and repeatable and not single_use.is_spent(earlier.id):
        return replace(earlier, next=next or earlier.next, sent_at=at)
    return SignInRequest(single_use.new_id(), email, next, asked_at=at, sent_at=at)


def link_token(request: SignInRequest, asked_with: str) -> str:
    """Return the token of the mailed link; `asked_with` is the browser that asked, in words."""
    return single_use.issue(LINK, request.id, asked_with=asked_with)


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


def redeem_link(link: single_use.Token, request: SignInRequest | None) -> tuple[Row[Any], SignInRequest, bool]:
    """Spend an opened link; return the user it signs in, its request, and whether the account is new.
    `request` is what this browser last asked for.

    Raises Refusal `already_used`, and `other_browser`, which spends nothing: a stranger's link must sign nobody in to
    the stranger's account, and a mail scanner must not use up the visitor's.
    """
    if not request or request.id != link.id:
        raise Refusal("other_browser")
    return _prove(request)


def redeem_code(typed: str, request: SignInRequest | None) -> tuple[Row[Any], SignInRequest, bool]:
    """Spend the request by its code; return as `redeem_link` does.

    Raises Refusal `no_request`, `expired`, as `codes.check` does, or `already_used`.
    """
    if not request:
        raise Refusal("no_request")
    if request.expires_at <= now():
        raise Refusal("expired")
    codes.check(LINK, request.id, typed, request.expires_at)
    return _prove(request)


def _prove(request: SignInRequest) -> tuple[Row[Any], SignInRequest, bool]:
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
