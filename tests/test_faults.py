"""When something fails: nothing is lost, nothing is half done, and the site recovers without a restart."""

import re
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import timedelta
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest
import time_machine
from psycopg import sql
from sqlalchemy import create_engine, func, select, text
from sqlalchemy.exc import OperationalError

from app import create_app, database, single_use
from app.database import db
from app.models import Activity, Session, SpentToken, User, now
from app.operator import doctor
from authenticator import Authenticator
from bench import server as servers
from bench.__main__ import free_port
from bench.visitor import Browser, ask
from tests import databases
from tests.conftest import ADA, Visitor, database_uri, expect

pytestmark = pytest.mark.slow

AN_HOUR = timedelta(hours=1)


# The database.


@contextmanager
def locked(app) -> Iterator[Callable[[], None]]:
    """Lock the database for writing. Yields a function that unlocks it; the end of the block unlocks it, too."""
    engine = create_engine(database_uri(app))
    with engine.connect() as connection:
        connection.execute(text("LOCK TABLE spent_tokens" if databases.SERVER else "BEGIN IMMEDIATE"))
        yield connection.rollback
    engine.dispose()


def test_sign_in_waits_three_seconds_for_a_locked_database(visitor, app):
    visitor.ask(ADA)
    link = visitor.read_mail().link
    with locked(app) as release:
        writer = threading.Timer(3, release)
        writer.start()
        expect(visitor.post(link), 303)
        writer.join()


def test_sign_in_gives_up_on_a_database_that_stays_locked(visitor, app, snapshot):
    visitor.ask(ADA)
    link, before = visitor.read_mail().link, snapshot()
    with locked(app):
        assert expect(visitor.post(link), 503).headers["Retry-After"] == "5"
    assert snapshot() == before
    expect(visitor.post(link), 303)


@contextmanager
def away(app) -> Iterator[None]:
    """Make the database unreachable during the block: it closes all connections and refuses new ones."""
    if databases.SERVER:
        name = database_uri(app).rpartition("/")[2].partition("?")[0]
        with psycopg.connect(databases.SERVER, autocommit=True) as connection:
            alter = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
            connection.execute(alter.format(sql.Identifier(name), sql.SQL("false")))
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
            yield
            connection.execute(alter.format(sql.Identifier(name), sql.SQL("true")))
    else:
        with app.app_context():
            path = Path(db.engine.url.database)
            db.engine.dispose()
        aside = path.rename(path.with_suffix(".aside"))
        path.mkdir()
        yield
        path.rmdir()
        aside.rename(path)


def test_site_recovers_when_its_database_comes_back(visitor, app):
    visitor.sign_in_by_link(ADA)
    other = Visitor(app)
    other.ask(ADA)
    link = other.read_mail().link
    stylesheet = re.search(r'href="(/static/[^"]+css)"', visitor.get("/").text)[1]
    with away(app):
        response = expect(visitor.get("/account"), 503)
        assert response.headers["Retry-After"] == "5"
        assert "Try again in a few seconds" in Visitor.alert(response)
        expect(other.post(link), 503)
        expect(visitor.get("/healthz"), 503)
        # Static files and cross-site refusals need no database.
        expect(visitor.get(stylesheet), 200)
        expect(visitor.post("/account/delete", headers={"Sec-Fetch-Site": "cross-site"}), 403)
    expect(visitor.get("/healthz"), 200)
    assert visitor.is_signed_in()
    expect(other.post(link), 303)


@contextmanager
def full(app) -> Iterator[None]:
    """Make the database full during the block: SQLite as on a full disk, PostgreSQL read-only."""
    with app.app_context():
        if databases.SERVER:
            name = db.engine.url.database
            limit, lift = (
                f"ALTER DATABASE {name} SET default_transaction_read_only = {value}" for value in ("on", "off")
            )
        else:
            pages = db.session.execute(text("PRAGMA page_count")).scalar_one()
            # The limit belongs to this connection. It is the only one, and goes back to the pool.
            limit, lift = (f"PRAGMA max_page_count = {value}" for value in (pages + 2, 2**30))
        db.session.execute(text(limit))
        db.session.commit()
        if databases.SERVER:
            db.engine.dispose()
        else:
            db.session.execute(text("CREATE TABLE filler (data BLOB)"))
            with suppress(OperationalError):
                while True:
                    db.session.execute(text("INSERT INTO filler VALUES (zeroblob(3000))"))
                    db.session.commit()
            db.session.rollback()
    yield
    with app.app_context():
        if databases.SERVER:
            db.session.execute(text("SET TRANSACTION READ WRITE"))
        db.session.execute(text(lift))
        db.session.commit()
        if databases.SERVER:
            db.engine.dispose()


def test_full_disk_changes_nothing(visitor, app, snapshot):
    visitor.sign_in_by_link(ADA)
    with full(app):
        # Each passkey adds rows and a transcript, until the last page is full.
        for _ in range(40):
            response, before = Authenticator().create(visitor.creation_options()), snapshot()
            answer = visitor.register(response)
            if answer.status_code != 303:
                break
        assert expect(answer, 503).headers["Retry-After"] == "5"
        assert snapshot() == before
        # The site would update the session's last-seen time now. SQLite has room for that. PostgreSQL is read-only.
        with time_machine.travel(now() + timedelta(minutes=6)):
            assert visitor.is_signed_in()
            expect(visitor.get("/healthz"), 200)
    expect(visitor.register(response), 303)


@contextmanager
def no_room_for_sessions(app) -> Iterator[None]:
    """Have the database fail, in this block, whenever a session is stored."""
    if databases.SERVER:
        make = """
            CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION 'disk full' USING ERRCODE = '53100'; END $$;
            CREATE TRIGGER fail BEFORE INSERT ON sessions FOR EACH ROW EXECUTE FUNCTION fail()
            """
        remove = "DROP TRIGGER fail ON sessions; DROP FUNCTION fail"
    else:
        make = "CREATE TRIGGER fail BEFORE INSERT ON sessions BEGIN SELECT 1 FROM missing; END"
        remove = "DROP TRIGGER fail"
    engine = create_engine(database_uri(app))
    for statement in (make, remove):
        with engine.begin() as connection:
            connection.execute(text(statement))
        if statement == make:
            yield
    engine.dispose()


def test_signed_in_visitor_gets_a_503_if_a_new_session_fails(ada, phone, app, snapshot):
    """The page names the account that is still signed in. It does so without another query."""
    credential, before = phone.get(ada.post("/sign-in/passkey/options").json), snapshot()
    with no_room_for_sessions(app):
        page = expect(ada.authenticate(credential), 503).text
    assert ADA in page
    assert snapshot() == before
    expect(ada.get("/account"), 200)
    expect(ada.authenticate(credential), 303)


def test_expired_session_is_refused_where_the_database_takes_no_writes(visitor, app):
    """A read-only PostgreSQL can't delete the session yet. That must not become a 503."""
    visitor.sign_in_by_link(ADA)
    with full(app), time_machine.travel(now() + timedelta(days=20)):
        expect(visitor.get("/account"), 303)


def test_committed_transaction_survives_a_power_cut(tmp_path):
    """Otherwise a spent token would work again. The other tests don't wait for the disk: see conftest.py."""
    with closing(sqlite3.connect(tmp_path / "site.db")) as connection:
        database._set_up_sqlite(connection, None)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
        assert connection.execute("PRAGMA foreign_keys").fetchone() == (1,)


# The clock.


@pytest.mark.parametrize("hours", [-1, 1, 23])
def test_spent_token_stays_spent_when_the_clock_is_changed(visitor, stranger, app, hours):
    visitor.ask(ADA)
    mail = visitor.read_mail()
    tab = visitor.twin()
    expect(visitor.post(mail.link), 303)
    phone = Authenticator()
    visitor.make_passkey(phone)
    credential = phone.get(stranger.request_options())
    expect(stranger.authenticate(credential), 303)
    again = stranger.twin()
    with time_machine.travel(now() + hours * AN_HOUR):
        expect(tab.post(mail.link), 410)
        expect(tab.post("/sign-in/code", {"code": mail.code}), 400)
        expect(again.authenticate(credential), 400)
        # Sweeping meanwhile doesn't make any of them work again.
        with app.app_context():
            single_use.sweep()
            db.session.commit()
    expect(tab.post(mail.link), 410)
    expect(again.authenticate(credential), 400)


def test_link_from_the_future_is_refused(visitor, app, reasons):
    with time_machine.travel(now() + AN_HOUR):
        visitor.ask(ADA)
        link = visitor.read_mail().link
    expect(visitor.post(link), 410)
    assert reasons == ["from_the_future"]


# The process.


class Somebody(NamedTuple):
    """A visitor who asked for a mail before the server was killed."""

    browser: Browser
    email: str
    link: str


def test_kill_leaves_no_sign_in_half_done(app, tmp_path):
    """Kill the server (SIGKILL) while 200 people confirm their links.

    Afterwards, each sign-in is complete, or nothing of it is there and the link still works. No link works twice.
    """
    site = servers.site(tmp_path / "site", free_port(), FLASK_SQLALCHEMY_DATABASE_URI=database_uri(app))
    with site.running():
        with ThreadPoolExecutor(8) as pool:
            people = list(pool.map(lambda number: somebody(site, f"user{number}@example.org"), range(200)))
        first = threading.Event()

        def confirm(person: Somebody) -> None:
            with suppress(OSError, HTTPException):  # The server was killed before it answered.
                person.browser.post_and_stay(person.link)
                first.set()

        with ThreadPoolExecutor(16) as pool:
            done = [pool.submit(confirm, person) for person in people]
            assert first.wait(30)
            site.kill()
            for each in done:
                each.result()
        for person in people:
            person.browser.close()
    with app.app_context():
        if not databases.SERVER:
            assert db.session.execute(text("PRAGMA integrity_check")).scalar_one() == "ok"
        signed_in = set(db.session.scalars(select(User.email)))
        # Each has one session, one activity and one spent link: all or nothing.
        for table in (Session, Activity, SpentToken):
            assert db.session.scalar(select(func.count()).select_from(table)) == len(signed_in)
        db.session.commit()
    assert 0 < len(signed_in) < len(people)
    with site.running():
        for person in people:
            status = person.browser.post_and_stay(person.link)
            # A browser that got the answer is signed in: its page says so.
            assert status in ((200, 410) if person.email in signed_in else (303,))
            assert person.browser.post_and_stay(person.link) == 200 if status == 303 else status
            person.browser.close()


def test_server_finishes_a_sign_in_before_it_stops(app, tmp_path):
    """Stop the server (SIGTERM) while a sign-in waits for a lock. The sign-in still gets its answer."""
    site = servers.site(tmp_path / "site", free_port(), FLASK_SQLALCHEMY_DATABASE_URI=database_uri(app))
    with ThreadPoolExecutor(1) as pool, ExitStack() as held:
        with site.running():
            person = somebody(site, ADA)
            release = held.enter_context(locked(app))
            answer = pool.submit(person.browser.post_and_stay, person.link)
            # After a second, the request waits for the lock. Then the server is told to stop.
            with suppress(TimeoutError):
                answer.result(1)
            writer = threading.Timer(1, release)
            writer.start()
        assert answer.result(10) == 303
        writer.join()
        person.browser.close()


def somebody(site, email: str) -> Somebody:
    """Ask for a mail, and read it."""
    browser = Browser(site)
    return Somebody(browser, email, ask(browser, site, email))


@pytest.mark.parametrize("encoding", ["UTF8", "SQL_ASCII", "LATIN1"])
def test_name_is_stored_or_refused_in_every_database_encoding(tmp_path, encoding):
    app = create_app(databases.make(tmp_path, encoding), str(tmp_path))
    with app.app_context():
        db.create_all()
    visitor = Visitor(app)
    visitor.sign_in_by_link(ADA)
    visitor.make_passkey(Authenticator())
    answer = visitor.post("/account/passkeys/1/rename", {"name": "日本"})
    if encoding == "LATIN1" and databases.SERVER:
        expect(answer, 400)
    else:
        expect(answer, 303)
        assert "日本" in visitor.get("/account").text
    with app.app_context():
        findings = [finding.what for finding in doctor.examine(0) if not finding.is_fine]
        assert (f"The database (PostgreSQL) stores text as {encoding}" in findings) == (
            encoding != "UTF8" and bool(databases.SERVER)
        )
        db.session.remove()
        db.engine.dispose()
    databases.drop(tmp_path)
