"""Accounts that require a passkey: turned on, used, lost and recovered, at a real browser."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.visitor import EMAIL

CODE = re.compile(r"(\w{4}-){3}\w{4}")


def make_recovery_codes(visitor) -> list[str]:
    """Make recovery codes from the account page, and return what is shown."""
    visitor.goto("/account")
    visitor.page.get_by_role("link", name="Recovery codes").click()
    visitor.button("Make recovery codes").click()
    items = visitor.page.locator(".codes").get_by_role("listitem")
    expect(items).to_have_count(10)
    return [CODE.search(text)[0] for text in items.all_text_contents()]


def require_passkey(visitor) -> list[str]:
    """Turn it on, from the account page; return the recovery codes."""
    codes = make_recovery_codes(visitor)
    visitor.page.get_by_role("link", name="require a passkey").click()
    visitor.field("Code").fill(codes[0].lower())
    visitor.button("Require a passkey").click()
    expect(visitor.page.get_by_role("status")).to_contain_text("Email alone is no longer enough")
    return codes


@pytest.fixture
def strict(owner):
    """Somebody whose account requires a passkey, signed out; `strict.codes` are their recovery codes."""
    owner.pick_from_autofill()
    owner.is_at("/account")
    owner.codes = require_passkey(owner)
    owner.sign_out()
    return owner


def come_by_link(visitor) -> None:
    """Ask for a link, open it and confirm, and be led to the second step."""
    visitor.goto(visitor.ask().link)
    visitor.button("Sign in").click()
    expect(visitor.page.get_by_role("heading", name="One more step")).to_be_visible()
    expect(visitor.page.get_by_role("main")).to_contain_text(EMAIL)


def test_link_and_passkey_sign_in(strict):
    come_by_link(strict)
    strict.device.present = True
    strict.button("Sign in with a passkey").click()
    strict.is_at("/account")
    strict.is_signed_in()


def test_autofill_signs_in_as_before(strict):
    strict.pick_from_autofill()
    strict.is_at("/account")


def test_a_lost_passkey_is_recovered_from(strict):
    strict.device.forget()
    come_by_link(strict)
    strict.field("Code").fill("0000")
    strict.button("Sign in").click()
    expect(strict.alert).to_contain_text("That isn’t one of this account’s recovery codes")
    strict.field("Code").fill(strict.codes[4])
    strict.field("Code").press("Enter")
    strict.is_at("/account")
    expect(strict.page.get_by_role("status")).to_contain_text("You have 9 left")

    strict.make_passkey()
    rows = strict.page.get_by_role("region", name="Passkeys").get_by_role("listitem")
    expect(rows).to_have_count(2)
    rows.first.locator("summary").get_by_text("Remove").click()
    strict.button("Remove").click()
    expect(rows).to_have_count(1)
    strict.sign_out()
    strict.pick_from_autofill()
    strict.is_at("/account")


def test_without_scripts_a_recovery_code_is_the_second_step(strict, new_visitor):
    plain = new_visitor(java_script_enabled=False)
    come_by_link(plain)
    plain.field("Code").fill(strict.codes[0])
    plain.button("Sign in").click()
    plain.is_signed_in()


def test_the_wrong_finger_at_the_second_step_can_be_tried_again(strict):
    come_by_link(strict)
    strict.device.verifies, strict.device.present = False, True
    strict.button("Sign in with a passkey").click()
    expect(strict.alert).to_contain_text("Nothing was confirmed")
    strict.device.verifies = True
    strict.button("Sign in with a passkey").click()
    strict.is_at("/account")


def test_recovery_codes_are_copied_downloaded_and_printed(owner):
    owner.pick_from_autofill()
    owner.is_at("/account")
    owner.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    owner.page.add_init_script("window.print = () => { window.printed = true }")
    codes = make_recovery_codes(owner)
    owner.button("Copy").click()
    expect(owner.page.get_by_role("status")).to_have_text("Copied")
    assert owner.page.evaluate("navigator.clipboard.readText()").split() == codes
    owner.button("Print").click()
    assert owner.page.evaluate("window.printed")
    with owner.page.expect_download() as download:
        owner.page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "latchkey-recovery-codes.txt"
    kept = download.value.path().read_text()
    assert CODE.findall(kept)
    assert all(code in kept for code in codes)
    assert EMAIL in kept
    # On paper: whose codes they are and where, and nothing that is for the screen.
    owner.page.emulate_media(media="print")
    expect(owner.page.get_by_text(f"Recovery codes of {EMAIL}")).to_be_visible()
    expect(owner.page.get_by_role("heading")).to_be_hidden()
    expect(owner.button("Print")).to_be_hidden()


def test_the_codes_download_without_scripts(new_visitor):
    plain = new_visitor(java_script_enabled=False)
    plain.sign_in_by_link()
    make_recovery_codes(plain)
    expect(plain.button("Copy")).to_be_hidden()
    with plain.page.expect_download() as download:
        plain.page.get_by_role("link", name="Download").click()
    assert len(CODE.findall(download.value.path().read_text())) == 10
