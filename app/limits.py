"""Limits: how often something may be done. Counters in the database hold across processes, machines and restarts.

Who is hurt by each, besides whom it is meant for:

- `mails` to one address for one client: nobody but the two. A browser that has signed in to the account counts for
  itself first, so that no stranger, and nobody behind the same address, can stop its mail.
- `mails_to_address`: an owner at a new browser, while somebody floods their inbox. Their passkey, and every browser
  that they have used, work as ever: those have a count of their own, and in common.
- `mails_of_client`: people who share a network address with a flooder, or with more than sixty who sign in within the
  hour, at browsers that are new to their accounts.
- `passkey_answers` of one client, good ones too: people who share a network address with somebody who sends nonsense,
  or with more than 300 who sign in within the time. There is no counter per account: it would be a lock for strangers
  to turn, and signatures can't be guessed.
- `proofs` of one account at one client, and of one session: people there. Only proofs and changes count. A thief with a
  copied cookie can block changes in that session with wrong proofs or new names. Then the owner signs in again, which
  helps except at the thief's own IP address.
- wrong codes of one mail or second step: whoever has the page that the code is typed on. A new mail has a new code.
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
from app.database import db, deletion_of_some, insertion, is_time_to_sweep, run
from app.models import Counter, now
from app.refusals import Refusal
from app.single_use import CLOCK_SKEW

# Of a mail's code: more are answered with a 429, and after the last the request is dead.
WRONG_CODES = 5
LAST_WRONG_CODE = 10


@dataclass(frozen=True)
class Limit:
    """So many in so many minutes, counted from the first."""

    count: int
    minutes: int


class TooMany(Refusal):
    """It was done too often; `retry_after` says in how many seconds it may be done again."""

    def __init__(self, reason: str, retry_after: float):
        super().__init__(reason)
        self.retry_after = max(1, math.ceil(retry_after))


_counters: Any = Counter.__table__
SWEEP = deletion_of_some(_counters.c.key, _counters.c.ends_at < bindparam("now"))


def take(**whose: tuple[str, ...]) -> None:
    """Count one more of each limit named, for whom it counts: `take(proofs=("17", "192.0.2.1"))`. To be called before
    anything else is written.

    Raises TooMany `too_many_<limit>` where one of them is used up, and then none is counted.
    """
    if not current_app.config["LIMITS_ENABLED"]:
        return
    is_new = False
    # In one order, or two who count the same would wait for each other for ever.
    for key, name in sorted((_key(name, who), name) for name, who in whose.items()):
        limit = current_app.config["LIMITS"][name]
        count, ends_at = _count(key, timedelta(minutes=limit.minutes))
        if count > limit.count:
            db.session.rollback()
            raise TooMany(f"too_many_{name}", (ends_at - now()).total_seconds())
        is_new = is_new or count == 1
    # Only now, because what is swept is locked, too.
    if is_new and is_time_to_sweep():
        sweep()


def give_back(**whose: tuple[str, ...]) -> None:
    """Take back what `take` counted, because it came to nothing."""
    for key in sorted(_key(name, who) for name, who in whose.items()):
        run(update(Counter).where(Counter.key == key, Counter.count > 0).values(count=Counter.count - 1))


def watch(name: str) -> None:
    """Count something that everybody does, and log an alarm when there is too much of it. It refuses nobody. To be
    called after `take`, and last: everybody else waits for it until the transaction ends."""
    if not current_app.config["LIMITS_ENABLED"]:
        return
    limit = current_app.config["LIMITS"][name]
    count, _ = _count(_key(name, ()), timedelta(minutes=limit.minutes))
    if count == limit.count + 1:
        log.event("alarm", limit=name, count=count, minutes=limit.minutes)


def code_typed(id: str) -> int:
    """Count a code typed for this token or request, and return how many there have been."""
    # Longer than anything that a code belongs to lives.
    return times("codes", id, window=timedelta(days=1))


def times(name: str, *whose: str, window: timedelta) -> int:
    """Count one more of something, and return how many there have been since the first. After `window`, counting starts
    anew. It refuses nothing."""
    if not current_app.config["LIMITS_ENABLED"]:
        return 1
    return _count(_key(name, whose), window)[0]


def client(address: str) -> str:
    """Return whom a network address stands for: itself, or with IPv6 its /64, the least that a customer gets."""
    # Some proxies name the port, too.
    if re.fullmatch(r"[\d.]+:\d+|\[.*\]:\d+", address):
        address = address.rpartition(":")[0].strip("[]")
    try:
        ip = ip_address(address)
    except ValueError:
        return address
    if ip.version == 4:
        return address
    # What a socket for both calls an IPv4 client (RFC 4291 2.5.5.2): one /64 holds all of those.
    return str(ip.ipv4_mapped or ip_network((ip, 64), strict=False))


def client_id(address: str) -> str:
    """Return 12 hexadecimal digits that stand for a client in the log. Without the secret key, nobody can find out the
    IP address by trying all of them; with another key, the digits are others."""
    return _key("log", (client(address),))[:12]


def inbox(email: str) -> str:
    """Return what an address is counted as: one inbox may have many addresses, and they share a count.

    Many providers deliver `ada+news@` to `ada@`. Gmail ignores dots, too, and has two names.
    """
    local_part, _, domain = email.rpartition("@")
    local_part = local_part.partition("+")[0]
    if domain in ("gmail.com", "googlemail.com"):
        return f"{local_part.replace('.', '')}@gmail.com"
    return f"{local_part}@{domain}"


def sweep() -> int:
    """Forget some counters whose time is over, because new rows pay for old ones; return how many."""
    return run(SWEEP, now=now()).rowcount


def _count(key: str, window: timedelta) -> tuple[int, datetime]:
    at = now()
    times = {"now": at, "ends_at": at + window, "latest": at + window + CLOCK_SKEW}
    counter: Any = run(_counting(db.engine.dialect.name), key=key, count=1, **times).one()
    return counter.count, counter.ends_at


@cache
def _counting(dialect: str) -> Any:
    """Begin a counter, begin it again where its time is over, or go on counting: one statement, so none gets lost."""
    new, ends_at = insertion(Counter, dialect), _counters.c.ends_at
    # One that ends later than any begun now was begun by a clock that was ahead.
    has_ended = or_(ends_at <= bindparam("now"), ends_at > bindparam("latest"))
    values = {
        "count": case((has_ended, 1), else_=_counters.c.count + 1),
        "ends_at": case((has_ended, new.excluded.ends_at), else_=ends_at),
    }
    return new.on_conflict_do_update(index_elements=["key"], set_=values).returning(
        _counters.c.count, _counters.c.ends_at
    )


def _key(name: str, who: tuple[str, ...]) -> str:
    """What is stored tells nobody who asked for a mail: without the secret key, no address can be tried out."""
    key = current_app.config["SECRET_KEY"].encode()
    return hmac.digest(key, "\0".join(("latchkey.limits", name, *who)).encode(), "sha256").hex()[:32]
