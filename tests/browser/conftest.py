"""What the browser tests share: Chromium, and visitors with a device that holds passkeys.

The tests of the flow (`flow/`) also run against the program of the tutorial (`tests/tutorial/test_tutorial_flow.py`),
where fixtures of the same names stand for that program.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from flask import Flask
from playwright.sync_api import BrowserContext

from app import create_app
from app.database import db
from tests import browsers, databases
from tests.browser.visitor import NO_IMMEDIATE, Visitor
from tests.browser.watcher import Watcher

CHROMIUM_ARGS = [
    # As root, as in most containers, its sandbox can't be had; it only ever visits us.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def base_url(server) -> str:
    """Where the pages are: `page.goto("/sign-in")` begins here."""
    return server.url


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args, base_url) -> dict:
    # The plugin keeps the first `base_url` of the process, but the tests of the tutorial have another.
    return browser_context_args | {"base_url": base_url}


@pytest.fixture
def app(live_app) -> Flask:
    """The site with an empty database, in the place of the one of the HTTP tests."""
    return live_app


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args) -> dict:
    return browser_type_launch_args | {
        "executable_path": browsers.find(browsers.CHROME)[0],
        "args": CHROMIUM_ARGS,
        # Playwright turns the cache off that visitors' browsers have: pages come out of it when they go back.
        "ignore_default_args": ["--disable-back-forward-cache"],
    }


@pytest.fixture
def tolerates(server) -> Callable[[str, str, int], None]:
    """Have a page's script be refused this, and no more: `tolerates("POST", "/path", 403)`."""

    def tolerate(method: str, path: str, status: int) -> None:
        server.tolerated.add((method, f"{server.url}{path}", status))

    return tolerate


@pytest.fixture
def new_context(new_context, app, server) -> Iterator[Callable[..., BrowserContext]]:
    """Open a browser of its own: `new_context(java_script_enabled=False)`."""
    watcher = Watcher(server.url, server.tolerated)
    yield lambda **kwargs: watcher.watch(new_context(**kwargs))
    watcher.has_seen_no_problem()


@pytest.fixture
def new_visitor(new_context, app) -> Callable[..., Visitor]:
    """Seat somebody at a browser of their own, on the empty page: `new_visitor(java_script_enabled=False)`."""

    def make(**kwargs) -> Visitor:
        return Visitor(new_context(**kwargs).new_page(), app)

    return make


@pytest.fixture
def visitor(new_visitor) -> Visitor:
    """Somebody at a browser, in the place of the one of the HTTP tests."""
    return new_visitor()


@pytest.fixture
def stranger(new_visitor) -> Visitor:
    """Somebody else, at another browser."""
    return new_visitor()


class Enrolled(NamedTuple):
    """What somebody has who has been through the flow once: rows here, passkeys on their device."""

    instance: Path
    credentials: list[dict]


@pytest.fixture(scope="session")
def enrolled(browser, server, empty_database, tmp_path_factory) -> Iterator[Enrolled]:
    """The start of many stories, told once."""
    instance = tmp_path_factory.mktemp("enrolled")
    environ = databases.copy(empty_database, instance) | {"FLASK_SITE_URL": server.url}
    server.app = create_app(environ=environ, instance_path=str(instance))
    context = browser.new_context(base_url=server.url)
    visitor = Visitor(context.new_page(), server.app)
    visitor.sign_in_by_link()
    visitor.make_passkey()
    visitor.sign_out()
    credentials = visitor.device.credentials
    context.close()
    with server.app.app_context():
        # Closing the last connection moves all of it into one file.
        db.engine.dispose()
    yield Enrolled(instance, credentials)
    databases.drop(instance)


@pytest.fixture
def owner(enrolled, app, visitor) -> Visitor:
    """Somebody who has an account and a passkey, and is signed out."""
    databases.copy(enrolled.instance, Path(app.instance_path))
    visitor.device.hold(enrolled.credentials)
    return visitor


@pytest.fixture
def traffic(owner, base_url) -> list[str]:
    """Every request from here on, such as "POST /sign-in/passkey"."""
    seen: list[str] = []
    owner.page.context.on(
        "request", lambda request: seen.append(f"{request.method} {request.url.removeprefix(base_url)}")
    )
    return seen


@pytest.fixture(params=["immediate", "dialog"])
def cancelled(request, visitor) -> str:
    """What the page says where the button came to nothing, in browsers with immediate mediation and without."""
    if request.param == "immediate":
        return "No passkey was used on this device"
    visitor.page.add_init_script(NO_IMMEDIATE)
    return "You’re not signed in: the request was cancelled or took too long"
