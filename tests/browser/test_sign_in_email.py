"""Signing in by email: the link, the code, and the browsers and tabs they may meet."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from playwright.sync_api import expect

from tests.browser.visitor import EMAIL

AFTER_THE_COUNTDOWN = timedelta(seconds=31)


def type_code(visitor, code):
    """Type the code where it was asked for, and send it."""
    visitor.field("Code").fill(code)
    visitor.field("Code").press("Enter")


def open_in_another_tab(visitor, path):
    """Open a page in a tab of its own, as mail programs do."""
    tab = visitor.another_tab()
    tab.goto(path)
    return tab


def test_a_link_opened_in_another_browser_shows_the_code_to_type_where_it_was_asked_for(visitor, stranger, base_url):
    mail = visitor.ask()

    stranger.goto(mail.link)
    main = stranger.page.get_by_role("main")
    expect(main).to_contain_text("Another browser asked for this link")
    expect(main).to_contain_text(mail.code)
    expect(main).to_contain_text("Chrome on Linux")
    expect(main).to_contain_text(base_url)
    expect(stranger.button("Sign in")).to_have_count(0)

    type_code(visitor, mail.code)
    visitor.is_at("/account/welcome")
    stranger.goto("/account")
    stranger.is_at("/sign-in?next=/account")


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


def test_another_browser_can_ask_for_a_link_of_its_own(visitor, stranger):
    stranger.goto(visitor.ask().link)
    stranger.page.get_by_role("link", name="Ask for a new link in this browser", exact=True).click()
    stranger.is_at("/sign-in")
    stranger.sign_in_by_link()


def test_the_code_may_be_typed_in_any_way_and_is_sent_by_the_visitor_only(visitor):
    code = visitor.ask().code
    visitor.field("Code").fill(f" {code.lower().replace('-', ' ')} ")
    visitor.is_at("/sign-in/check-email")

    visitor.button("Sign in").click()
    visitor.is_at("/account/welcome")


def test_a_wrong_code_is_told_and_a_reloaded_page_takes_the_right_one(visitor):
    code = visitor.ask().code
    wrong = "".join("3" if letter != "3" else "4" for letter in code)
    type_code(visitor, wrong)
    expect(visitor.alert).to_contain_text("That isn’t the code from the mail")

    visitor.page.reload()
    expect(visitor.alert).to_contain_text("That isn’t the code from the mail")
    type_code(visitor, code)
    visitor.is_at("/account/welcome")


def test_the_address_of_the_code_form_typed_again_leads_to_the_form(visitor):
    visitor.ask()
    visitor.goto("/sign-in/code")
    visitor.is_at("/sign-in/check-email")


def test_two_tabs_of_one_request_both_end_signed_in(visitor):
    other = visitor.another_tab()
    mail = visitor.ask()
    other.goto("/sign-in/check-email")

    type_code(visitor, mail.code)
    visitor.is_at("/account/welcome")
    type_code(other, mail.code)
    other.is_at("/account")
    other.is_signed_in()


def test_a_tab_that_waits_for_the_code_finds_itself_signed_in(visitor):
    link = visitor.ask().link
    tab = open_in_another_tab(visitor, link)
    tab.button("Sign in").click()
    tab.is_signed_in()

    visitor.page.reload()
    visitor.is_at("/account")
    visitor.is_signed_in()


def test_the_newest_address_counts_in_both_tabs(visitor):
    other = visitor.another_tab()
    visitor.ask("ada@example.com")
    newest = other.ask("grace@example.com")

    type_code(visitor, newest.code)
    visitor.is_signed_in("grace@example.com")


def test_a_link_clicked_twice_says_that_it_has_done_its_work(visitor):
    link = visitor.ask().link
    first, second = open_in_another_tab(visitor, link), open_in_another_tab(visitor, link)
    first.button("Sign in").click()
    first.is_at("/account/welcome")

    second.button("Sign in").click()
    expect(second.page.get_by_role("heading", level=1)).to_have_text("You’re signed in already")
    expect(second.alert).to_have_count(0)
    third = open_in_another_tab(visitor, link)
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


def test_a_link_used_before_says_so_to_whoever_is_signed_out(visitor):
    link = visitor.ask().link
    visitor.goto(link)
    visitor.button("Sign in").click()
    visitor.sign_out()

    visitor.goto(link)
    expect(visitor.alert).to_contain_text("only once")


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

        type_code(visitor, first.code)
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


def test_a_sign_in_page_that_was_open_before_signing_in_leads_to_another_account(visitor):
    early = visitor.another_tab()
    early.goto("/sign-in")
    visitor.sign_in_by_link("ada@example.com")

    early.field("Email").fill("grace@example.com")
    early.button("Email me a sign-in link").click()
    early.is_at("/sign-in/check-email")
    early.goto(early.read_mail().link)
    main = early.page.get_by_role("main")
    expect(main).to_contain_text(
        "You’re signed in as ada@example.com now. We’ll sign that account out in this browser."
    )
    early.button("Sign in").click()
    early.is_signed_in("grace@example.com")


def test_an_address_that_is_none_is_told_and_kept_for_correcting(visitor):
    visitor.goto("/sign-in")
    # Chromium takes it for an address, and we do not.
    visitor.field("Email").fill("ada@nowhere")
    visitor.button("Email me a sign-in link").click()
    expect(visitor.alert).to_contain_text("doesn’t look like an email address")
    expect(visitor.field("Email")).to_have_value("ada@nowhere")


def test_the_back_button_after_signing_out_does_not_show_the_account(visitor):
    visitor.sign_in_by_link()
    visitor.goto("/account")
    visitor.sign_out()

    visitor.page.go_back(wait_until="commit")
    visitor.is_at("/sign-in?next=/account")
    expect(visitor.page.get_by_role("banner").get_by_text(EMAIL)).to_have_count(0)


@pytest.mark.parametrize("by", ["link", "code"])
def test_the_wanted_page_is_kept(visitor, by):
    visitor.sign_in_by_link()
    visitor.sign_out()
    wanted = "/account?from=a-bookmark"

    visitor.goto(wanted)
    visitor.field("Email").fill(EMAIL)
    visitor.button("Email me a sign-in link").click()
    visitor.is_at("/sign-in/check-email")
    mail = visitor.read_mail()
    if by == "link":
        visitor.goto(mail.link)
        visitor.button("Sign in").click()
    else:
        type_code(visitor, mail.code)
    visitor.is_at(wanted)


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


def test_without_javascript_the_whole_email_flow_works_and_the_page_says_that_passkeys_need_it(new_visitor):
    visitor = new_visitor(java_script_enabled=False)
    visitor.goto("/sign-in")
    # Playwright reads no text of a <noscript>, but what is in it can be seen.
    needs_javascript = visitor.page.locator("noscript p")
    expect(needs_javascript).to_be_visible()
    expect(needs_javascript).to_contain_text("Passkeys need JavaScript")
    expect(visitor.button("Sign in with a passkey")).to_be_disabled()
    # None of the sentences that only a script may show.
    expect(visitor.alert).to_have_count(0)

    code = visitor.ask().code
    visitor.button("Send it again").click()
    expect(visitor.alert).to_contain_text("Wait a moment")
    type_code(visitor, code)
    visitor.is_at("/account/welcome")
    expect(needs_javascript).to_be_visible()
    visitor.button("Not now").click()
    visitor.is_at("/account")
    visitor.sign_out()

    visitor.sign_in_by_link()
    visitor.is_at("/account")
