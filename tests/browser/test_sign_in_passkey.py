"""Signing in with a passkey, and all that can come between."""

import json
import re
from base64 import b64encode
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from playwright.sync_api import expect

from tests.browser.visitor import EMAIL, NO_AUTOFILL

BUTTON = "Sign in with a passkey"
ELSEWHERE = "Use a phone or security key"

CANCELLED = "You’re not signed in"

AN_HOUR = timedelta(hours=1)

# What is done to a page before its own scripts run.
NO_WEBAUTHN = "delete window.PublicKeyCredential"
NO_IMMEDIATE = "PublicKeyCredential.getClientCapabilities = undefined"
# As extensions do that put their own answer in the place of the browser's, and forget to tell when it is called off.
NEVER_SETTLES = """
    const get = navigator.credentials.get.bind(navigator.credentials);
    navigator.credentials.get = (options) =>
      options.mediation === "conditional"
        ? new Promise((resolve) => get(options).then(resolve, () => {}))
        : get(options);
"""

HAS_FRESH_OPTIONS = """() => {
  const element = document.querySelector("passkey-sign-in");
  return element.options.challenge !== JSON.parse(element.getAttribute("options")).challenge;
}"""


@pytest.fixture(params=["immediate", "dialog"])
def cancelled(request, visitor):
    """What the page says where the button came to nothing, in browsers with immediate mediation and without."""
    if request.param == "immediate":
        return "No passkey was used on this device"
    visitor.page.add_init_script(NO_IMMEDIATE)
    return CANCELLED


@pytest.fixture
def traffic(owner):
    """Every request from here on, such as "POST /sign-in/passkey"."""
    seen = []
    origin = owner.app.config["SITE_URL"]
    owner.page.context.on(
        "request", lambda request: seen.append(f"{request.method} {request.url.removeprefix(origin)}")
    )
    return seen


def let_it_take(visitor, milliseconds):
    """Let the browser's dialog give up on its own: there is no Cancel to press, and to the page it is the same."""
    visitor.page.locator("passkey-sign-in").evaluate(
        "(element, milliseconds) => { element.options.timeout = milliseconds }", milliseconds
    )


def open_without_autofill(visitor):
    """Open the sign-in page in a browser that offers no passkeys in its autofill. With autofill, the device may answer
    that first: Chromium asks it at a moment of its own, and asks again after a button that came to nothing."""
    visitor.page.add_init_script(NO_AUTOFILL)
    visitor.goto("/sign-in")
    expect(visitor.button(BUTTON)).to_be_enabled()


def lose_the_answer(visitor):
    """Have the server's answer to a passkey get lost, so that the page that asked can be looked at afterwards."""
    visitor.page.route("**/sign-in/passkey", lambda route: route.fulfill(status=204))


def answer_is_lost(visitor):
    """Wait for that."""
    posted = visitor.page.locator("passkey-sign-in input[name=credential]")
    expect(posted).not_to_have_value("")


def test_a_page_of_four_requests_and_none_before_the_visitor_acts(owner, traffic):
    owner.goto("/sign-in")
    owner.page.wait_for_load_state("networkidle")

    assert len([line for line in traffic if "data:" not in line]) == 4
    assert traffic[0] == "GET /sign-in"
    assert not [line for line in traffic if line.startswith("POST")]


def test_the_page_and_all_that_it_loads_is_below_14_kilobytes(visitor):
    """With the headers, and the page itself uncompressed, which a proxy in front would compress."""
    wire = visitor.page.context.new_cdp_session(visitor.page)
    wire.send("Network.enable")
    sizes = []
    wire.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    visitor.goto("/sign-in")
    visitor.page.wait_for_load_state("networkidle")
    assert len([size for size in sizes if size]) == 4
    assert sum(sizes) < 14 * 1024


def test_autofill_signs_in_with_one_post(owner, traffic):
    owner.pick_from_autofill()
    owner.is_at("/account")

    assert [line for line in traffic if line.startswith("POST")] == ["POST /sign-in/passkey"]


def test_the_button_signs_in_with_one_post(owner, traffic):
    owner.open_sign_in()
    owner.device.present = True
    owner.button(BUTTON).click()
    owner.is_at("/account")

    assert [line for line in traffic if line.startswith("POST")] == ["POST /sign-in/passkey"]


TIMES = re.compile(r"Signed in with your passkey in \d+ seconds?\. Signing in by email took \d+ seconds?\.")


def test_the_button_shows_how_long_it_took_and_how_long_the_mail_did(visitor):
    visitor.sign_in_by_link()
    visitor.make_passkey()
    visitor.sign_out()
    expect(visitor.page.get_by_role("status")).to_have_text("You’re signed out.")
    visitor.open_sign_in()
    visitor.device.present = True
    visitor.button(BUTTON).click()
    expect(visitor.page.get_by_role("status")).to_have_text(TIMES)


def test_autofill_that_nobody_clicked_for_has_no_time(owner):
    """The browser doesn't say when the passkey was picked, and it may have waited for hours."""
    owner.pick_from_autofill()
    expect(owner.page.get_by_role("status")).to_have_text("Signed in with your passkey.")


def test_autofill_counts_from_the_click_into_the_field(owner):
    owner.device.verifies, owner.device.present = False, True
    owner.goto("/sign-in")
    owner.autofill_waits()
    owner.device.verifies = True
    owner.field("Email").click()
    expect(owner.page.get_by_role("status")).to_have_text(re.compile("Signed in with your passkey in"))


def test_the_email_field_has_the_focus_and_says_that_it_offers_passkeys(owner):
    owner.open_sign_in()
    field = owner.field("Email")
    expect(field).to_be_focused()
    expect(owner.page.get_by_text("Have a passkey? Click into the field and pick it.")).to_be_visible()
    expect(field).to_have_accessible_description("Have a passkey? Click into the field and pick it.")


@pytest.mark.parametrize("missing", ["autofill", "webauthn"])
def test_a_browser_that_offers_none_does_not_promise_it(visitor, missing):
    visitor.page.add_init_script(NO_AUTOFILL if missing == "autofill" else NO_WEBAUTHN)
    visitor.goto("/sign-in")
    expect(visitor.page.get_by_text("Have a passkey?")).to_be_hidden()
    expect(visitor.field("Email")).to_have_accessible_description("")


@pytest.mark.parametrize("by", ["autofill", "button"])
def test_the_wanted_page_is_kept(owner, by):
    wanted = "/account?from=a-bookmark"
    owner.goto(wanted)
    expect(owner.page).to_have_title("Sign in · Latchkey")
    path = owner.page.url

    if by == "autofill":
        owner.pick_from_autofill(path)
    else:
        owner.open_sign_in(path)
        owner.device.present = True
        owner.button(BUTTON).click()

    owner.is_at(wanted)


def test_nothing_is_sent_twice(owner, traffic):
    owner.open_sign_in()
    lose_the_answer(owner)
    owner.device.present = True
    owner.button(BUTTON).dblclick()
    answer_is_lost(owner)

    # The owner is still there, and would agree to anything that was asked again.
    owner.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    owner.autofill_waits()
    expect(owner.button(BUTTON)).to_be_disabled()
    assert [line for line in traffic if line.startswith("POST")] == ["POST /sign-in/passkey"]


def test_after_a_cancelled_button_the_page_says_so_and_autofill_still_signs_in(owner, traffic, cancelled):
    owner.open_sign_in()
    let_it_take(owner, 1000)
    lose_the_answer(owner)
    owner.button(BUTTON).click()
    # The dialog waits by now, and goes on waiting: only what comes after it is agreed to.
    owner.autofill_waits()
    owner.device.present = True
    expect(owner.button(BUTTON)).to_be_disabled()
    answer_is_lost(owner)

    # So it wasn't the button that got an answer.
    expect(owner.alert).to_contain_text(cancelled)
    owner.page.unroute_all()
    owner.page.locator("passkey-sign-in form").evaluate("form => form.submit()")
    owner.is_at("/account")


def test_a_cancelled_button_can_be_pressed_again(owner, cancelled):
    open_without_autofill(owner)
    let_it_take(owner, 300)
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
    open_without_autofill(owner)
    owner.device.verifies, owner.device.present = False, True
    owner.button(BUTTON).click()
    expect(owner.alert).to_contain_text(cancelled)
    owner.is_at("/sign-in")

    owner.device.verifies = True
    owner.button(BUTTON).click()
    owner.is_at("/account")


@pytest.mark.parametrize("was_there", [False, True], ids=["from_elsewhere", "from_within"])
def test_after_the_wrong_finger_in_autofill_a_click_into_the_field_offers_it_again(owner, was_there):
    owner.device.verifies, owner.device.present = False, True
    owner.goto("/sign-in")
    if was_there:
        owner.field("Email").focus()
    owner.autofill_waits()
    owner.is_at("/sign-in")

    owner.device.verifies = True
    owner.field("Email").click()
    owner.is_at("/account")


def test_where_nothing_is_found_here_a_phone_or_security_key_can_be_used(owner):
    """Immediate mediation looks at this device only, and the ordinary dialog at all."""
    open_without_autofill(owner)
    expect(owner.button(ELSEWHERE)).to_be_hidden()
    passkeys = owner.device.credentials
    owner.device.forget()
    owner.device.present = True
    owner.button(BUTTON).click()
    expect(owner.alert).to_contain_text("No passkey was used on this device")

    owner.device.hold(passkeys)
    owner.button(ELSEWHERE).click()
    owner.is_at("/account")


def test_a_passkey_that_was_removed_elsewhere_is_explained_and_forgotten(owner, new_visitor):
    """L3 5.1.10: the device is told, and only of the passkey that was answered with."""
    owner.device.hold([passkey_of_another_site()])
    elsewhere = new_visitor()
    elsewhere.sign_in_by_link()
    elsewhere.goto("/account")
    elsewhere.page.locator("summary").get_by_text("Remove").click()
    elsewhere.button("Remove").click()
    expect(elsewhere.page.get_by_role("status")).to_contain_text("was removed")

    [removed] = [each["credentialId"] for each in owner.device.credentials if each["userName"] == EMAIL]
    owner.page.add_init_script(f"{NO_AUTOFILL}; {NO_IMMEDIATE}")
    owner.goto("/sign-in")
    expect(owner.button(BUTTON)).to_be_enabled()
    owner.device.present = True
    with owner.device.deletes(removed):
        owner.page.locator("passkey-sign-in").evaluate(
            "(element, id) => { element.options.allowCredentials = [{ type: 'public-key', id }] }", urlsafe(removed)
        )
        owner.button(BUTTON).click()
    expect(owner.alert).to_contain_text("This passkey was removed from its account")
    assert [each["userName"] for each in owner.device.credentials] == ["somebody@elsewhere"]


def test_a_passkey_of_another_site_on_localhost_is_never_touched(owner):
    """Every site on every port shares the RP ID: what we don't know may be somebody's only way into another."""
    owner.device.forget()
    owner.device.hold([passkey_of_another_site()])
    open_without_autofill(owner)
    owner.device.present = True
    owner.button(BUTTON).click()
    expect(owner.alert).to_contain_text("That didn’t sign you in")
    assert owner.page.locator("passkey-signal").count() == 0
    assert len(owner.device.credentials) == 1


def test_a_passkey_of_another_account_than_the_typed_one_is_refused(owner):
    # On the page that refuses, the device would answer autofill at once, and for its own account.
    open_without_autofill(owner)
    owner.field("Email").fill("grace@example.com")
    owner.device.present = True
    owner.button(BUTTON).click()
    expect(owner.alert).to_contain_text("doesn’t belong to the address you typed")
    expect(owner.field("Email")).to_have_value("grace@example.com")
    assert len(owner.device.credentials) == 1


def test_a_passkey_of_the_typed_account_signs_in(owner):
    owner.open_sign_in()
    owner.field("Email").fill(EMAIL.upper())
    owner.device.present = True
    owner.button(BUTTON).click()
    owner.is_at("/account")


def passkey_of_another_site():
    """A passkey that another site on localhost has made."""
    key = ec.generate_private_key(ec.SECP256R1())
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return {
        "credentialId": b64encode(bytes(range(32))).decode(),
        "isResidentCredential": True,
        "rpId": "localhost",
        "privateKey": b64encode(der).decode(),
        "userHandle": b64encode(b"elsewhere").decode(),
        "userName": "somebody@elsewhere",
        "signCount": 0,
    }


def urlsafe(base64):
    """CDP's base64 as the options have it."""
    return base64.replace("+", "-").replace("/", "_").rstrip("=")


def test_a_browser_without_webauthn_is_told_and_signs_in_by_email(visitor):
    visitor.page.add_init_script(NO_WEBAUTHN)
    visitor.goto("/sign-in")
    expect(visitor.alert).to_contain_text("This browser can’t use passkeys")
    expect(visitor.button(BUTTON)).to_be_disabled()

    visitor.sign_in_by_link()


def test_a_browser_without_autofill_for_passkeys_has_the_button(owner):
    owner.page.add_init_script(NO_AUTOFILL)
    owner.device.present = True
    owner.goto("/sign-in")
    owner.button(BUTTON).click()
    owner.is_at("/account")


def test_an_extension_that_never_lets_go_holds_the_button_up_for_a_moment_only(owner):
    owner.page.add_init_script(NEVER_SETTLES)
    owner.open_sign_in()
    owner.device.present = True
    owner.button(BUTTON).click()
    owner.is_at("/account")


def test_two_tabs_do_not_spoil_each_other(owner):
    other = owner.another_tab()
    owner.open_sign_in()
    other.open_sign_in()

    owner.device.present = True
    owner.button(BUTTON).click()
    owner.is_at("/account")

    other.device.present = True
    other.button(BUTTON).click()
    other.is_at("/account")


def test_a_tab_that_was_open_before_signing_in_elsewhere_still_signs_in_after_signing_out(owner):
    waiting = owner.another_tab()
    waiting.open_sign_in()

    owner.pick_from_autofill()
    owner.is_at("/account")
    owner.sign_out()

    waiting.device.present = True
    waiting.button(BUTTON).click()
    waiting.is_at("/account")


@pytest.mark.parametrize("by", ["autofill", "button"])
def test_a_page_that_was_open_for_an_hour_has_fresh_options(owner, traffic, by):
    owner.page.clock.install()
    owner.open_sign_in()
    with time_machine.travel(datetime.now(UTC) + AN_HOUR), signing_in_with_fresh_options(owner, by):
        owner.page.clock.fast_forward(int(AN_HOUR.total_seconds() * 1000))

    assert traffic.count("POST /sign-in/passkey/options") == 1


@pytest.mark.parametrize("by", ["autofill", "button"])
def test_a_laptop_that_slept_for_an_hour_gets_fresh_options_when_it_is_looked_at(owner, by):
    owner.page.clock.install()
    owner.open_sign_in()
    with time_machine.travel(datetime.now(UTC) + AN_HOUR), signing_in_with_fresh_options(owner, by):
        # Its clock has moved on, and no timer has rung.
        owner.page.clock.set_system_time(datetime.now(UTC))
        owner.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


@pytest.mark.parametrize("by", ["autofill", "button"])
def test_a_page_that_the_back_button_restores_has_fresh_options(owner, by):
    owner.open_sign_in()
    note_how_it_is_shown_again(owner.page)
    owner.page.get_by_role("link", name="Latchkey", exact=True).click()
    owner.is_at("/")
    with signing_in_with_fresh_options(owner, by):
        press_back(owner.page)

    assert was_kept(owner.page)


def test_a_page_that_has_signed_somebody_in_does_so_again_when_the_back_button_restores_it(owner):
    owner.open_sign_in()
    note_how_it_is_shown_again(owner.page)
    owner.device.present = True
    owner.button(BUTTON).click()
    owner.is_at("/account")
    with signing_in_with_fresh_options(owner, "button"):
        press_back(owner.page)

    assert was_kept(owner.page)


def test_a_page_that_was_left_while_its_dialog_waited_is_as_new_when_one_comes_back(owner):
    """Whether it comes out of the cache is the browser's to decide, by whether the dialog had let go in time; it has
    other options than before in either case."""
    # On a busy machine, Chromium may find immediate mediation too slow, and end it as if the device had no passkey.
    owner.page.add_init_script(NO_IMMEDIATE)
    owner.open_sign_in()
    before = owner.page.locator("passkey-sign-in").evaluate("element => element.getAttribute('options')")
    owner.button(BUTTON).click()
    owner.autofill_waits()
    expect(owner.button(BUTTON)).to_be_disabled()
    owner.goto("/")
    press_back(owner.page)
    old = json.loads(before)["challenge"]
    owner.page.wait_for_function(
        "old => { const { options } = document.querySelector('passkey-sign-in') ?? {};"
        " return options && options.challenge !== old }",
        arg=old,
    )
    owner.autofill_waits()
    owner.device.present = True
    owner.button(BUTTON).click()
    owner.is_at("/account")


@contextmanager
def signing_in_with_fresh_options(visitor, by):
    """Something happens in the block for which the page renews its options; they sign the visitor in."""
    visitor.device.present = by == "autofill"
    with visitor.page.expect_request("**/sign-in/passkey/options"):
        yield
    if by == "button":
        visitor.page.wait_for_function(HAS_FRESH_OPTIONS)
        visitor.autofill_waits()
        visitor.device.present = True
        visitor.button(BUTTON).click()
    visitor.is_at("/account")


def note_how_it_is_shown_again(page):
    """Have the page write down, for the next one, whether it came out of the back-forward cache."""
    page.evaluate("addEventListener('pageshow', (event) => sessionStorage.setItem('kept', event.persisted))")


def was_kept(page):
    """Whether it did."""
    return page.evaluate("sessionStorage.getItem('kept')") == "true"


def press_back(page):
    """Press the browser's Back button."""
    # A page out of the cache isn't loaded, so it never says that it has been.
    page.go_back(wait_until="commit")
