"""Asking for the sign-in mail."""

from playwright.sync_api import expect


def test_an_address_that_is_none_is_told_and_kept_for_correcting(visitor):
    visitor.goto("/sign-in")
    # Chromium takes it for an address, and we do not.
    visitor.field("Email").fill("ada@nowhere")
    visitor.button("Email me a sign-in link").click()
    expect(visitor.alert).to_contain_text("doesn’t look like an email address")
    expect(visitor.field("Email")).to_have_value("ada@nowhere")


def test_another_browser_can_ask_for_a_link_of_its_own(visitor, stranger):
    stranger.goto(visitor.ask().link)
    stranger.page.get_by_role("link", name="Ask for a new link in this browser", exact=True).click()
    stranger.is_at("/sign-in")
    stranger.sign_in_by_link()
