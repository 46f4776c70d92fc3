"""The offer to make a passkey, the passkeys on the account page, and doing without a mouse."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from playwright.sync_api import expect

from tests.browser.visitor import EMAIL, NO_AUTOFILL

BUTTON = "Create a passkey"

AN_HOUR = timedelta(hours=1)
EIGHT_MINUTES = timedelta(minutes=8)

IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 "
    "Mobile/15E148 Safari/604.1"
)


@pytest.fixture
def member(owner):
    """Somebody who is signed in, on the account page, and has one passkey."""
    owner.pick_from_autofill()
    owner.is_at("/account")
    return owner


def open_choice(visitor, name):
    """Open what the passkey's row has under this name."""
    visitor.passkeys.locator("summary").get_by_text(name).click()


def confirm_by_code(visitor):
    """Prove by mail who it is."""
    visitor.button("Email me a code").click()
    expect(visitor.field("Code")).to_be_focused()
    visitor.field("Code").fill(visitor.read_code())
    visitor.button("Confirm").click()


def test_the_offer_can_be_turned_down_for_good(visitor):
    visitor.sign_in_by_link()
    visitor.is_at("/account/welcome")
    visitor.button("Don’t ask again").click()
    visitor.is_at("/account")
    expect(visitor.passkeys).to_have_count(0)
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


def test_each_passkey_says_whether_it_was_used(member):
    other = member.another_tab()
    other.device.forget()
    other.goto("/account")
    other.make_passkey()
    expect(other.passkeys).to_have_count(2)
    expect(other.passkeys.first).to_contain_text("last used")
    expect(other.passkeys.last).to_contain_text("not used yet")


def test_a_page_that_was_open_for_long_makes_a_passkey(visitor):
    """Its options are renewed while the proof is fresh."""
    visitor.page.clock.install()
    visitor.sign_in_by_link()
    # The script has run, and planned to be back before the options expire.
    expect(visitor.button(BUTTON)).to_be_enabled()
    with time_machine.travel(datetime.now(UTC) + EIGHT_MINUTES):
        with visitor.page.expect_response("**/account/passkeys/options"):
            visitor.page.clock.fast_forward(int(EIGHT_MINUTES.total_seconds() * 1000))
        visitor.page.wait_for_function(
            """() => {
              const element = document.querySelector("passkey-registration");
              return element.options.challenge !== JSON.parse(element.getAttribute("options")).challenge;
            }"""
        )
    with time_machine.travel(datetime.now(UTC) + 2 * EIGHT_MINUTES):
        visitor.make_passkey()


def test_a_page_that_was_open_for_an_hour_leads_to_proof_and_back(visitor, tolerates):
    """No passkey is made on the device and then refused."""
    tolerates("POST", "/account/passkeys/options", 403)
    visitor.page.clock.install()
    visitor.sign_in_by_link()
    visitor.goto("/account")
    expect(visitor.button(BUTTON)).to_be_enabled()
    with time_machine.travel(datetime.now(UTC) + AN_HOUR):
        with visitor.page.expect_response("**/account/passkeys/options"):
            visitor.page.clock.fast_forward(int(AN_HOUR.total_seconds() * 1000))
        visitor.page.wait_for_function("() => !document.querySelector('passkey-registration').options")
        visitor.device.present = True
        visitor.button(BUTTON).click()
        visitor.is_at("/account/confirm?next=/account")
        assert visitor.device.credentials == []
        confirm_by_code(visitor)
        visitor.is_at("/account")
        visitor.make_passkey()


def test_a_passkey_is_removed_in_place_and_forgotten_by_the_device(member):
    [credential] = member.device.credentials
    with member.device.deletes(credential["credentialId"]):
        open_choice(member, "Remove")
        member.button("Remove").click()
        member.is_at("/account")
        expect(member.page.get_by_role("status")).to_contain_text("The passkey was removed")
    expect(member.passkeys).to_have_count(0)
    assert member.device.credentials == []


def test_removing_a_passkey_offers_to_end_what_it_opened(member, new_visitor):
    other = new_visitor()
    other.device.hold(member.device.credentials)
    other.pick_from_autofill()
    other.is_at("/account")
    member.goto("/account")
    open_choice(member, "Remove")
    expect(member.page.get_by_role("checkbox", name="Also sign out browsers that used it")).to_be_checked()
    member.button("Remove").click()
    expect(member.page.get_by_role("status")).to_contain_text("The passkey was removed")
    member.is_signed_in()
    other.goto("/account")
    other.is_at("/sign-in?next=/account")


def test_a_passkey_is_renamed_in_place(member):
    open_choice(member, "Rename")
    name = "Ada’s <b>phone</b> \u202e👩‍🚀"
    member.passkeys.get_by_label("Name").fill(name)
    member.button("Rename").click()
    member.is_at("/account")
    expect(member.passkeys).to_contain_text(name)
    expect(member.passkeys.locator("b")).to_have_count(0)


def test_a_passkey_is_named_when_it_is_made(visitor):
    visitor.sign_in_by_link()
    visitor.goto("/account")
    visitor.field("Name").fill("My phone")
    visitor.make_passkey()
    expect(visitor.passkeys).to_contain_text("My phone")


def test_a_passkey_that_the_site_refuses_is_not_left_on_the_device(visitor):
    visitor.sign_in_by_link()
    visitor.goto("/account")
    visitor.device.present = True
    # The browser's clock stands where it was, so the page doesn't know that its challenge has expired.
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=11)), visitor.device.deletes(None):
        visitor.button(BUTTON).click()
        expect(visitor.alert).to_contain_text("You took too long, so this has expired")
    assert visitor.device.credentials == []


# Fresh proof.


@pytest.fixture
def stale(member):
    """Somebody whose last proof is old, on the account page."""
    with time_machine.travel(datetime.now(UTC) + AN_HOUR):
        member.goto("/account")
        yield member


def test_making_a_passkey_leads_to_proof_and_back(stale):
    stale.open_offer()
    stale.button(BUTTON).click()
    stale.is_at("/account/confirm?next=/account")
    stale.device.present = True
    stale.button("Confirm with a passkey").click()
    stale.is_at("/account")
    expect(stale.page.locator("passkey-registration")).to_be_attached()


def test_removing_a_passkey_asks_for_proof_and_goes_on(stale):
    open_choice(stale, "Remove")
    stale.button("Remove").click()
    expect(stale.alert).to_contain_text("Nothing has been changed yet")
    assert len(stale.device.credentials) == 1
    stale.device.present = True
    stale.button("Confirm with a passkey").click()
    expect(stale.page.get_by_role("status")).to_contain_text("The passkey was removed")
    expect(stale.passkeys).to_have_count(0)


def test_proof_can_be_cancelled_and_given_by_mail_instead(stale):
    open_choice(stale, "Remove")
    stale.button("Remove").click()
    expect(stale.button("Confirm with a passkey")).to_be_enabled()
    stale.lose_patience_after(300)
    stale.button("Confirm with a passkey").click()
    expect(stale.alert.last).to_contain_text("Nothing was confirmed")
    confirm_by_code(stale)
    expect(stale.passkeys).to_have_count(0)


# Sessions.


def test_another_session_is_ended(member, new_visitor):
    phone = new_visitor(user_agent=IPHONE)
    phone.sign_in_by_link()
    member.goto("/account")
    rows = member.page.get_by_role("region", name="Where you’re signed in").get_by_role("listitem")
    expect(rows).to_have_count(2)
    expect(rows.filter(has_text="this browser")).to_contain_text("by passkey")
    rows.filter(has_text="Safari on iOS").get_by_role("button", name="Sign out of Safari on iOS").click()
    expect(member.page.get_by_role("status")).to_contain_text("You’re signed out there")
    expect(rows).to_have_count(1)
    phone.goto("/account")
    phone.is_at("/sign-in?next=/account")


def test_all_others_are_signed_out(member, new_visitor):
    others = [new_visitor(), new_visitor(user_agent=IPHONE)]
    for other in others:
        other.sign_in_by_link()
    member.goto("/account")
    member.button("Sign out everywhere else").click()
    expect(member.page.get_by_role("status")).to_contain_text("You’re signed out there")
    expect(member.button("Sign out everywhere else")).to_have_count(0)
    for other in others:
        other.goto("/account")
        other.is_at("/sign-in?next=/account")


# The address, and leaving.


def test_the_address_is_changed_by_a_code(member):
    member.page.get_by_role("link", name="Change the email address").click()
    member.is_at("/account/email")
    member.field("Email").fill("countess@example.com")
    member.button("Email me a code").click()
    member.is_at("/account/email")
    expect(member.page.get_by_role("main")).to_contain_text("countess@example.com")
    member.field("Code").fill(member.read_code(to="countess@example.com"))
    member.button("Change the address").click()
    member.is_at("/account")
    member.is_signed_in("countess@example.com")
    # The device calls it by its new name.
    assert [each["userName"] for each in member.device.credentials] == ["countess@example.com"]


def test_the_account_is_deleted_and_its_passkeys_with_it(member):
    credentials = member.device.credentials
    member.page.get_by_role("link", name="Delete the account").click()
    with member.device.deletes(credentials[0]["credentialId"]):
        member.button("Delete my account").click()
        member.is_at("/")
        expect(member.page.get_by_role("status")).to_contain_text("Your account was deleted")
    assert member.device.credentials == []

    member.sign_in_by_link()
    member.is_at("/account/welcome")
    member.goto("/account/activity")
    expect(member.page.get_by_role("listitem")).to_have_count(1)


def test_the_activity_tells_what_happened(member):
    member.page.get_by_role("link", name="Activity").click()
    rows = member.page.get_by_role("listitem")
    expect(rows.first).to_contain_text("Signed in by passkey")
    expect(rows.first).to_contain_text("Chrome on Linux")
    member.page.get_by_label("Show").select_option("Passkey added")
    member.button("Filter").click()
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("Passkey added: Chrome on Linux")


def test_the_tour_ticks_each_step_as_it_is_done(visitor):
    steps = ["Ask for a link", "Open it", "Create a passkey", "Sign out", "Come back by autofill"]

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


def test_the_tours_buttons_lead_through_all_of_it(visitor):
    def go_on(role, name):
        visitor.goto("/")
        visitor.page.get_by_role("region", name="Try it in five steps").get_by_role(role, name=name).click()

    go_on("link", "Ask for a link")
    visitor.is_at("/sign-in")
    visitor.ask()
    go_on("link", "Open the mail")
    expect(visitor.page.get_by_text("Step 2 of 5")).to_be_visible()
    visitor.button("Sign in with this code").click()
    visitor.is_at("/account/welcome")
    go_on("link", "Make your passkey")
    visitor.make_passkey()
    go_on("button", "Sign out and try it")
    visitor.is_at("/")
    go_on("link", "Try autofill")
    visitor.is_at("/sign-in")
    expect(visitor.page.get_by_text("Step 5 of 5")).to_be_visible()
    visitor.pick_from_autofill()
    visitor.is_at("/account")
    visitor.goto("/")
    expect(visitor.page.get_by_role("region", name="That’s the whole flow")).to_contain_text("You did it in")


def test_after_the_first_passkey_one_click_signs_out_to_try_it(visitor):
    visitor.sign_in_by_link()
    visitor.make_passkey()
    visitor.button("Sign out and try it").click()
    visitor.is_at("/")
    expect(visitor.page.get_by_role("status")).to_have_text("You’re signed out.")


def test_the_name_is_asked_for_only_when_a_passkey_is_added(member):
    expect(member.field("Name")).to_have_count(0)
    member.page.get_by_text("Add a passkey", exact=True).click()
    expect(member.field("Name")).to_be_visible()
    expect(member.button(BUTTON)).to_be_enabled()


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
    expect(visitor.passkeys).to_have_count(1)
    press("Enter", on=visitor.button("Sign out"))
    visitor.is_at("/")

    # Chromium may ask the device for autofill late: then that would sign in while Tab is on its way to the button.
    page.add_init_script(NO_AUTOFILL)
    visitor.device.present = True
    visitor.goto("/sign-in")
    press("Space", on=visitor.button("Sign in with a passkey"))
    visitor.is_at("/account")

    press("Enter", on=page.locator("summary").get_by_text("Remove"))
    press("Enter", on=visitor.button("Remove"))
    expect(visitor.passkeys).to_have_count(0)
