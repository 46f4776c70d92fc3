"""The doctor's page says in words what a browser can do."""

import re

from playwright.sync_api import expect


def test_browser_and_its_abilities_are_described(visitor):
    visitor.goto("/dev/doctor")
    titles = visitor.page.locator("[data-ability] strong:visible")
    expect(titles).to_have_text(
        [
            "Passkeys on this device: yes",
            "Passkeys in autofill: yes",
            re.compile("^Phone by QR code: (yes|no)$"),
            "This device first: yes",
            "Forgets removed passkeys: yes",
            "Forgets deleted accounts: yes",
            "Learns a new address: yes",
        ]
    )
    expect(visitor.page.get_by_text("You can click into the email field and pick a passkey.")).to_be_visible()
    expect(visitor.page.get_by_text("This browser can’t use passkeys")).to_be_hidden()


def test_browser_without_javascript_is_described(new_visitor):
    visitor = new_visitor(java_script_enabled=False)
    visitor.goto("/dev/doctor")
    expect(visitor.page.get_by_text("This browser can’t use passkeys, or JavaScript is turned off.")).to_be_visible()
    expect(visitor.page.locator("[data-ability] strong:visible")).to_have_count(0)
