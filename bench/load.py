"""`make load` measures complete sign-ins: many at the same time, and with many accounts in the database.

Each sign-in loads all its pages: the mail or the software authenticator's answer, the redirect, the account page. The
visitors run on the same machine, so they also limit the rate per second. CPU per sign-in counts only the server. With
TEST_POSTGRES (`python -m tests.postgres python -m bench.load`), it also measures PostgreSQL, without that server's CPU.
"""

import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from sqlalchemy.dialects import sqlite

from app import accounts, activity, limits, notices, passkeys, sessions, single_use
from authenticator import Authenticator
from bench import server, visitor
from bench.__main__ import free_port
from bench.server import Server
from tests import databases

CONCURRENCY = (1, 8, 32)
WORKERS = (1, 2, 4)
PEOPLE = 32
SIGN_INS = 192
ACCOUNTS = (1_000, 1_000_000)

# The site's own queries at sign-in that could get slower with more rows.
QUERIES: dict[str, Any] = {
    "user by address": accounts.FIND,
    "passkey by credential id": passkeys.FIND,
    "passkeys of a user": passkeys.FOR_USER,
    "session": sessions.FIND,
    "sessions of a user": sessions.FOR_USER,
    "expired session": sessions.FIND_EXPIRED,
    "former addresses": activity.FORMER_ADDRESSES,
    "spent token": single_use.IS_SPENT,
    "sweep spent tokens": single_use.SWEEP,
    "sweep counters": limits.SWEEP,
    "notice to send": notices.CLAIM,
    "notices that are delayed": notices.FIND_DELAYED,
}


def main() -> None:
    """Measure, and print both tables."""
    print("Measuring takes some minutes ...", flush=True)
    print(
        f"{'database':12}{'workers':>8}{'at once':>8}{'per s':>8}{'CPU ms':>8}{'p50 ms':>8}{'p95':>8}{'p99':>8}"
        f"{'errors':>8}{'MiB':>6}"
    )
    for database in ("sqlite", *(["postgresql"] if databases.SERVER else [])):
        for workers in WORKERS:
            with tempfile.TemporaryDirectory() as folder:
                load(database, workers, Path(folder))
    print(f"\n{'accounts':>10}{'passkey, CPU ms':>18}{'mail, CPU ms':>15}")
    for number in ACCOUNTS:
        with tempfile.TemporaryDirectory() as folder:
            grow(number, Path(folder))


def load(database: str, workers: int, folder: Path) -> None:
    """Sign people in, more and more at the same time, half of them by mail. Print a line for each step."""
    instance = folder / "database"
    instance.mkdir()
    environ = databases.make(instance) if database == "postgresql" else {}
    site = server.site(folder / "site", free_port(), workers, **environ)
    if environ:
        site.migrate()
    with site.running():
        devices = {each: visitor.register(site, each) for each in (f"user{n}@example.org" for n in range(PEOPLE))}
        people, turns = list(devices.items()), {email: threading.Lock() for email in devices}
        for concurrency in CONCURRENCY:
            taken: list[float] = []
            errors: list[Exception] = []

            def sign_in(number: int, taken: list[float] = taken, errors: list[Exception] = errors) -> None:
                email, device = people[number % PEOPLE]
                begin = time.perf_counter()
                try:
                    # Each person does one sign-in at a time.
                    with turns[email], visitor.Browser(site) as browser:
                        if number // PEOPLE % 2:
                            visitor.open_mail(browser, site, email)
                        else:
                            visitor.answer(browser, device, email)
                except (OSError, RuntimeError, AssertionError) as error:
                    errors.append(error)
                taken.append((time.perf_counter() - begin) * 1000)

            before, begin = site.cpu_seconds(), time.perf_counter()
            with ThreadPoolExecutor(concurrency) as pool:
                list(pool.map(sign_in, range(SIGN_INS)))
            seconds, cpu = time.perf_counter() - begin, (site.cpu_seconds() - before) / SIGN_INS * 1000
            centiles = quantiles(taken, n=100)
            print(
                f"{database:12}{workers:8}{concurrency:8}{SIGN_INS / seconds:8.0f}{cpu:8.1f}{median(taken):8.0f}"
                f"{centiles[94]:8.0f}{centiles[98]:8.0f}{len(errors):8}{site.mebibytes().all:6.0f}",
                flush=True,
            )
    if environ:
        databases.drop(instance)


def grow(number: int, folder: Path) -> None:
    """Put this number of accounts into an SQLite database, and print the CPU time of a sign-in with them."""
    site = server.site(folder / "site", free_port())
    with site.running():
        device = visitor.register(site)
    path = folder / "site" / "site.db"
    fill(path, number)
    with site.running():
        costs = [cost(site, flow, device) for flow in (visitor.passkey_sign_in, visitor.mailed_sign_in)]
    print(f"{number:10,}{costs[0]:18.1f}{costs[1]:15.1f}", flush=True)
    if number == max(ACCOUNTS):
        print("\nEvery query uses an index:")
        with closing(sqlite3.connect(path)) as connection:
            for name, plan in plans(connection).items():
                assert not any(step.startswith("SCAN") for step in plan), f"{name}: {plan}"
                print(f"  {name:26}{', '.join(plan)}")


def plans(connection: sqlite3.Connection) -> dict[str, list[str]]:
    """Return the steps of SQLite's query plan for each query, by the query's name."""
    steps = {}
    for name, query in QUERIES.items():
        compiled = query.compile(dialect=sqlite.dialect())
        nothing = [None] * len(compiled.positiontup)
        steps[name] = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {compiled}", nothing)]
    return steps


def cost(site: Server, flow: Callable[[Server, Authenticator], None], device: Authenticator) -> float:
    """Return the server's CPU time for a sign-in, in milliseconds."""
    for _ in range(20):
        flow(site, device)
    site.end_sessions()
    before = site.cpu_seconds()
    for _ in range(100):
        flow(site, device)
    return (site.cpu_seconds() - before) / 100 * 1000


def fill(path: Path, accounts: int) -> None:
    """Insert this number of accounts, each with a passkey, a session, a line of activity and a spent token."""
    at = time.strftime("%Y-%m-%d %H:%M:%S.000000", time.gmtime())
    numbers = "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i <= ?)"
    handle = "CAST(printf('%064d', i) AS BLOB)"
    moments = f"'{at}', '{at}', '{at}'"
    rows = {
        "users": f"i, 'user' || i || '@example.org', {handle}, 1, '{at}', 0, 0",
        "passkeys": f"i, i, CAST(printf('%032d', i) AS BLOB), x'', 0, '', 0, 0, '', 'key', '{at}', NULL",
        "sessions": f"i + 1000, printf('s%021d', i), i, 'passkey', i, 'Chrome on Linux', {moments}, x'', NULL",
        "activities": f"i + 1000, i, 'signed_in', '{at}', 'Chrome on Linux', '192.0.2.1', 'passkey', '', NULL",
        "spent_tokens": f"printf('t%021d', i), '{at}'",
    }
    with closing(sqlite3.connect(path)) as connection, connection:
        for table, values in rows.items():
            connection.execute(f"INSERT INTO {table} {numbers} SELECT {values} FROM n", (accounts,))


if __name__ == "__main__":
    main()
