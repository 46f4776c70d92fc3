"""Limits: how often something may be done. The counters are in the database. So all processes and machines share them,
and they survive restarts.

Each limit can also block people other than the abuser:

- `mails` (to one address, for one client) can block an owner at a new browser who shares the abuser's IP address. A
  browser that has signed in to the account has a count of its own, so nobody else can stop the mail to it.
- `mails_to_address` can block an owner at a new browser, while somebody floods their inbox. Their passkey still works.
  So do the browsers that they have used, which share a count of their own.
- `mails_of_client` can block people who share an IP address. One of them may flood inboxes, or more than sixty may sign
  in within the hour at new browsers.
- `passkey_answers` (of one client, accepted ones too) can block people who share an IP address. One of them may send
  nonsense, or more than 300 may sign in within the time. A count per account isn't needed, because nobody can guess a
  signature. It would also let a stranger lock the account.
- `proofs` (of one account at one client, and of one session) can block the owner there. Only proofs and changes count.
  A thief with a copied cookie can use up the session's count with wrong proofs or new names. The owner can then sign in
  again, except at the thief's own IP address.
- Wrong codes (of one mail or second step) can block the visitor who types the code. A new mail has a new code.
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
from app.database import db, delete_some, execute, insert_for, is_time_to_sweep, rollback
from app.models import Counter, now
from app.refusals import Refusal
from app.single_use import CLOCK_SKEW

# Per mail or second step. LAST_WRONG_CODE spends it. After WRONG_CODES, wrong codes of a mail are answered with 429.
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


SWEEP = delete_some(Counter.key, Counter.ends_at < bindparam("now"))
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
    # Always in the same order. Otherwise two requests that count the same could deadlock.
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


def count_for_alarm(name: str) -> None:
    """Count one more for the whole site. When this exceeds the limit, log an alarm. This refuses nobody.

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


def client_network(address: str) -> str:
    """Return the name of a client: its IPv4 address, or its IPv6 /64, because a customer gets at least one."""
    # Some proxies add the port.
    if re.fullmatch(r"[\d.]+:\d+|\[.*\]:\d+", address):
        address = address.rpartition(":")[0].strip("[]")
    try:
        ip = ip_address(address)
    except ValueError:
        return address
    if ip.version == 4:
        return address
    # A dual-stack socket shows an IPv4 client as ::ffff:192.0.2.1 (RFC 4291 2.5.5.2). All of these are in one /64.
    return str(ip.ipv4_mapped or ip_network((ip, 64), strict=False))


def client_id(address: str) -> str:
    """Return 12 hexadecimal digits that name a client in the log.

    Without the secret key, nobody can find the IP address by trying all of them. With another key, the digits change.
    """
    return _key("log", (client_network(address),))[:12]


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
    """Return a statement that counts one more, or starts again if the time is over. One statement loses no count."""
    new = insert_for(Counter, dialect)
    # A counter that ends later than a new one would was started by a wrong clock.
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
