"""A ceremony that comes to nothing: cancelled, by the wrong finger, or on a device without a passkey."""

import pytest
from playwright.sync_api import expect

from tests.browser.visitor import EMAIL

BUTTON = "Sign in with a passkey"


def test_after_a_cancelled_button_the_page_says_so_and_autofill_still_signs_in(owner, cancelled):
    owner.open_sign_in()
    owner.lose_patience_after(1000)
    owner.lose_the_answer()
    owner.button(BUTTON).click()
    # The dialog waits by now, and goes on waiting: only what comes after it is agreed to.
    owner.autofill_waits()
    owner.device.present = True
    expect(owner.button(BUTTON)).to_be_disabled()
    owner.has_lost_the_answer()

    # So it wasn't the button that got an answer.
    expect(owner.alert).to_contain_text(cancelled)
    owner.page.unroute_all()
    owner.page.locator("passkey-sign-in form").evaluate("form => form.submit()")
    owner.is_at("/account")


def test_a_cancelled_button_can_be_pressed_again(owner, cancelled):
    owner.open_without_autofill()
    owner.lose_patience_after(300)
    owner.button(BUTTON).click()
    expect(owner.alert).to_contain_text(cancelled)

    owner.device.present = True
    owner.button(BUTTON).click()
    owner.is_at("/account")


def test_a_device_without_a_passkey_is_told_of_and_the_email_form_remains(visitor, cancelled):
    visitor.open_sign_in()
    visitor.device.present = True
    visitor.button(BUTTON).click()
    expect(visitor.alert).to_contain_text(cancelled)
    expect(visitor.button(BUTTON)).to_be_enabled()

    visitor.field("Email").fill(EMAIL)
    visitor.button("Email me a sign-in link").click()
    visitor.is_at("/sign-in/check-email")


def test_the_wrong_finger_on_the_button_signs_nobody_in(owner, cancelled):
    owner.open_without_autofill()
    owner.device.verifies, owner.device.present = False, True
    owner.button(BUTTON).click()
    expect(owner.alert).to_contain_text(cancelled)
    owner.is_at("/sign-in")

    owner.device.verifies = True
    owner.button(BUTTON).click()
    owner.is_at("/account")


@pytest.mark.parametrize("page", ["/account", "/account/welcome"])
def test_making_a_passkey_can_be_cancelled_and_tried_again(visitor, page):
    visitor.sign_in_by_link()
    visitor.goto(page)
    visitor.lose_patience_after(300)
    visitor.button("Create a passkey").click()
    expect(visitor.alert).to_contain_text("the request was cancelled or took too long")
    visitor.is_at(page)

    visitor.make_passkey()
    expect(visitor.passkeys).to_have_count(1)


def test_the_wrong_finger_makes_no_passkey(visitor):
    visitor.sign_in_by_link()
    visitor.device.verifies, visitor.device.present = False, True
    visitor.button("Create a passkey").click()
    expect(visitor.alert).to_contain_text("the request was cancelled or took too long")
    assert visitor.device.credentials == []
