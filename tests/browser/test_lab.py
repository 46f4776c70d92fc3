"""The lab, in Chromium: a run by button, how the pages fit, and what assistive technology meets."""

from collections.abc import Iterator

import pytest
from flask import Flask
from playwright.sync_api import expect

import learn
from learn.lab import results
from tests.browser.test_pages import AXE, NARROW, WIDE, assert_axe_finds_nothing, assert_leads_somewhere
from tests.browser.visitor import Visitor

# A refusal, an attack that takes several cuts, many requests at once, and a ceremony.
PAGES = (
    "/lab/",
    "/lab/link_used_twice",
    "/lab/link_of_a_stranger",
    "/lab/link_in_32_threads",
    "/lab/phishing_site",
    "/lab/code_guessed",
)


@pytest.fixture
def app(app, monkeypatch) -> Flask:
    """The site with its teaching parts, and without any run so far."""
    monkeypatch.setattr(results, "_last", {})
    learn.init_app(app, {})
    return app


def states(visitor: Visitor) -> Iterator[str]:
    """Go through the pages, as they are and with everything open."""
    for path in PAGES:
        visitor.goto(path)
        yield path
        visitor.page.locator("details").evaluate_all("(all) => all.forEach((each) => { each.open = true })")
        yield f"{path}, everything open"


def test_attack_is_run_by_button_with_and_without_the_defence(new_visitor):
    visitor = new_visitor(java_script_enabled=False)
    visitor.goto("/")
    visitor.page.get_by_role("link", name="Attack it").first.click()
    visitor.page.get_by_role("link", name="A link is used twice").click()
    as_it_is, without = visitor.page.locator("#as-it-is"), visitor.page.locator("#without")

    visitor.page.get_by_role("button", name="Run it", exact=True).click()
    expect(as_it_is.get_by_text("run just now")).to_be_visible()
    expect(as_it_is.get_by_role("heading", name="As it is")).to_be_in_viewport()
    expect(as_it_is.get_by_role("heading", name="Refused: already_used")).to_be_visible()
    expect(as_it_is.get_by_role("listitem").last).to_contain_text("Eve is not signed in as ada@example.com.")
    expect(as_it_is.get_by_text("A copy of the site starts")).to_be_hidden()

    visitor.page.get_by_role("button", name="Run it without the defence").click()
    expect(without.get_by_text("run just now")).to_be_visible()
    expect(without.get_by_role("heading", name="With this defence cut out")).to_be_in_viewport()
    expect(without.get_by_role("heading", name="Eve is signed in as Ada.")).to_be_visible()
    expect(without.get_by_role("listitem").last).to_contain_text("Eve is signed in as ada@example.com.")

    visitor.page.get_by_role("link", name="The lab").click()
    expect(visitor.page.get_by_text("1 seen without the defence")).to_be_visible()


def test_steps_of_both_runs_are_on_the_same_lines(visitor):
    visitor.page.set_viewport_size({"width": WIDE, "height": 800})
    visitor.goto("/lab/link_used_twice")
    tops = [
        [item.bounding_box()["y"] for item in visitor.page.locator(f"{run} .deeds > li").all()]
        for run in ("#as-it-is", "#without")
    ]
    assert len(tops[0]) > 5
    assert tops[0] == tops[1]


def test_number_of_a_step_leads_to_its_line_of_the_attack(visitor):
    visitor.goto("/lab/link_used_twice")
    visitor.page.locator("#as-it-is a.no").last.click()
    expect(visitor.page.locator(".program :target")).to_have_text("return eve.is_signed_in_as(ADA)")
    expect(visitor.page.locator(".program :target")).to_be_in_viewport()


def test_pages_are_accessible_and_fit_every_screen(visitor):
    visitor.page.context.add_init_script(AXE)
    for state in states(visitor):
        for width, scheme in ((NARROW, "light"), (WIDE, "dark"), (NARROW, "dark"), (WIDE, "light")):
            visitor.page.set_viewport_size({"width": width, "height": 800})
            visitor.page.emulate_media(color_scheme=scheme)
            assert visitor.page.evaluate("document.documentElement.scrollWidth") <= width, f"{state} at {width}"
            assert_axe_finds_nothing(visitor.page)


def test_pages_fit_with_text_twice_as_large(visitor):
    visitor.page.set_viewport_size({"width": NARROW, "height": 800})
    for state in states(visitor):
        visitor.page.evaluate("document.documentElement.style.fontSize = '200%'")
        assert visitor.page.evaluate("document.documentElement.scrollWidth") <= NARROW, state


def test_links_of_the_pages_lead_somewhere(visitor):
    followed: set[str] = set()
    for path in PAGES:
        visitor.goto(path)
        visitor.page.locator("a[href^='https://']").evaluate_all("(all) => all.forEach((each) => each.remove())")
        assert_leads_somewhere(visitor, followed)
