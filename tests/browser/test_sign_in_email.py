"""Signing in by email: what the site adds to the flow (`flow/`)."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from playwright.sync_api import expect

from tests.browser.visitor import EMAIL

AFTER_THE_COUNTDOWN = timedelta(seconds=31)


def test_a_link_opened_in_another_browser_names_the_browser_that_asked(visitor, stranger):
    stranger.goto(visitor.ask().link)
    expect(stranger.page.get_by_role("main")).to_contain_text("Chrome on Linux")


def test_a_link_is_in_no_referer(visitor, stranger, base_url):
    """The static files of its page are asked for with the site's name alone: a proxy may log what is asked for."""
    link = visitor.ask().link
    for who in (visitor, stranger):
        requests = []
        who.page.on("request", lambda request, seen=requests: seen.append(request))
        who.goto(link)
        referers = [request.all_headers().get("referer") for request in requests if "/static/" in request.url]
        assert f"{base_url}/" in referers
        assert not [referer for referer in referers if referer and "/sign-in/link/" in referer]


def test_the_address_of_the_code_form_typed_again_leads_to_the_form(visitor):
    visitor.ask()
    visitor.goto("/sign-in/code")
    visitor.is_at("/sign-in/check-email")


def test_a_link_clicked_twice_says_that_it_has_done_its_work(visitor):
    link = visitor.ask().link
    first, second, third = (visitor.another_tab() for _ in range(3))
    for tab in (first, second):
        tab.goto(link)
    first.button("Sign in").click()
    first.is_at("/account/welcome")

    second.button("Sign in").click()
    expect(second.page.get_by_role("heading", level=1)).to_have_text("You’re signed in already")
    expect(second.alert).to_have_count(0)
    third.goto(link)
    expect(third.page.get_by_role("heading", level=1)).to_have_text("You’re signed in already")


def test_a_second_click_on_sign_in_sends_nothing_more(visitor):
    link = visitor.ask().link
    visitor.goto(link)
    button = visitor.button("Sign in").bounding_box()
    posts = []

    def click_again(route):
        posts.append(route.request)
        visitor.page.mouse.click(button["x"] + 10, button["y"] + 10)
        route.continue_()

    visitor.page.route(f"**{link}", click_again)
    visitor.page.mouse.click(button["x"] + 10, button["y"] + 10)
    visitor.is_at("/account/welcome")
    assert len(posts) == 1


def test_sending_again_waits_for_the_countdown_and_keeps_the_first_mails_code(visitor):
    visitor.page.clock.install()
    first = visitor.ask()
    again = visitor.button("Send it again")
    expect(again).to_be_disabled()

    with time_machine.travel(datetime.now(UTC) + AFTER_THE_COUNTDOWN):
        visitor.page.clock.run_for(int(AFTER_THE_COUNTDOWN.total_seconds() * 1000))
        again.click()
        expect(again).to_be_disabled()
        second = visitor.read_mail()
        assert second.link != first.link

        visitor.type_code(first.code)
        visitor.is_at("/account/welcome")


@pytest.mark.parametrize("which", ["first", "second"])
def test_after_sending_again_either_link_signs_in(visitor, which):
    links = {"first": visitor.ask().link}
    with time_machine.travel(datetime.now(UTC) + AFTER_THE_COUNTDOWN):
        visitor.page.reload()
        visitor.button("Send it again").click()
        expect(visitor.button("Send it again")).to_be_disabled()
        links["second"] = visitor.read_mail().link

        visitor.goto(links[which])
        visitor.button("Sign in").click()
        visitor.is_at("/account/welcome")


def test_three_clicks_after_the_address_the_visitor_is_signed_in(visitor):
    visitor.goto("/sign-in")
    visitor.field("Email").fill(EMAIL)
    visitor.button("Email me a sign-in link").click()
    visitor.page.get_by_role("link", name="Open the mail", exact=True).click()
    visitor.button("Sign in with this code").click()
    visitor.is_at("/account/welcome")


def test_the_mail_is_one_click_away_and_its_link_opens_in_the_whole_window(visitor):
    link = visitor.ask().link
    visitor.page.get_by_role("link", name="Open the mail", exact=True).click()
    mail = visitor.page.frame_locator("iframe")
    mail.get_by_role("link", name="Open the sign-in page", exact=True).click()
    visitor.is_at(link)
    visitor.button("Sign in").click()
    visitor.is_at("/account/welcome")


def test_the_mails_page_leads_back_to_where_its_code_is_typed(visitor):
    code = visitor.ask().code
    visitor.page.get_by_role("link", name="Open the mail", exact=True).click()
    expect(visitor.page.get_by_role("main")).to_contain_text(code)
    visitor.page.get_by_role("link", name="Go back and type the code", exact=True).click()
    visitor.is_at("/sign-in/check-email")


def test_a_mail_is_shown_as_html_as_text_or_with_its_headers(visitor):
    link = visitor.ask().link
    visitor.page.get_by_role("link", name="Open the mail", exact=True).click()
    expect(visitor.page.locator("iframe")).to_be_visible()
    visitor.page.get_by_role("radio", name="Text", exact=True).check()
    expect(visitor.page.locator("iframe")).to_be_hidden()
    expect(visitor.page.get_by_role("region", name="The mail as text")).to_contain_text(link)
    visitor.page.keyboard.press("ArrowRight")
    expect(visitor.page.get_by_role("region", name="headers")).to_contain_text("Auto-Submitted")


def test_a_link_of_another_account_says_which_account_it_ends_here(visitor):
    early = visitor.another_tab()
    early.goto("/sign-in")
    visitor.sign_in_by_link("ada@example.com")

    early.field("Email").fill("grace@example.com")
    early.button("Email me a sign-in link").click()
    early.is_at("/sign-in/check-email")
    early.goto(early.read_mail().link)
    expect(early.page.get_by_role("main")).to_contain_text(
        "You’re signed in as ada@example.com now. We’ll sign that account out in this browser."
    )


def test_without_javascript_asking_again_too_soon_is_refused(new_visitor):
    visitor = new_visitor(java_script_enabled=False)
    code = visitor.ask().code
    visitor.button("Send it again").click()
    expect(visitor.alert).to_contain_text("Wait a moment")
    visitor.type_code(code)
    visitor.is_at("/account/welcome")
