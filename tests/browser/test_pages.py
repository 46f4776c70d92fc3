"""What holds for every page: it reads well for everybody, fits a small screen, is valid, and leads somewhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import html5lib
import time_machine
from axe_playwright_python.sync_playwright import Axe
from html5lib.constants import E
from playwright.sync_api import Page

from app import mailer
from app.sign_in_links import LINK_LIFETIME
from tests.browser.visitor import EMAIL, Visitor

# The longest address that there is, and no place in it to break a line: 254 characters.
LONGEST = "a" * 64 + "@" + ".".join(["b" * 63, "c" * 63, "d" * 53, "example"])

NARROW, WIDE = 360, 1280

# The source of axe: half a megabyte, which each browser gets once, as a script that begins every page.
AXE = Axe().axe_script


def signed_out(visitor: Visitor, stranger: Visitor, email: str) -> Iterator[Visitor]:
    """Go through what somebody sees who isn't signed in, up to the page that signs in."""
    visitor.goto("/")
    yield visitor
    visitor.goto("/dev/mail/")
    yield visitor
    visitor.goto("/dev/doctor")
    yield visitor
    visitor.goto("/nothing-here")
    yield visitor
    visitor.goto("/sign-out")
    yield visitor

    visitor.goto("/sign-in")
    yield visitor
    show_every_failure(visitor)
    yield visitor
    send_as_it_is(visitor, "passkey-sign-in form")
    visitor.alert.wait_for()
    yield visitor
    visitor.goto("/sign-in")
    visitor.field("Email").fill("nobody@nowhere")
    visitor.button("Email me a sign-in link").click()
    visitor.alert.wait_for()
    yield visitor

    # A link that another address takes the place of, before it is confirmed.
    replaced = visitor.ask("somebody-else@example.com").link
    visitor.goto(replaced)
    tab = visitor.another_tab()
    link = tab.ask(email).link
    yield tab
    visitor.button("Sign in").click()
    visitor.alert.wait_for()
    yield visitor

    send_as_it_is(tab, ".beside form")
    tab.alert.wait_for()
    yield tab
    tab.field("Code").fill("wrong")
    with answer_of(tab):
        tab.button("Sign in").click()
    tab.alert.wait_for()
    yield tab

    visitor.goto("/dev/mail/")
    yield visitor
    visitor.goto(f"/dev/mail/{newest_mail(visitor)}")
    yield visitor
    visitor.goto("/sign-in/link/cut-off")
    yield visitor
    with time_machine.travel(datetime.now(UTC) + LINK_LIFETIME + timedelta(seconds=1)):
        visitor.goto(link)
        yield visitor
    stranger.goto(link)
    yield stranger
    visitor.goto(link)
    yield visitor


def signed_in(visitor: Visitor, elsewhere: Visitor, email: str) -> Iterator[Visitor]:
    """Go on from the page that signs in, through all that is the visitor's own, and out again."""
    link = visitor.page.url
    visitor.button("Sign in").click()
    visitor.is_at("/account/welcome")
    yield visitor
    send_as_it_is(visitor, "passkey-registration form")
    visitor.alert.wait_for()
    yield visitor
    visitor.goto("/account")
    yield visitor
    show_every_failure(visitor)
    yield visitor
    send_as_it_is(visitor, "passkey-registration form")
    visitor.alert.wait_for()
    yield visitor
    visitor.goto("/account/welcome")
    visitor.button("Don’t ask again").click()
    visitor.is_at("/account")
    yield visitor

    visitor.make_passkey()
    for choice in ("Rename", "Remove"):
        visitor.page.locator("summary").get_by_text(choice).click()
        yield visitor
    yield from of_the_account(visitor, elsewhere, email)
    visitor.goto("/account")
    visitor.page.locator("summary").get_by_text("Remove").click()
    visitor.button("Remove").click()
    visitor.page.get_by_role("status").wait_for()
    yield visitor
    visitor.goto("/")
    yield visitor
    visitor.goto(link)
    yield visitor

    tab = visitor.another_tab()
    tab.goto("/account")
    visitor.goto("/account")
    visitor.sign_out()
    yield visitor
    visitor.goto(link)
    yield visitor
    send_as_it_is(tab, "passkey-registration form")
    tab.alert.wait_for()
    yield tab


def of_the_account(visitor: Visitor, elsewhere: Visitor, email: str) -> Iterator[Visitor]:
    """Go through what the account page leads to, and through fresh proof."""
    for path in ("/account/activity", "/account/activity?kind=email_changed", "/account/delete", "/account/email"):
        visitor.goto(path)
        yield visitor
    visitor.field("Email").fill("nobody@nowhere")
    visitor.button("Email me a code").click()
    visitor.alert.wait_for()
    yield visitor
    visitor.field("Email").fill("b" + email[1:])
    visitor.button("Email me a code").click()
    visitor.field("Code").fill("CDFG-HJKM")
    yield visitor
    visitor.button("Change the address").click()
    visitor.alert.wait_for()
    yield visitor
    visitor.goto("/account/confirm")
    yield visitor
    show_every_failure(visitor)
    yield visitor
    visitor.button("Email me a code").click()
    visitor.field("Code").fill("CDFG-HJKM")
    yield visitor
    visitor.button("Confirm").click()
    visitor.alert.wait_for()
    yield visitor
    yield from of_the_second_step(visitor, elsewhere, email)
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=1)):
        visitor.goto("/account")
        yield visitor
        visitor.page.locator("summary").get_by_text("Remove").click()
        visitor.button("Remove").click()
        visitor.alert.wait_for()
        yield visitor


def of_the_second_step(visitor: Visitor, elsewhere: Visitor, email: str) -> Iterator[Visitor]:
    """Go through requiring a passkey, what that leads to, and back."""
    for path in ("/account/require-passkey", "/account/recovery-codes"):
        visitor.goto(path)
        yield visitor
    with answer_of(visitor):
        visitor.button("Make recovery codes").click()
    yield visitor
    [code, *_] = visitor.page.locator(".codes").get_by_role("listitem").all_text_contents()
    visitor.goto("/account/require-passkey")
    visitor.field("Code").fill("wrong")
    visitor.button("Require a passkey").click()
    visitor.alert.wait_for()
    yield visitor
    visitor.field("Code").fill(code)
    visitor.button("Require a passkey").click()
    visitor.is_at("/account")
    yield visitor
    for path in ("/account/require-passkey", "/account/recovery-codes", "/account/confirm"):
        visitor.goto(path)
        yield visitor
    elsewhere.goto(elsewhere.ask(email).link)
    elsewhere.button("Sign in").click()
    elsewhere.page.get_by_role("heading", name="One more step").wait_for()
    yield elsewhere
    show_every_failure(elsewhere)
    yield elsewhere
    elsewhere.field("Code").fill("wrong")
    with answer_of(elsewhere):
        elsewhere.button("Sign in").click()
    elsewhere.alert.wait_for()
    yield elsewhere
    elsewhere.field("Code").fill(code)
    elsewhere.button("Sign in").click()
    elsewhere.is_at("/account")
    yield elsewhere
    visitor.goto("/account/require-passkey")
    visitor.button("Stop requiring a passkey").click()
    visitor.is_at("/account")
    yield visitor


def every_page(new_visitor, email: str = EMAIL, **look) -> Iterator[Visitor]:
    """Go through every page and every state that one can be brought to; each step leaves one to look at."""
    visitor, stranger = new_visitor(**look), new_visitor(**look)
    yield from signed_out(visitor, stranger, email)
    yield from signed_in(visitor, stranger, email)


def show_every_failure(visitor: Visitor) -> None:
    """Reveal the sentences that wait for a script."""
    visitor.page.locator("[data-failure]").evaluate_all("(all) => all.forEach((each) => { each.hidden = false })")


@contextmanager
def answer_of(visitor: Visitor) -> Iterator[None]:
    """Wait until the page is there that a form is answered with: an alert may be on the page before it, too."""
    with visitor.page.expect_navigation():
        yield


def send_as_it_is(visitor: Visitor, form: str) -> None:
    """Send a form that its button or script would hold back."""
    with answer_of(visitor):
        visitor.page.locator(form).evaluate("(form) => form.submit()")


def newest_mail(visitor: Visitor) -> str:
    """The name of the newest message of the outbox."""
    return max(mailer.outbox(visitor.app).glob("*.eml")).stem


def test_every_page_is_accessible_and_valid_and_leads_somewhere(new_visitor):
    def with_axe(**look) -> Visitor:
        visitor = new_visitor(**look)
        visitor.page.context.add_init_script(AXE)
        return visitor

    followed: set[str] = set()
    for visitor in every_page(with_axe):
        assert_valid(visitor.source, visitor.page.url)
        assert_leads_somewhere(visitor, followed)
        for width, scheme in ((NARROW, "light"), (WIDE, "dark")):
            visitor.page.set_viewport_size({"width": width, "height": 800})
            visitor.page.emulate_media(color_scheme=scheme)
            assert_axe_finds_nothing(visitor.page)
    assert {"/", "/sign-in", "/sign-in/code", "/account", "/account/passkeys", "/dev/mail/"} <= followed


def test_nothing_is_wider_than_the_smallest_screen(new_visitor):
    assert len(LONGEST) == 254
    for visitor in every_page(new_visitor, email=LONGEST, viewport={"width": NARROW, "height": 800}):
        assert visitor.page.evaluate("document.documentElement.scrollWidth") <= NARROW, visitor.page.url


def test_nothing_scrolls_sideways_with_text_twice_as_large(new_visitor):
    for visitor in every_page(new_visitor, viewport={"width": NARROW, "height": 800}):
        visitor.page.evaluate("document.documentElement.style.fontSize = '200%'")
        assert visitor.page.evaluate("document.documentElement.scrollWidth") <= NARROW, visitor.page.url


def test_the_header_is_one_row_however_long_the_address(visitor):
    visitor.page.set_viewport_size({"width": NARROW, "height": 800})
    visitor.sign_in_by_link(LONGEST)
    boxes = [each.bounding_box() for each in visitor.page.get_by_role("banner").locator("a, button").all()]
    middles = [box["y"] + box["height"] / 2 for box in boxes]
    assert max(middles) - min(middles) < 2


def test_the_mail_is_accessible_and_valid(visitor):
    visitor.ask()
    mail = visitor.fetch(f"/dev/mail/{newest_mail(visitor)}/html").text
    assert_valid(mail, "the mail")
    # In its frame on the site no script may run, and axe is one.
    visitor.page.context.add_init_script(AXE)
    page = visitor.page.context.new_page()
    page.set_content(mail)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        # Landmarks are for finding one's way about a site.
        assert_axe_finds_nothing(page, {"region": {"enabled": False}, "landmark-one-main": {"enabled": False}})


def assert_axe_finds_nothing(page: Page, rules: dict | None = None) -> None:
    """Assert that axe has nothing to say. The frame of a mail is left out: the site's policy keeps axe out of it."""
    # Without the details of the rules that are kept, which take a third of the time.
    options = {"iframes": False, "rules": rules or {}, "resultTypes": ["violations"]}
    found = page.evaluate("(options) => axe.run(options).then((results) => results.violations)", options)
    assert not found, f"{page.url}: {[(each['id'], each['nodes'][0]['html']) for each in found]}"


def assert_valid(source: str, where: str) -> None:
    """Assert that an HTML parser has nothing to forgive."""
    parser = html5lib.HTMLParser()
    parser.parse(source)
    problems = [f"{E[code] % values} (line {line})" for (line, _), code, values in parser.errors]
    assert not problems, f"{where}: {problems}"


def assert_leads_somewhere(visitor: Visitor, followed: set[str]) -> None:
    """Assert that what the page links to is there, and so is a page at the address of each form: they are reloaded.

    `followed` is what has been looked at before, and grows.
    """
    page, site_url = visitor.page, visitor.app.config["SITE_URL"]
    addresses = page.locator("a:not([href^='#']), link, form").evaluate_all(
        "(all) => all.map((each) => each.href ?? each.action)"
    )
    for address in addresses:
        if address.startswith("data:"):
            continue
        assert address.startswith(site_url), f"{page.url} leads to {address}"
        path = address.removeprefix(site_url)
        # The one address that is a form's and nothing else.
        if path not in followed | {"/sign-out"}:
            followed.add(path)
            status = visitor.fetch(path).status_code
            assert status in (200, 303), f"{page.url} leads to {address}, and that answers {status}"
