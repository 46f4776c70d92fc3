"""The offer to make a passkey, the passkeys on the account page, and doing without a mouse."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from playwright.sync_api import expect

from tests.browser.visitor import EMAIL

BUTTON = "Create a passkey"

CANCELLED = "No passkey was made"

AN_HOUR = timedelta(hours=1)


@pytest.fixture
def member(owner):
    """Somebody who is signed in, on the account page, and has one passkey."""
    owner.pick_from_autofill()
    owner.is_at("/account")
    return owner


def passkeys(visitor):
    """The passkeys that the page lists."""
    return visitor.page.get_by_role("region", name="Passkeys").get_by_role("listitem")


@pytest.mark.parametrize("answer", ["Not now", "Don’t ask again"])
def test_the_offer_can_be_turned_down(visitor, answer):
    visitor.sign_in_by_link()
    visitor.is_at("/account/welcome")
    visitor.button(answer).click()
    visitor.is_at("/account")
    expect(passkeys(visitor)).to_have_count(0)
    expect(visitor.button(BUTTON)).to_be_enabled()

    visitor.sign_out()
    visitor.sign_in_by_link()
    visitor.is_at("/account")


@pytest.mark.parametrize("answer", ["Not now", BUTTON])
def test_whatever_the_answer_the_wanted_page_comes_next(visitor, answer):
    wanted = "/account?from=a-bookmark"
    visitor.goto(wanted)
    visitor.field("Email").fill(EMAIL)
    visitor.button("Email me a sign-in link").click()
    visitor.is_at("/sign-in/check-email")
    visitor.goto(visitor.read_mail().link)
    visitor.button("Sign in").click()

    visitor.device.present = True
    visitor.button(answer).click()
    visitor.is_at(wanted)


def test_a_second_device_adds_a_second_passkey(member):
    other = member.another_tab()
    other.device.forget()
    other.goto("/account")
    other.make_passkey()
    expect(passkeys(other)).to_have_count(2)
    expect(passkeys(other).first).to_contain_text("last used")
    expect(passkeys(other).last).to_contain_text("not used yet")


def test_a_device_that_has_a_passkey_already_is_told_so(member):
    member.device.present = True
    member.button(BUTTON).click()
    expect(member.alert).to_contain_text("This device has a passkey for this account already")
    expect(passkeys(member)).to_have_count(1)
    assert len(member.device.credentials) == 1


@pytest.mark.parametrize("page", ["/account", "/account/welcome"])
def test_making_a_passkey_can_be_cancelled_and_tried_again(visitor, page):
    visitor.sign_in_by_link()
    visitor.goto(page)
    # The browser's dialog gives up on its own: there is no Cancel to press, and to the page it is the same.
    visitor.page.locator("passkey-registration").evaluate("element => { element.options.timeout = 300 }")
    visitor.button(BUTTON).click()
    expect(visitor.alert).to_contain_text(CANCELLED)
    visitor.is_at(page)

    visitor.make_passkey()
    expect(passkeys(visitor)).to_have_count(1)


def test_the_wrong_finger_makes_no_passkey(visitor):
    visitor.sign_in_by_link()
    visitor.device.verifies, visitor.device.present = False, True
    visitor.button(BUTTON).click()
    expect(visitor.alert).to_contain_text(CANCELLED)
    assert visitor.device.credentials == []


def test_a_browser_without_webauthn_is_told(visitor):
    visitor.sign_in_by_link()
    visitor.page.add_init_script("delete window.PublicKeyCredential")
    for page in ("/account", "/account/welcome"):
        visitor.goto(page)
        expect(visitor.alert).to_contain_text("can’t make passkeys")
        expect(visitor.button(BUTTON)).to_be_disabled()


def test_a_page_that_was_open_for_an_hour_makes_a_passkey(visitor):
    visitor.page.clock.install()
    visitor.sign_in_by_link()
    # The script has run, and planned to be back before the options expire.
    expect(visitor.button(BUTTON)).to_be_enabled()
    with time_machine.travel(datetime.now(UTC) + AN_HOUR):
        with visitor.page.expect_response("**/account/passkeys/options"):
            visitor.page.clock.fast_forward(int(AN_HOUR.total_seconds() * 1000))
        visitor.page.wait_for_function(
            """() => {
              const element = document.querySelector("passkey-registration");
              return element.options.challenge !== JSON.parse(element.getAttribute("options")).challenge;
            }"""
        )
        visitor.make_passkey()


def test_a_page_that_was_signed_out_in_another_tab_says_so_and_makes_nothing(visitor):
    visitor.sign_in_by_link()
    other = visitor.another_tab()
    other.goto("/account")
    other.sign_out()

    # Chromium makes passkeys in the tab that is looked at, and in no other.
    visitor.page.bring_to_front()
    visitor.device.present = True
    visitor.button(BUTTON).click()
    expect(visitor.alert).to_contain_text("Nothing was changed")
    expect(visitor.page.get_by_role("link", name="Sign in", exact=True)).to_be_visible()


def test_a_passkey_is_removed_in_place_and_signs_nobody_in(member):
    member.page.locator("summary").get_by_text("Remove", exact=True).click()
    member.button("Remove").click()
    member.is_at("/account")
    expect(member.page.get_by_role("status")).to_contain_text("The passkey was removed")
    expect(passkeys(member)).to_have_count(0)
    member.sign_out()

    member.pick_from_autofill()
    expect(member.alert).to_contain_text("That passkey didn’t sign you in")


def test_the_tour_ticks_each_step_as_it_is_done(visitor):
    steps = ["Ask for a link", "Open it", "Make a passkey", "Sign out", "Come back by autofill"]

    def has_ticked(count):
        visitor.goto("/")
        ticked = visitor.page.get_by_role("listitem").filter(has_text="(done)")
        expect(ticked).to_contain_text(steps[:count])
        upcoming = visitor.page.locator("[aria-current=step]")
        expect(upcoming).to_contain_text(steps[count : count + 1])

    has_ticked(0)
    link = visitor.ask().link
    has_ticked(1)
    visitor.goto(link)
    visitor.button("Sign in").click()
    visitor.is_signed_in()
    has_ticked(2)
    visitor.goto("/account")
    visitor.make_passkey()
    has_ticked(3)
    visitor.sign_out()
    has_ticked(4)
    visitor.pick_from_autofill()
    visitor.is_at("/account")
    has_ticked(5)


def test_the_whole_flow_works_with_the_keyboard_alone(visitor):
    page = visitor.page

    def press(key, *, on):
        """Tab to what has this role and name, and press the key there."""
        for _ in range(20):
            if on.evaluate("element => element === document.activeElement"):
                break
            page.keyboard.press("Tab")
        expect(on).to_be_focused()
        assert on.evaluate("element => element.matches(':focus-visible')"), "the focus can't be seen"
        page.keyboard.press(key)

    visitor.goto("/")
    press("Enter", on=page.get_by_role("link", name="Skip to the content", exact=True))
    expect(page.get_by_role("main")).to_be_focused()
    press("Enter", on=page.get_by_role("link", name="Sign in", exact=True))
    visitor.is_at("/sign-in")
    press("a", on=visitor.field("Email"))
    page.keyboard.type("da@example.com")
    page.keyboard.press("Enter")
    visitor.is_at("/sign-in/check-email")
    expect(visitor.field("Code")).to_be_focused()
    page.keyboard.type(visitor.read_mail().code)
    page.keyboard.press("Enter")
    visitor.is_at("/account/welcome")

    visitor.device.present = True
    press("Enter", on=visitor.button(BUTTON))
    visitor.is_at("/account")
    visitor.device.present = False
    expect(passkeys(visitor)).to_have_count(1)
    press("Enter", on=visitor.button("Sign out"))
    visitor.is_at("/")

    visitor.open_sign_in()
    visitor.device.present = True
    press("Space", on=visitor.button("Sign in with a passkey"))
    visitor.is_at("/account")

    press("Enter", on=page.locator("summary"))
    press("Enter", on=visitor.button("Remove"))
    expect(passkeys(visitor)).to_have_count(0)
