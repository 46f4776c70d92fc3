"""The site's own browser tests of the flow, as they are, against the finished program; and races against it."""

import re
from concurrent.futures import ThreadPoolExecutor
from email import message_from_bytes, policy
from http.cookiejar import CookieJar
from threading import Barrier
from types import SimpleNamespace
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, HTTPRedirectHandler, Request, build_opener

import pytest

from learn.tutorial.blocks import build, last_chapter
from tests.browser.test_flow import test_a_link_lets_you_in_and_a_passkey_brings_you_back  # noqa: F401
from tests.browser.test_sign_in_email import (  # noqa: F401
    test_a_wrong_code_is_told_and_a_reloaded_page_takes_the_right_one,
    test_another_browser_can_ask_for_a_link_of_its_own,
    test_the_code_may_be_typed_in_any_way_and_is_sent_by_the_visitor_only,
)
from tests.browser.test_sign_in_passkey import (  # noqa: F401
    test_a_browser_without_autofill_for_passkeys_has_the_button,
    test_a_passkey_of_the_typed_account_signs_in,
    test_autofill_signs_in_with_one_post,
    test_the_button_signs_in_with_one_post,
    test_two_tabs_do_not_spoil_each_other,
    traffic,
)
from tests.browser.visitor import Visitor
from tests.mails import CODE, Mail, text_of
from tests.tutorial import readers_folder


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
def new_visitor(browser, folder, base_url):
    """Seat somebody at a browser of their own."""
    contexts = []

    def make() -> Guest:
        contexts.append(browser.new_context(base_url=base_url))
        contexts[-1].set_default_timeout(10_000)
        return Guest(contexts[-1].new_page(), SimpleNamespace(folder=folder, config={"SITE_URL": base_url}))

    yield make
    for context in contexts:
        context.close()


@pytest.fixture(autouse=True)
def no_account(folder):
    """Forget the accounts of the test before."""
    import sqlite3

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
