"""Signing out."""

from playwright.sync_api import expect

from tests.browser.visitor import EMAIL


def test_the_back_button_after_signing_out_does_not_show_the_account(visitor):
    visitor.sign_in_by_link()
    visitor.goto("/account")
    visitor.sign_out()

    visitor.page.go_back(wait_until="commit")
    visitor.is_at("/sign-in?next=/account")
    expect(visitor.page.get_by_role("banner").get_by_text(EMAIL)).to_have_count(0)


def test_the_page_after_signing_out_does_not_sign_in_again(owner):
    owner.pick_from_autofill()
    owner.is_at("/account")
    owner.device.present = True
    owner.sign_out()

    # Were there a ceremony, the device would agree to it at once.
    owner.autofill_waits()
    expect(owner.page.locator("passkey-sign-in")).to_have_count(0)
    owner.is_at("/")
    expect(owner.button("Sign out")).to_have_count(0)


def test_a_page_that_was_signed_out_in_another_tab_says_so_and_makes_nothing(visitor):
    visitor.sign_in_by_link()
    other = visitor.another_tab()
    other.goto("/account")
    other.sign_out()

    # Chromium makes passkeys in the tab that is looked at, and in no other.
    visitor.page.bring_to_front()
    visitor.device.present = True
    visitor.button("Create a passkey").click()
    expect(visitor.alert).to_contain_text("nothing was changed", ignore_case=True)
    visitor.device.present = False
    visitor.page.get_by_role("main").get_by_role("link").click()
    visitor.is_at("/sign-in")

    visitor.sign_in_by_link()
    expect(visitor.passkeys).to_have_count(0)
