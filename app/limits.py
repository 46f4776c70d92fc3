"""Limits: how often something may be done. Counters in the database hold across processes, machines and restarts.

Each limit may also hurt somebody besides the abuser:

- `mails` to one address for one client: nobody else. A browser that has signed in to the account has a count of its
  own. So neither a stranger, nor somebody at the same IP address, can stop the mail to that browser.
- `mails_to_address`: an owner at a new browser, while somebody floods their inbox. Their passkey still works, and so
  does each browser that they have used: those browsers share a count of their own.
- `mails_of_client`: people who share an IP address with a flooder, or with more than sixty people who sign in within
  the hour at browsers that are new to their accounts.
- `passkey_answers` of one client, accepted ones too: people who share an IP address with somebody who sends nonsense,
  or with more than 300 people who sign in within the time. There is no counter per account, because a stranger could
  lock the account with it, and nobody can guess a signature.
- `proofs` of one account at one client, and of one session: the people there. Only proofs and changes count. A thief
  with a copied cookie can block changes in that session with wrong proofs or new names. The owner then signs in again,
  which helps except at the thief's own IP address.
- Wrong codes of one mail or second step: the visitor at the page where the code is typed. A new mail has a new code.
"""

import hmac
import math
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from ipaddress import ip_address, ip_network
from typing import Any

from flask import current_app
from sqlalchemy import bindparam, case, or_, update

from app import log
from app.database import db, execute, is_time_to_sweep, rollback, sweep_of, upsert
from app.models import Counter, now
from app.refusals import Refusal
from app.single_use import CLOCK_SKEW

# Of one mail or second step. More than WRONG_CODES are answered with 429. The last one ends the mail or second step.
WRONG_CODES = 5
LAST_WRONG_CODE = 10


@dataclass(frozen=True)
class Limit:
    """At most `count` times in `minutes`, counted from the first time."""

    count: int
    minutes: int


class TooMany(Refusal):
    """A limit was exceeded. `retry_after` is the time until the next attempt may succeed, in seconds."""

    def __init__(self, reason: str, retry_after: float):
        super().__init__(reason)
        self.retry_after = max(1, math.ceil(retry_after))


SWEEP = sweep_of(Counter.key, Counter.ends_at < bindparam("now"))
GIVE_BACK = (
    update(Counter).where(Counter.key == bindparam("counter"), Counter.count > 0).values(count=Counter.count - 1)
)


def take(**whose: tuple[str, ...]) -> None:
    """Count one more for each of these limits: `take(proofs=("17", "192.0.2.1"))` counts a proof for this account at
    this client. Call it before anything else is written.

    Raises TooMany `too_many_<limit>` if one of them is used up. Then none is counted.
    """
    if not current_app.config["LIMITS_ENABLED"]:
        return
    is_new = False
    # Always in the same order. Otherwise two requests that count the same would wait for each other for ever.
    for key, name in sorted((_key(name, who), name) for name, who in whose.items()):
        limit = current_app.config["LIMITS"][name]
        count, ends_at = _count(key, timedelta(minutes=limit.minutes))
        if count > limit.count:
            rollback()
            raise TooMany(f"too_many_{name}", (ends_at - now()).total_seconds())
        is_new = is_new or count == 1
    # Last, because a sweep locks rows too.
    if is_new and is_time_to_sweep():
        sweep()


def give_back(**whose: tuple[str, ...]) -> None:
    """Undo a call of `take`, because nothing came of it."""
    for key in sorted(_key(name, who) for name, who in whose.items()):
        execute(GIVE_BACK, counter=key)


def watch(name: str) -> None:
    """Count one more of something that everybody does, and log an alarm if there is too much of it. It refuses nobody.

    Call it last, after `take`: all other requests wait for this counter until the transaction ends.
    """
    if not current_app.config["LIMITS_ENABLED"]:
        return
    limit = current_app.config["LIMITS"][name]
    count, _ = _count(_key(name, ()), timedelta(minutes=limit.minutes))
    if count == limit.count + 1:
        log.event("alarm", limit=name, count=count, minutes=limit.minutes)


def count_code(id: str) -> int:
    """Count a code typed for the token of this id, and return how many there have been."""
    # Every token with a code expires in less than a day.
    return count("codes", id, window=timedelta(days=1))


def count(name: str, *whose: str, window: timedelta) -> int:
    """Count one more of something, and return how many there have been since the first. This refuses nothing.

    After `window`, counting starts again.
    """
    if not current_app.config["LIMITS_ENABLED"]:
        return 1
    return _count(_key(name, whose), window)[0]


def client(address: str) -> str:
    """Return the client of an IP address: the address itself, or with IPv6 its /64, the least that a customer gets."""
    # Some proxies add the port.
    if re.fullmatch(r"[\d.]+:\d+|\[.*\]:\d+", address):
        address = address.rpartition(":")[0].strip("[]")
    try:
        ip = ip_address(address)
    except ValueError:
        return address
    if ip.version == 4:
        return address
    # A socket for both shows an IPv4 client like this (RFC 4291 2.5.5.2). One /64 has all of them.
    return str(ip.ipv4_mapped or ip_network((ip, 64), strict=False))


def client_id(address: str) -> str:
    """Return 12 hexadecimal digits that name a client in the log.

    Without the secret key, nobody can find the IP address by trying all of them. With another key, the digits change.
    """
    return _key("log", (client(address),))[:12]


def inbox(email: str) -> str:
    """Return one name for all addresses of an inbox, so that they share a count.

    Many providers deliver `ada+news@` to `ada@`. Gmail also ignores dots, and has two domains.
    """
    local_part, _, domain = email.rpartition("@")
    local_part = local_part.partition("+")[0]
    if domain in ("gmail.com", "googlemail.com"):
        return f"{local_part.replace('.', '')}@gmail.com"
    return f"{local_part}@{domain}"


def sweep() -> int:
    """Delete some counters whose time is over. Return how many."""
    return execute(SWEEP, now=now()).rowcount


def _count(key: str, window: timedelta) -> tuple[int, datetime]:
    """Count one more. Return the count, and the time when counting starts again."""
    at = now()
    times = {"now": at, "ends_at": at + window, "latest": at + window + CLOCK_SKEW}
    counter = execute(_count_one(db.engine.dialect.name), key=key, count=1, **times).mappings().one()
    return counter["count"], counter["ends_at"]


@cache
def _count_one(dialect: str) -> Any:
    """Start a counter, start it again if its time is over, or count on. One statement, so that no count gets lost."""
    new = upsert(Counter, dialect)
    # A counter that ends later than any that is started now was started by a clock that was ahead.
    is_over = or_(Counter.ends_at <= bindparam("now"), Counter.ends_at > bindparam("latest"))
    values = {
        "count": case((is_over, 1), else_=Counter.count + 1),
        "ends_at": case((is_over, new.excluded.ends_at), else_=Counter.ends_at),
    }
    return new.on_conflict_do_update(index_elements=["key"], set_=values).returning(Counter.count, Counter.ends_at)


def _key(name: str, who: tuple[str, ...]) -> str:
    """Return the key of a counter. Without the secret key, nobody can find out whose it is by trying addresses."""
    key = current_app.config["SECRET_KEY"].encode()
    return hmac.digest(key, "\0".join(("latchkey.limits", name, *who)).encode(), "sha256").hex()[:32]
