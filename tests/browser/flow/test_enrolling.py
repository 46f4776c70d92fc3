"""Making a passkey: the offer after the first sign-in, and on the account page."""

import re

from playwright.sync_api import expect

from tests.browser.visitor import NO_WEBAUTHN

BUTTON = "Create a passkey"


def test_the_offer_can_be_put_off(visitor):
    visitor.sign_in_by_link()
    visitor.is_at("/account/welcome")
    visitor.button("Not now").click()
    visitor.is_at("/account")
    expect(visitor.passkeys).to_have_count(0)
    expect(visitor.button(BUTTON)).to_be_enabled()

    visitor.sign_out()
    visitor.sign_in_by_link()
    visitor.is_at("/account")


def test_a_second_device_adds_a_second_passkey(owner):
    owner.pick_from_autofill()
    owner.is_at("/account")
    other = owner.another_tab()
    other.device.forget()
    other.goto("/account")
    other.make_passkey()
    expect(other.passkeys).to_have_count(2)


def test_a_device_that_has_a_passkey_already_is_told_so(owner):
    owner.pick_from_autofill()
    owner.is_at("/account")
    owner.open_offer()
    owner.device.present = True
    owner.button(BUTTON).click()
    expect(owner.alert).to_contain_text("This device already has a passkey for this account")
    expect(owner.passkeys).to_have_count(1)
    assert len(owner.device.credentials) == 1


def test_a_browser_without_webauthn_is_told_where_passkeys_are_made(visitor):
    visitor.sign_in_by_link()
    visitor.page.add_init_script(NO_WEBAUTHN)
    for page in ("/account", "/account/welcome"):
        visitor.goto(page)
        expect(visitor.alert).to_contain_text(re.compile("can’t (create|use) passkeys"))
        expect(visitor.button(BUTTON)).to_be_disabled()
