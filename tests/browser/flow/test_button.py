"""Signing in by the button."""

import re

from playwright.sync_api import expect

from tests.browser.visitor import EMAIL, NO_AUTOFILL, NO_WEBAUTHN

BUTTON = "Sign in with a passkey"


def test_the_button_signs_in_with_one_post(owner, traffic):
    owner.open_sign_in()
    owner.device.present = True
    owner.button(BUTTON).click()
    owner.is_at("/account")

    assert [line for line in traffic if line.startswith("POST")] == ["POST /sign-in/passkey"]


def test_nothing_is_sent_twice(owner, traffic):
    owner.open_sign_in()
    owner.lose_the_answer()
    owner.device.present = True
    owner.button(BUTTON).dblclick()
    owner.has_lost_the_answer()

    # The owner is still there, and would agree to anything that was asked again.
    owner.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    owner.autofill_waits()
    expect(owner.button(BUTTON)).to_be_disabled()
    assert [line for line in traffic if line.startswith("POST")] == ["POST /sign-in/passkey"]


def test_after_the_button_the_wanted_page_comes(owner):
    wanted = "/account?from=a-bookmark"
    owner.goto(wanted)
    expect(owner.page).to_have_title(re.compile("^Sign in · "))
    owner.open_sign_in(owner.page.url)
    owner.device.present = True
    owner.button(BUTTON).click()
    owner.is_at(wanted)


def test_a_passkey_of_the_typed_account_signs_in(owner):
    owner.open_sign_in()
    owner.field("Email").fill(EMAIL.upper())
    owner.device.present = True
    owner.button(BUTTON).click()
    owner.is_at("/account")


def test_a_passkey_of_another_account_than_the_typed_one_is_refused(owner):
    # On the page that refuses, the device would answer autofill at once, and for its own account.
    owner.open_without_autofill()
    owner.field("Email").fill("grace@example.com")
    owner.device.present = True
    owner.button(BUTTON).click()
    expect(owner.alert).to_contain_text("doesn’t belong to the address you typed")
    expect(owner.field("Email")).to_have_value("grace@example.com")
    assert len(owner.device.credentials) == 1


def test_a_browser_without_autofill_for_passkeys_has_the_button(owner):
    owner.page.add_init_script(NO_AUTOFILL)
    owner.device.present = True
    owner.goto("/sign-in")
    owner.button(BUTTON).click()
    owner.is_at("/account")


def test_a_browser_without_webauthn_is_told_and_signs_in_by_email(visitor):
    visitor.page.add_init_script(NO_WEBAUTHN)
    visitor.goto("/sign-in")
    expect(visitor.alert).to_contain_text("This browser can’t use passkeys")
    expect(visitor.button(BUTTON)).to_be_disabled()

    visitor.sign_in_by_link()
