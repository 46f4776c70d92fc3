"""Fixtures and helpers of the HTTP tests: a site with an empty database, its log, and visitors with a browser each.

Everybody signs in through the real pages. The tests read the mail from the outbox and the options from the page, and
they post the same fields as the page's form.
"""

import json
import logging
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from threading import Barrier
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element

import html5lib
import pytest
import time_machine
from flask import Flask
from flask_migrate import Migrate, upgrade
from jinja2 import FileSystemBytecodeCache
from sqlalchemy import Engine, event, select, update
from werkzeug.test import TestResponse

from app import create_app, log
from app.database import db
from app.models import Activity, Session, SpentToken, now
from app.proof import PROOF_LIFETIME
from authenticator import Authenticator
from tests import databases, mails
from tests.live import Server, serving
from tests.mails import Mail

ROOT = Path(__file__).parent.parent

if (ROOT / "learn").exists():
    from tests.inside.agreement import look_inside_agrees, watched  # noqa: F401 (fixtures)

ADA, EVE, GRACE = "ada@example.org", "eve@example.org", "grace@example.org"

# After this time, a proof of identity no longer counts.
UNTIL_PROOF_EXPIRES = PROOF_LIFETIME + timedelta(seconds=1)

# The settings that a site on the internet needs, and no others.
PUBLIC = {
    "FLASK_SITE_URL": "https://example.org",
    "FLASK_SECRET_KEY": "b7f0c2e94d1a4c85a3d6079e5f21c8b4",
    "FLASK_MAIL_SERVER": "mail.example.org",
    "FLASK_MAIL_DEFAULT_SENDER": "latchkey@example.org",
}

# pytest replaces standard output for each test. With a handler here, `log.set_up` adds none that writes there.
log.logger.addHandler(logging.NullHandler())
log.logger.setLevel(logging.INFO)


@event.listens_for(Engine, "connect")
def _need_not_survive_a_power_cut(connection: object, _record: object) -> None:
    """Don't wait for the disk: that would double the time of these tests. This runs after the site's own listener."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous = OFF")


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory) -> Iterator[Path]:
    """Return the instance folder of a migrated, empty database. The migrations run once; each site gets a copy."""
    instance = tmp_path_factory.mktemp("empty-database")
    app = create_app(environ=databases.make(instance), instance_path=str(instance))
    Migrate(app, db, directory=str(ROOT / "migrations"))
    with app.app_context():
        upgrade()
        # When the last connection closes, SQLite moves everything into one file.
        db.engine.dispose()
    yield instance
    databases.drop(instance)


@pytest.fixture(scope="session")
def compiled_templates(tmp_path_factory) -> FileSystemBytecodeCache:
    """Return a cache of compiled templates, so that each is compiled once, and not once per site."""
    return FileSystemBytecodeCache(str(tmp_path_factory.mktemp("compiled-templates")))


@pytest.fixture
def make_app(empty_database, compiled_templates, tmp_path_factory) -> Iterator[Callable[..., Flask]]:
    """Make a site with an empty database of its own: `make_app(FLASK_SITE_URL="https://example.org", ...)`.

    It isn't in testing mode: an unhandled exception is a 500, as for a visitor, with its traceback in the log.
    """
    apps = []

    def make(**environ: str) -> Flask:
        instance = tmp_path_factory.mktemp("instance")
        environ = databases.copy(empty_database, instance) | environ
        app = create_app(environ=environ, instance_path=str(instance))
        app.jinja_env.bytecode_cache = compiled_templates
        apps.append(app)
        return app

    yield make
    for app in apps:
        with app.app_context():
            db.engine.dispose()
        databases.drop(Path(app.instance_path))


@pytest.fixture
def app(make_app) -> Flask:
    """Return the site on localhost without settings."""
    return make_app()


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """Return a port of localhost, for browsers."""
    with serving() as server:
        yield server


@pytest.fixture
def live_app(make_app, server) -> Iterator[Flask]:
    """Return the site with an empty database, answering at that port."""
    server.app = make_app(FLASK_SITE_URL=server.url)
    yield server.app
    server.app, server.tolerated = None, set()


@pytest.fixture
def visitor(app) -> "Visitor":
    """Return a visitor with a browser."""
    return Visitor(app)


@pytest.fixture
def stranger(app) -> "Visitor":
    """Return another visitor, with another browser."""
    return Visitor(app)


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    """Stop the clock. A test moves it: `clock.shift(seconds)`."""
    with time_machine.travel(now(), tick=False) as traveller:
        yield traveller


@pytest.fixture
def proof_expired() -> Iterator[None]:
    """Set the clock to a time when every proof of identity given so far has expired."""
    with time_machine.travel(now() + UNTIL_PROOF_EXPIRES):
        yield


@pytest.fixture
def phone() -> Authenticator:
    """Return an authenticator without a credential."""
    return Authenticator()


@pytest.fixture
def ada(visitor, phone) -> "Visitor":
    """Return Ada, who is signed in and has a passkey on `phone`. Her account has number 1, and so has her passkey."""
    visitor.sign_in_by_link(ADA)
    visitor.make_passkey(phone)
    return visitor


@pytest.fixture
def eve(stranger) -> "Visitor":
    """Return Eve, who is signed in at another browser, with an account and a passkey of her own on `eve.key`."""
    stranger.sign_in_by_link(EVE)
    stranger.key = Authenticator()
    stranger.make_passkey(stranger.key)
    return stranger


class Visitor:
    """A person with a browser of their own, who uses the pages.

    Methods that are named for an outcome (`sign_in_by_link`, `make_passkey`, ...) assert that outcome. The others only
    return the response.
    """

    def __init__(self, app: Flask):
        self.app = app
        self.site_url = app.config["SITE_URL"]
        self.client = app.test_client()

    def get(self, path: str, **kwargs) -> TestResponse:
        """Open a page."""
        return self.client.get(path, base_url=self.site_url, buffered=True, **kwargs)

    def post(self, path: str, form: dict | None = None, headers: dict | None = None, **kwargs) -> TestResponse:
        """Send a form, as a page of the site would."""
        headers = {"Sec-Fetch-Site": "same-origin"} | (headers or {})
        return self.client.post(path, base_url=self.site_url, data=form, headers=headers, **kwargs)

    def twin(self) -> "Visitor":
        """Return a visitor with the same cookies: another tab, a double click, or a thief with a copy of the cookie."""
        twin = Visitor(self.app)
        name, host = self.app.config["SESSION_COOKIE_NAME"], urlsplit(self.site_url).hostname
        cookie = self.client.get_cookie(name, domain=host)
        if cookie:
            twin.client.set_cookie(name, cookie.value, domain=host)
        return twin

    # The mail.

    def ask(self, email: str, **form: str) -> TestResponse:
        """Ask for the sign-in mail."""
        return self.post("/sign-in", {"email": email, **form})

    def read_mail(self) -> Mail:
        """Return the newest sign-in mail."""
        return mails.sign_in_mail(self.app)

    def read_code(self, to: str) -> str:
        """Return the code of the newest message that has one. Asserts that it was sent to this address."""
        return mails.code_for(self.app, to)

    def type_code(self, code: str) -> TestResponse:
        """Type the code of the sign-in mail."""
        return self.post("/sign-in/code", {"code": code})

    def sign_in_by_link(self, email: str) -> TestResponse:
        """Ask for a link, open it, and confirm."""
        expect(self.ask(email), 303)
        link = self.read_mail().link
        expect(self.get(link), 200)
        return expect(self.post(link), 303)

    # The passkeys.

    def creation_options(self) -> dict:
        """Return the options of the passkey registration on the account page."""
        return options_of(self.get("/account"), "passkey-registration")

    def request_options(self) -> dict:
        """Return the options of the ceremony that waits on the sign-in page."""
        return options_of(self.get("/sign-in"), "passkey-sign-in")

    def register(self, credential: object, **form: str) -> TestResponse:
        """Send a credential that an authenticator made, or any text."""
        return self.post("/account/passkeys", {"credential": as_text(credential), **form})

    def authenticate(self, credential: object, **form: str) -> TestResponse:
        """Send a credential that an authenticator signed, or any text."""
        return self.post("/sign-in/passkey", {"credential": as_text(credential), **form})

    def make_passkey(self, authenticator: Authenticator, **knobs) -> TestResponse:
        """Make a passkey on the account page."""
        return expect(self.register(authenticator.create(self.creation_options(), **knobs)), 303)

    def sign_in_by_passkey(self, authenticator: Authenticator, **knobs) -> TestResponse:
        """Sign in with a passkey on the sign-in page."""
        return expect(self.authenticate(authenticator.get(self.request_options(), **knobs)), 303)

    # The proof of identity.

    def confirmation_options(self) -> dict:
        """Return the options of the ceremony on the page that asks for proof."""
        return options_of(self.get("/account/confirm"), "passkey-sign-in")

    def prove_by_passkey(self, authenticator: Authenticator) -> TestResponse:
        """Prove with a passkey who this is."""
        credential = authenticator.get(self.confirmation_options())
        return expect(self.post("/account/confirm", {"credential": as_text(credential)}), 303)

    def mailed_proof(self, email: str, path: str = "/account/confirm", form: dict | None = None) -> dict[str, str]:
        """Have a code mailed that proves who this is; return the fields that send it."""
        page = expect(self.post(path, (form or {}) | {"mail": "code"}), 200)
        return {"proof": proof_in(page), "code": self.read_code(email)}

    # The address.

    def change_address(self, email: str) -> TestResponse:
        """Move the account to this address."""
        expect(self.post("/account/email", {"email": email}), 303)
        return expect(self.post("/account/email", {"code": self.read_code(email)}), 303)

    # The second step.

    def make_recovery_codes(self) -> list[str]:
        """Make recovery codes, and return them as the page shows them."""
        page = parse(expect(self.post("/account/recovery-codes"), 200))
        return [text_of(item) for item in page.findall(".//ol[@class='codes']/li")]

    def require_passkey(self) -> list[str]:
        """Have the account require a passkey; return its recovery codes."""
        codes = self.make_recovery_codes()
        expect(self.post("/account/require-passkey", {"require": "yes", "kept": codes[0]}), 303)
        return codes

    def open_second_step(self, email: str) -> str:
        """Ask for a link, open it and confirm. The account needs a second step: return its page's token."""
        response = self.sign_in_by_link(email)
        assert response.location.startswith("/sign-in/second-step?token=")
        page = parse(expect(self.get(response.location), 200))
        return page.find(".//main//input[@name='token']").attrib["value"]

    def sign_out(self) -> TestResponse:
        """Press the button that signs out."""
        return expect(self.post("/sign-out"), 303)

    def is_signed_in(self) -> bool:
        """Return whether the account page opens."""
        return self.get("/account").status_code == 200

    def notice(self, path: str = "/account") -> str:
        """Open this page, and return its message about the last action."""
        return " ".join(text_of(each) for each in parse(self.get(path)).iter("p") if each.get("role") == "status")

    @staticmethod
    def alert(response: TestResponse) -> str:
        """Return the sentence of the visible alert, or "" without one. Hidden alerts wait for a script."""
        alerts = [text_of(element) for element in visible(parse(response)) if element.get("role") == "alert"]
        assert len(alerts) <= 1, f"one page, two alerts: {alerts}"
        return alerts[0] if alerts else ""


def expect(response: TestResponse, status: int) -> TestResponse:
    """Return the response if it has this status."""
    path, answer = response.request.path, response.status
    assert response.status_code == status, f"{path} answered {answer}: {Visitor.alert(response)}"
    return response


def at_once(function: Callable, *arguments: Iterable) -> list:
    """Call the function like `map`, but at the same moment, in a thread for each call. Return the results in order."""
    calls = list(zip(*arguments, strict=True))
    barrier = Barrier(len(calls))

    def call(values: tuple) -> object:
        barrier.wait(timeout=30)
        return function(*values)

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(call, calls))


def as_text(credential: object) -> str:
    """Return the credential as JSON text, as the form sends it."""
    return credential if isinstance(credential, str) else json.dumps(credential)


def parse(response: TestResponse) -> Element:
    """Return the page as a tree, parsed as browsers do."""
    return html5lib.parse(response.get_data(as_text=True), namespaceHTMLElements=False)


def options_of(response: TestResponse, element: str, status: int = 200) -> dict:
    """Return the options that the page has for its ceremony."""
    found = parse(expect(response, status)).find(f".//{element}")
    assert found is not None, f"{response.request.path} has no <{element}>"
    return json.loads(found.attrib["options"])


def proof_in(page: TestResponse) -> str:
    """Return the token that the page sends back with the code of the mail."""
    return re.search(r'name="proof" value="([^"]+)"', page.text)[1]


def fields_of(page: TestResponse) -> dict[str, str]:
    """Return the fields of the page's first form, with their values."""
    form = parse(page).find(".//main//form")
    return {field.attrib["name"]: field.attrib.get("value", "") for field in form.iter("input")}


def signals(page: TestResponse) -> list[dict]:
    """Return the signals to the authenticator that the page has."""
    return [json.loads(element.attrib["details"]) for element in parse(page).iter("passkey-signal")]


def visible(element: Element) -> Iterator[Element]:
    """Yield the element and all elements within it, without the hidden ones and their children."""
    if "hidden" not in element.attrib:
        yield element
        for child in element:
            yield from visible(child)


def text_of(element: Element) -> str:
    """Return the text of an element, with single spaces."""
    return " ".join("".join(element.itertext()).split())


# The database.


def rows(app: Flask, model: type) -> list:
    """Return all rows of this table, by its primary key."""
    with app.app_context():
        return list(db.session.scalars(select(model).order_by(*model.__table__.primary_key)))


def count(app: Flask, model: type) -> int:
    """Return how many rows this table has."""
    return len(rows(app, model))


def kinds(app: Flask, user_id: int | None = None) -> list[str]:
    """Return the kinds of all activities, or of one account's, the oldest first."""
    return [row.kind for row in rows(app, Activity) if user_id in (None, row.user_id)]


def date_sessions(app: Flask, **times: datetime) -> None:
    """Give all sessions these times, as a wrong clock would: `date_sessions(app, proved_at=...)`."""
    with app.app_context():
        db.session.execute(update(Session).values(**times))
        db.session.commit()


def database_uri(app: Flask) -> str:
    """Return the address of the site's database, with its password."""
    with app.app_context():
        return db.engine.url.render_as_string(hide_password=False)


# The log.


class Event(NamedTuple):
    """An event of the site's log."""

    name: str
    fields: dict[str, Any]


class EventList(logging.Handler):
    """A log handler that keeps the events in a list."""

    def __init__(self):
        super().__init__()
        self.events: list[Event] = []
        self.reasons: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        happened = Event(record.getMessage(), getattr(record, "fields", {}))
        self.events.append(happened)
        if happened.name == "refused":
            self.reasons.append(happened.fields["reason"])


@pytest.fixture
def site_log() -> Iterator[EventList]:
    """Keep what the site logs from here on: `site_log.events`."""
    handler = EventList()
    log.logger.addHandler(handler)
    yield handler
    log.logger.removeHandler(handler)


@pytest.fixture
def events(site_log) -> list[Event]:
    """Return the list of events, which grows as the site logs them."""
    return site_log.events


@pytest.fixture
def reasons(site_log) -> list[str]:
    """Return the list of reasons for refusals, which grows as the site logs them."""
    return site_log.reasons


@pytest.fixture
def snapshot(app) -> Callable[[], dict[str, list]]:
    """Return a function that returns every row of every table, by the table's name."""

    def take() -> dict[str, list]:
        with app.app_context():
            return {
                table.name: [tuple(row) for row in db.session.execute(select(table).order_by(*table.primary_key))]
                for table in db.metadata.sorted_tables
            }

    return take


@pytest.fixture
def unchanged(snapshot) -> Callable[..., AbstractContextManager]:
    """Assert that a block changes no row, except that it spends so many tokens: `with unchanged(spent=1)`.

    A failed ceremony spends its challenge, too. It may also be recorded in the account's activity, and it counts
    towards limits. Other tests are about that.
    """

    @contextmanager
    def watch(spent: int = 0) -> Iterator[None]:
        before = snapshot()
        yield
        after = snapshot()
        for name in ("activities", "counters"):
            before.pop(name), after.pop(name)
        name = SpentToken.__table__.name
        new = set(after.pop(name)) - set(before.pop(name))
        assert after == before
        assert len(new) == spent, f"{len(new)} tokens were spent, not {spent}"

    return watch
