"""Look inside, in Chromium: choosing a message, how the pages fit, and what assistive technology meets."""

from collections.abc import Iterator

import pytest
from flask import Flask
from playwright.sync_api import expect

import learn
from tests.browser.test_pages import AXE, NARROW, WIDE, assert_axe_finds_nothing, assert_leads_somewhere
from tests.browser.visitor import Visitor

PAGES = (
    "/inside/",
    "/inside/example",
    "/inside/example/refused",
    "/inside/code/authentication/origin",
    "/inside/newest",
)


@pytest.fixture
def app(app) -> Flask:
    """The site with its teaching parts."""
    learn.init_app(app, {})
    return app


@pytest.fixture
def member(visitor) -> Visitor:
    """Somebody who is signed in, and has just created a passkey."""
    visitor.page.context.add_init_script(AXE)
    visitor.sign_in_by_link()
    visitor.make_passkey()
    return visitor


def shown_message(visitor: Visitor) -> list[str]:
    """Return the ids of the messages that are shown."""
    sections = visitor.page.locator(".messages > section")
    return [each.get_attribute("id") or "" for each in sections.all() if each.is_visible()]


def states(visitor: Visitor) -> Iterator[str]:
    """Go through the pages, and through the messages of one of them."""
    for path in PAGES:
        visitor.goto(path)
        yield path
    for number in range(1, 7):
        visitor.goto(f"/inside/newest#m{number}")
        yield f"message {number}"
    visitor.page.locator("details").evaluate_all("(all) => all.forEach((each) => { each.open = true })")
    yield "everything open"


def test_a_click_on_a_message_selects_it(member):
    member.page.get_by_role("link", name="See what happened").click()
    expect(member.page.get_by_role("heading", name="Created a passkey")).to_be_visible()
    assert shown_message(member) == ["m4"]
    for number, title in ((1, "A page with a request"), (5, "POST /account/passkeys"), (4, "A new public key")):
        member.page.get_by_role("navigation", name="Messages").first.get_by_role("link", name=title).click()
        expect(member.page.get_by_role("heading", name=title)).to_be_in_viewport()
        assert shown_message(member) == [f"m{number}"]
    member.page.get_by_role("link", name="Message 3").click()
    assert shown_message(member) == ["m3"]


def test_a_click_on_bytes_leads_to_their_meaning_and_back(member):
    member.goto("/inside/newest")
    member.page.locator("a.range", has_text="Flags").click()
    expect(member.page.locator("#b-flags")).to_be_in_viewport()
    assert shown_message(member) == ["m4"]
    member.page.locator("#b-flags").get_by_role("link", name="Flags").click()
    expect(member.page.locator("#bx-flags")).to_be_in_viewport()


def test_messages_are_selected_without_scripts(new_visitor):
    visitor = new_visitor(java_script_enabled=False)
    visitor.goto("/inside/example")
    visitor.page.get_by_role("link", name="A page with a question").click()
    expect(visitor.page.locator("#m1")).to_be_visible()
    expect(visitor.page.locator("#m4")).to_be_hidden()


def test_a_raw_form_can_be_copied(new_visitor):
    visitor = new_visitor(permissions=["clipboard-read", "clipboard-write"])
    visitor.goto("/inside/example#m2")
    visitor.page.get_by_text("The JSON itself").click()
    visitor.page.locator("#m2").get_by_role("button", name="Copy").first.click()
    visitor.page.get_by_role("button", name="Copied").wait_for()
    assert '"type":"webauthn.get"' in visitor.page.evaluate("navigator.clipboard.readText()")


def test_pages_are_accessible_and_fit_every_screen(member):
    for state in states(member):
        for width, scheme in ((NARROW, "light"), (WIDE, "dark"), (NARROW, "dark"), (WIDE, "light")):
            member.page.set_viewport_size({"width": width, "height": 800})
            member.page.emulate_media(color_scheme=scheme)
            assert member.page.evaluate("document.documentElement.scrollWidth") <= width, f"{state} at {width}"
            assert_axe_finds_nothing(member.page)


def test_pages_fit_with_text_twice_as_large(member):
    member.page.set_viewport_size({"width": NARROW, "height": 800})
    for state in states(member):
        member.page.evaluate("document.documentElement.style.fontSize = '200%'")
        assert member.page.evaluate("document.documentElement.scrollWidth") <= NARROW, state


def test_links_of_the_pages_lead_somewhere(member):
    followed: set[str] = set()
    for path in PAGES:
        member.goto(path)
        member.page.locator("a[href^='https://www.w3.org/']").evaluate_all(
            "(all) => all.forEach((each) => each.remove())"
        )
        assert_leads_somewhere(member, followed)
