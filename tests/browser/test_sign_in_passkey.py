"""Signing in with a passkey: what the site adds to the flow (`flow/`)."""

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

from tests.browser.visitor import EMAIL, NO_AUTOFILL, NO_IMMEDIATE, NO_WEBAUTHN

BUTTON = "Sign in with a passkey"
ELSEWHERE = "Use a phone or security key"

AN_HOUR = timedelta(hours=1)

# For before a page's own scripts: as extensions do that put their own answer in the place of the browser's, and forget
# to tell when it is called off.
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


def test_where_nothing_is_found_here_a_phone_or_security_key_can_be_used(owner):
    """Immediate mediation looks at this device only, and the ordinary dialog at all."""
    owner.open_without_autofill()
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
    owner.open_without_autofill()
    owner.device.present = True
    owner.button(BUTTON).click()
    expect(owner.alert).to_contain_text("That didn’t sign you in")
    assert owner.page.locator("passkey-signal").count() == 0
    assert len(owner.device.credentials) == 1


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


def test_an_extension_that_never_lets_go_holds_the_button_up_for_a_moment_only(owner):
    owner.page.add_init_script(NEVER_SETTLES)
    owner.open_sign_in()
    owner.device.present = True
    owner.button(BUTTON).click()
    owner.is_at("/account")


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
