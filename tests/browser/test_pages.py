"""What holds for every page: it reads well for everybody, fits a small screen, is valid, and leads somewhere."""

from urllib.parse import urlsplit

import html5lib
import pytest
from axe_playwright_python.sync_playwright import Axe
from html5lib.constants import E

from app import mailer
from tests.browser.visitor import EMAIL, Visitor

# The longest address that there is: 254 characters.
LONG = "a" * 64 + "@" + ".".join(["b" * 60, "c" * 60, "d" * 60, "example"])[:189].rstrip(".")

LOOKS = [(360, "light"), (360, "dark"), (1280, "light"), (1280, "dark")]


def signed_out_pages(visitor: Visitor, stranger: Visitor, email: str):
    """Go through what somebody sees who isn't signed in; each step leaves a page to look at."""
    visitor.goto("/")
    yield visitor.page
    visitor.goto("/dev/mail/")
    yield visitor.page
    visitor.goto("/sign-in")
    yield visitor.page
    # The browser would stop this itself: its own bubble isn't the site's.
    visitor.page.get_by_label("Email").evaluate("(field) => (field.type = 'text')")
    visitor.field("Email").fill("nobody")
    visitor.button("Email me a sign-in link").click()
    visitor.alert.wait_for()
    yield visitor.page
    link = visitor.ask(email).link
    yield visitor.page
    visitor.field("Code").fill("wrong")
    visitor.button("Sign in").click()
    visitor.alert.wait_for()
    yield visitor.page
    visitor.goto("/dev/mail/")
    yield visitor.page
    visitor.goto(f"/dev/mail/{max(mailer.outbox(visitor.app).glob('*.eml')).stem}")
    yield visitor.page
    stranger.goto(link)
    yield stranger.page
    visitor.goto(link)
    yield visitor.page
    for dead in ("/sign-in/link/x", "/nothing-here"):
        visitor.goto(dead)
        yield visitor.page


def signed_in_pages(visitor: Visitor, email: str):
    """Go through what somebody sees who is."""
    link = visitor.read_mail().link
    visitor.goto(link)
    visitor.button("Sign in").click()
    visitor.is_at("/account/welcome")
    yield visitor.page
    visitor.goto("/account")
    yield visitor.page
    visitor.make_passkey()
    visitor.page.locator("summary").click()
    yield visitor.page
    visitor.device.present = True
    visitor.button("Create a passkey").click()
    visitor.alert.wait_for()
    visitor.device.present = False
    yield visitor.page
    visitor.goto(link)
    yield visitor.page
    visitor.sign_out()
    yield visitor.page
    visitor.goto(link)
    yield visitor.page


def every_page(new_visitor, email: str = EMAIL, **look):
    """Go through every page and every state that one can be brought to."""
    visitor, stranger = new_visitor(**look), new_visitor(**look)
    yield from signed_out_pages(visitor, stranger, email)
    yield from signed_in_pages(visitor, email)


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_axe_finds_nothing(new_visitor, width, scheme):
    for page in every_page(new_visitor, viewport={"width": width, "height": 800}, color_scheme=scheme):
        # Its own policy keeps axe's script out of the frame of a mail.
        found = Axe().run(page, options={"iframes": False}).response["violations"]
        assert not found, f"{page.url}: {[(each['id'], each['nodes'][0]['html']) for each in found]}"


def test_nothing_is_wider_than_the_smallest_screen(new_visitor):
    assert len(LONG) == 254
    for page in every_page(new_visitor, email=LONG, viewport={"width": 360, "height": 800}):
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, page.url


def test_every_page_is_valid_and_its_links_lead_somewhere(new_visitor):
    links: set[str] = set()
    for page in every_page(new_visitor):
        # As the server wrote it: what Chromium has parsed is forgiven already.
        assert_valid(page.request.get(page.url).text(), page.url)
        links |= {link.get_attribute("href") or "" for link in page.locator("a[href], link[href]").all()}
    local = {link for link in links if not urlsplit(link).scheme and not link.startswith("#")}
    assert {"/", "/sign-in", "/dev/mail/", "/account"} <= local
    for link in local:
        assert page.request.get(link, max_redirects=0).status in (200, 303), link


def assert_valid(source: str, where: str) -> None:
    """Assert that an HTML parser has nothing to forgive, but for the elements that are the site's own."""
    parser = html5lib.HTMLParser()
    parser.parse(source)
    problems = [E[code] % values for _, code, values in parser.errors]
    assert not problems, f"{where}: {problems}"
