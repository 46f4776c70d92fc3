"""What each chapter promises to show, done in Chromium as the text says it."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Page, expect

from learn.tutorial.blocks import CHAPTERS
from tests.browser.visitor import Device
from tests.tutorial import readers_folder

PICTURES = CHAPTERS / "pictures"

SHOWN = PICTURES / "shown.json"
"""What can be read in each picture."""

SITE_URL, EVIL_URL = "http://localhost:8000", "http://localhost:9000"
"""Where the text has the reader's program, and the other site of chapter 7."""

EVIL_SERVER = "python -m http.server 9000 --directory evil"


class Reader:
    """Somebody who follows the text, at one browser."""

    def __init__(self, browser: Browser, url: str, folder: Path):
        self.browser = browser
        self.url = url
        self.folder = folder
        self.page = self.open_browser().new_page()
        self.device = Device(self.page)

    def open_browser(self) -> BrowserContext:
        """Return another browser, or a private window."""
        context = self.browser.new_context(
            base_url=self.url, viewport={"width": 640, "height": 480}, color_scheme="light", reduced_motion="reduce"
        )
        context.set_default_timeout(10_000)
        return context

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()

    def sees(self, text: str) -> None:
        expect(self.page.locator("body")).to_contain_text(text)

    def is_at(self, path: str) -> None:
        expect(self.page).to_have_url(re.compile(re.escape(self.url + path) + r"\??$"))

    def ask(self, email: str) -> None:
        """Ask for a mail."""
        self.page.goto("/")
        self.page.get_by_role("link", name="Sign in", exact=True).click()
        self.ask_here(email)

    def ask_here(self, email: str) -> None:
        """Ask for a mail, on the sign-in page that is open."""
        self.page.get_by_label("Email").fill(email)
        self.press("Email me a sign-in link")
        self.is_at("/sign-in/check-email")
        self.sees(email)

    def link(self) -> str:
        """Return the newest link in the outbox."""
        self.page.goto("/")
        self.page.get_by_role("link", name="outbox").click()
        return self.page.locator("pre a").first.get_attribute("href") or ""

    def sign_in(self, email: str) -> None:
        self.ask(email)
        self.open_link()

    def open_link(self) -> None:
        """Open the newest link, and confirm."""
        self.page.goto(self.link())
        self.page.get_by_role("main").get_by_role("button", name="Sign in", exact=True).click()

    def sign_out(self) -> None:
        self.press("Sign out")
        self.is_at("/")

    def create_passkey(self) -> None:
        self.device.present = True
        self.press("Create a passkey")


def a_page_and_a_form(reader: Reader) -> None:
    reader.page.goto("/")
    reader.sees("One email. Then just your fingerprint.")
    reader.ask("you@example.com")
    reader.page.reload()
    reader.sees("you@example.com")
    reader.page.goto("/sign-in")


def a_mail(reader: Reader) -> None:
    reader.ask("ada@example.com")
    reader.page.goto("/sign-in")
    reader.page.get_by_label("Email").fill("ada@localhost")
    reader.press("Email me a sign-in link")
    reader.sees("That doesn’t look like an email address")
    assert "refused: invalid_email" in (reader.folder / "server.log").read_text()
    reader.page.get_by_role("link", name="outbox").click()
    reader.sees("To ada@example.com")


def a_link_nobody_can_forge(reader: Reader) -> None:
    reader.ask("you@example.com")
    link = reader.link()
    for forged in (f"{link}x", "/sign-in/link/ada@example.com"):
        reader.page.goto(forged)
        reader.sees("This link doesn’t work")
    reader.page.goto(link)
    reader.sees("You’ll be signed in as you@example.com in this browser.")


def works_once(reader: Reader) -> None:
    reader.sign_in("you@example.com")
    reader.sees("Hello, you@example.com.")
    reader.page.goto(reader.link())
    reader.sees("That was used already, and works only once.")


def signed_in_and_out(reader: Reader) -> None:
    reader.sign_in("you@example.com")
    reader.is_at("/account")
    reader.sign_out()
    reader.page.goto("/account")
    reader.sees("Email me a sign-in link")
    reader.sign_in("you@example.com")
    reader.sees("You’re signed in as you@example.com.")


def the_browser_that_asked(reader: Reader) -> None:
    reader.ask("you@example.com")
    private = reader.open_browser().new_page()
    private.goto(reader.link())
    body = private.locator("body")
    expect(body).to_contain_text("Another browser asked for this link")
    expect(private.get_by_role("button")).to_have_count(0)
    reader.page.goto("/sign-in/check-email")
    reader.page.get_by_label("Code").fill(private.locator("main strong").inner_text())
    reader.press("Sign in")
    reader.is_at("/account")
    reader.page = private


@contextmanager
def evil_site(folder: Path, site_url: str) -> Iterator[str]:
    """Serve the other site of chapter 7 until the block ends, at a free port. Yields its URL."""
    page = folder / "evil/index.html"
    page.write_text(page.read_text().replace(SITE_URL, site_url))
    port = str(readers_folder.free_port())
    url = EVIL_URL.replace("9000", port)
    with readers_folder.serving(folder, url, *EVIL_SERVER.replace("9000", port).split()):
        yield url


def only_from_our_own_pages(reader: Reader) -> None:
    reader.sign_in("you@example.com")
    with evil_site(reader.folder, reader.url) as evil:
        reader.page.goto(evil)
        reader.press("Show me the prize")
        reader.sees("Forbidden")
        reader.page.goto("/account")
        reader.sign_out()
        reader.page.goto(f"/sign-in?next={evil}")
        reader.ask_here("you@example.com")
        reader.open_link()
        reader.is_at("/account")
        reader.page.goto(reader.url.replace("localhost", "127.0.0.1"))
        reader.is_at("/")
        reader.page.goto(evil)
        reader.press("Show me the prize")


def what_a_device_makes(reader: Reader) -> None:
    reader.sign_in("new@example.com")
    reader.is_at("/account/welcome")
    reader.create_passkey()
    reader.is_at("/account/passkeys")
    shown = json.loads(reader.page.locator("body").inner_text())
    assert shown["browser"]["origin"] == reader.url
    assert shown["browser"]["type"] == "webauthn.create"
    assert [shown["device"][flag] for flag in ("up", "uv", "at")] == [True] * 3
    assert {"clientDataJSON", "attestationObject"} <= set(shown["whole answer"]["response"])
    reader.device.forget()
    reader.page.goto("/account/welcome")


def what_a_site_keeps(reader: Reader) -> None:
    reader.sign_in("you@example.com")
    # The account is older than the column's use in chapter 8, so the offer may come first.
    reader.page.goto("/account")
    reader.create_passkey()
    reader.sees("Your passkey is ready.")
    reader.press("Create a passkey")
    reader.sees("This device already has a passkey for this account.")
    reader.page.goto("/account")


def sign_in_with_a_passkey(reader: Reader) -> None:
    reader.sign_in("button@example.com")
    reader.is_at("/account/welcome")
    reader.create_passkey()
    reader.is_at("/account")
    reader.sign_out()
    reader.page.get_by_role("link", name="Sign in", exact=True).click()
    reader.press("Sign in with a passkey")
    reader.is_at("/account")
    reader.sign_out()
    reader.page.goto("/sign-in")


def rename_and_remove(reader: Reader) -> None:
    reader.sign_in("rename@example.com")
    reader.create_passkey()
    reader.page.get_by_label("Name").fill("My laptop")
    reader.press("Rename")
    reader.sees("The passkey has its new name.")
    picture = reader.page.content()
    assert "My laptop" in picture
    reader.sign_out()
    reader.page.goto("/sign-in")
    reader.press("Sign in with a passkey")
    reader.press("Remove")
    reader.sees("The passkey is removed.")
    reader.sign_out()
    reader.page.goto("/sign-in")
    reader.press("Sign in with a passkey")
    reader.sees("That passkey doesn’t belong to an account here.")
    reader.device.forget()
    reader.sign_in("rename@example.com")
    reader.create_passkey()
    reader.page.get_by_label("Name").fill("My laptop")
    reader.press("Rename")


def autofill(reader: Reader) -> None:
    reader.sign_in("autofill@example.com")
    reader.create_passkey()
    reader.sees("Your passkey is ready.")
    # The device agrees at once to what waits in the field: so the page that waits is left for the account.
    reader.sign_out()
    reader.page.goto("/sign-in", wait_until="commit")
    reader.is_at("/account")
    # The button ends what waits in the field, and what waits is begun again where the visitor cancels.
    reader.device.present = False
    reader.sign_out()
    reader.page.goto("/sign-in")
    assert reader.page.get_by_label("Email").get_attribute("autocomplete") == "username webauthn"
    reader.device.present = True
    reader.press("Sign in with a passkey")
    reader.is_at("/account")


STAGES: list[Callable[[Reader], None]] = [
    a_page_and_a_form,
    a_mail,
    a_link_nobody_can_forge,
    works_once,
    signed_in_and_out,
    the_browser_that_asked,
    only_from_our_own_pages,
    what_a_device_makes,
    what_a_site_keeps,
    sign_in_with_a_passkey,
    rename_and_remove,
    autofill,
]


def show(chapter: int, reader: Reader) -> None:
    """Do what the chapter says. Raises AssertionError where the program doesn't show what the text promises."""
    try:
        STAGES[chapter - 1](reader)
    except Exception as error:
        where = f"at {reader.page.url}, which says {reader.page.locator('body').inner_text()[:300]!r}"
        raise AssertionError(f"Chapter {chapter} doesn't show what it promises, {where}: {error}") from error


def words_of(page: Page) -> str:
    """Return what can be read on the page, without what is different each time."""
    text = page.locator("body").inner_text()
    text = re.sub(r"http://localhost:\d+", "http://localhost:8000", text)
    text = re.sub(r"\w{3}, \d\d \w{3} \d{4} [\d:]+ \S+", "DATE", text)
    text = re.sub(r"\b[A-Z0-9]{4}-[A-Z0-9]{4}\b", "CODE", text)
    return " ".join(re.sub(r"/sign-in/link/\S+", "/sign-in/link/TOKEN", text).split())
