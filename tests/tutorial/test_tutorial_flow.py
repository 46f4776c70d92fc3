"""The site's own browser tests of the flow, as they are, against the finished program; and races against it."""

import re
from concurrent.futures import ThreadPoolExecutor
from email import message_from_bytes, policy
from http.cookiejar import CookieJar
from importlib import import_module
from pathlib import Path
from threading import Barrier
from types import SimpleNamespace
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, HTTPRedirectHandler, Request, build_opener

import pytest

from learn.tutorial.blocks import build, last_chapter
from tests.browser import flow
from tests.browser.conftest import traffic  # noqa: F401
from tests.browser.flow.test_asking import *  # noqa: F403
from tests.browser.flow.test_autofill import *  # noqa: F403
from tests.browser.flow.test_button import *  # noqa: F403
from tests.browser.flow.test_cancelling import *  # noqa: F403
from tests.browser.flow.test_code import *  # noqa: F403
from tests.browser.flow.test_enrolling import *  # noqa: F403
from tests.browser.flow.test_link import *  # noqa: F403
from tests.browser.flow.test_signing_out import *  # noqa: F403
from tests.browser.flow.test_two_tabs import *  # noqa: F403
from tests.browser.flow.test_whole_flow import *  # noqa: F403
from tests.browser.visitor import Visitor
from tests.browser.watcher import Watcher
from tests.mails import CODE, Mail, text_of
from tests.tutorial import readers_folder


def test_no_test_of_the_flow_is_left_out():
    """A file that isn't imported would be, and so would a test with the name of another file's."""
    for path in Path(flow.__file__).parent.glob("test_*.py"):
        module = import_module(f"tests.browser.flow.{path.stem}")
        for name in re.findall(r"^def (test_\w+)", path.read_text(), flags=re.M):
            assert globals().get(name) is getattr(module, name), f"{path.name} {name} doesn't run against the program"


@pytest.fixture(scope="module")
def folder(base_url, tmp_path_factory):
    """The finished program, running."""
    folder = tmp_path_factory.mktemp("finished") / "my-site"
    readers_folder.write(build(last_chapter()), folder)
    with readers_folder.serving(folder, base_url, "python", "wsgi.py"):
        yield folder


class Guest(Visitor):
    """Somebody at the finished program, whose mail lies in the reader's folder."""

    def read_mail(self) -> Mail:
        path = max((self.app.folder / "instance/mail").glob("*.eml"))
        message = message_from_bytes(path.read_bytes(), policy=policy.default)
        link = re.search(r"/sign-in/link/\S+", text_of(message))[0]
        [code] = CODE.findall(text_of(message).replace(link, ""))
        return Mail(link, code, message)


@pytest.fixture
def new_visitor(new_context, folder, base_url):
    """Seat somebody at a browser of their own."""
    watcher = Watcher(base_url)
    yield lambda **kwargs: Guest(watcher.watch(new_context(**kwargs)).new_page(), SimpleNamespace(folder=folder))
    watcher.has_seen_no_problem()


@pytest.fixture(autouse=True)
def no_account(folder):
    """Forget the accounts of the test before."""
    import sqlite3  # the program's database, whatever the site's is

    with sqlite3.connect(folder / "instance/site.db") as database:
        for table in ("passkey", "session", "user"):
            database.execute(f"DELETE FROM {table}")
    database.close()


@pytest.fixture
def visitor(new_visitor) -> Guest:
    return new_visitor()


@pytest.fixture
def stranger(new_visitor) -> Guest:
    return new_visitor()


@pytest.fixture
def owner(visitor) -> Guest:
    """Somebody who has an account and a passkey, and is signed out."""
    visitor.sign_in_by_link()
    visitor.make_passkey()
    visitor.sign_out()
    return visitor


@pytest.fixture
def cancelled() -> str:
    """What the page says where the button came to nothing."""
    return "Nothing happened: the request was cancelled or took too long"


class _Stay(HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


def test_link_works_once_for_32_browsers_with_the_same_cookies(visitor, base_url):
    mail = visitor.ask()
    cookies = "; ".join(f"{cookie['name']}={cookie['value']}" for cookie in visitor.page.context.cookies())
    barrier = Barrier(32)

    def use(_) -> int:
        opener = build_opener(HTTPCookieProcessor(CookieJar()), _Stay)
        request = Request(base_url + mail.link, urlencode({}).encode(), {"Cookie": cookies, "Origin": base_url})
        barrier.wait()
        try:
            return opener.open(request, timeout=60).status
        except HTTPError as error:
            with error:
                return error.code

    with ThreadPoolExecutor(32) as threads:
        codes = sorted(threads.map(use, range(32)))
    assert codes == [303] + 31 * [400]


def test_page_that_refreshes_itself_still_leads_to_the_wanted_page(owner):
    owner.page.clock.install()
    owner.page.goto("/account?tab=2")
    with owner.page.expect_navigation():
        owner.page.clock.fast_forward(8 * 60 * 1000)
    owner.device.present = True
    owner.button("Sign in with a passkey").click()
    owner.page.wait_for_url("/account?tab=2")
