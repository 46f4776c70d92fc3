"""Somebody at Firefox, and the device that holds their passkeys."""

from typing import Any

from flask import Flask

from tests import mails
from tests.firefox.marionette import Element, Marionette
from tests.mails import Mail

EMAIL = "ada@example.com"

# Firefox opens no menu for those who drive it, so ask the module behind the menu, and answer as a click there does
# (toolkit/components/passwordmgr/WebAuthnFeature.sys.mjs). Its last item is always another passkey: a phone, or a key.
AUTOFILL = """
  const { WebAuthnFeature } = ChromeUtils.importESModule("resource://gre/modules/WebAuthnFeature.sys.mjs");
  const [origin, picks] = arguments;
  const tab = gBrowser.selectedBrowser;
  return (async () => {
    const offered = () => WebAuthnFeature.autocompleteItemsAsync(tab.browsingContext.id, origin);
    let items;
    // Nothing tells when the page has asked, so look again and again; and let Firefox work in between.
    while (!(items = await offered()).length) await new Promise((resolve) => setTimeout(resolve, 20));
    if (picks) await WebAuthnFeature.promptForAuthenticator(tab, items[0].fillMessageData.selection);
    return items.length - 1;
  })();
"""


class Device:
    """Firefox's virtual authenticator (WebAuthn L3 11): it unlocks like a phone or a laptop, and its owner agrees to
    whatever it asks; or cancels, where `consents` is false."""

    def __init__(self, marionette: Marionette, consents: bool = True):
        self._marionette = marionette
        self._id = marionette.send(
            "WebAuthn:AddVirtualAuthenticator",
            protocol="ctap2",
            transport="internal",
            hasResidentKey=True,
            hasUserVerification=True,
            isUserConsenting=consents,
            isUserVerified=True,
        )

    @property
    def credentials(self) -> list[dict[str, Any]]:
        """Its passkeys."""
        return self._marionette.send("WebAuthn:GetCredentials", authenticatorId=self._id)

    def remove(self) -> None:
        """Unplug it, and all that it holds."""
        self._marionette.send("WebAuthn:RemoveVirtualAuthenticator", authenticatorId=self._id)


class Visitor:
    """Somebody who does what the pages offer."""

    def __init__(self, marionette: Marionette, app: Flask):
        self.marionette = marionette
        self.app = app
        self.origin = app.config["SITE_URL"]
        self.device = Device(marionette)

    # What the pages have.

    def button(self, name: str) -> Element:
        return self.marionette.find(f"//button[normalize-space() = '{name}']")

    def field(self, label: str) -> Element:
        return self.marionette.find(f"//input[@id = //label[normalize-space() = '{label}']/@for]")

    def goto(self, path: str) -> None:
        """Open a page."""
        self.marionette.goto(self.origin + path)

    def is_at(self, heading: str) -> None:
        """Assert that the browser is at the page with this heading, or gets there, and has loaded it."""
        self.marionette.find(f"//h1[normalize-space() = '{heading}']")
        self.marionette.wait_until_loaded()

    def is_told(self, sentence: str, role: str = "alert") -> None:
        """Assert that the page says this, or comes to say it, where it can be seen."""
        self.marionette.find(f"//*[@role = '{role}'][not(@hidden)][contains(., '{sentence}')]")
        self.marionette.wait_until_loaded()

    def is_signed_in(self) -> None:
        """Assert that the page is one of a signed-in visitor, and says as whom."""
        self.marionette.find(f"//header//a[normalize-space() = '{EMAIL}']")
        self.marionette.wait_until_loaded()

    # The mail.

    def ask(self) -> Mail:
        """Ask for the sign-in mail, and return it."""
        self.goto("/sign-in")
        self.field("Email").type(EMAIL)
        self.button("Email me a sign-in link").click()
        self.is_at("Check your email")
        return mails.sign_in_mail(self.app)

    def sign_in_by_code(self) -> None:
        """Ask for the mail, and type its code."""
        code = self.ask().code
        self.field("Code").type(code)
        self.button("Sign in").click()
        self.is_signed_in()

    # The passkeys.

    def make_passkey(self) -> None:
        """Make a passkey, on a page that offers it."""
        self.button("Create a passkey").click()
        self.is_told("Your passkey is ready", role="status")

    def sign_out(self) -> None:
        """Press the button that signs out."""
        self.button("Sign out").click()
        self.is_at("One email.Then just your fingerprint.")

    def autofill(self, picks: bool = False) -> int:
        """Wait until the page has asked the browser for autofill; return how many passkeys it offers, or pick one."""
        return self.marionette.run_in_browser(AUTOFILL, self.origin, picks)
