"""Somebody at a real browser, and the device that holds their passkeys."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask
from playwright.sync_api import Locator, Page, Response, Route, expect
from werkzeug.test import TestResponse

from tests import mails
from tests.mails import Mail

EMAIL = "ada@example.com"

# Scripts for before a page's own (`page.add_init_script`): a browser that offers no passkeys in its autofill, one that
# can't look at this device only, and one that can't use passkeys.
NO_AUTOFILL = "PublicKeyCredential.isConditionalMediationAvailable = async () => false"
NO_IMMEDIATE = "PublicKeyCredential.getClientCapabilities = undefined"
NO_WEBAUTHN = "delete window.PublicKeyCredential"

# For a page that is open.
LOSE_PATIENCE = """(milliseconds) => {
  for (const name of ["create", "get"]) {
    const ask = navigator.credentials[name].bind(navigator.credentials);
    navigator.credentials[name] = (request) => ask({
      ...request,
      publicKey: { ...request.publicKey, timeout: milliseconds },
    });
  }
}"""

PATIENCE_SECONDS = 10


class Device:
    """Chromium's virtual authenticator (WebAuthn L3 11), as it meets one page: it unlocks like a phone or a laptop.

    With `present`, its owner agrees at once to whatever it asks, in the place of picking from the list or touching
    it. What began to wait before that goes on waiting: set it before the page asks.
    """

    def __init__(self, page: Page):
        self._cdp = page.context.new_cdp_session(page)
        self._cdp.send("WebAuthn.enable")
        options = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": False,
        }
        self._id = self._send("addVirtualAuthenticator", options=options)["authenticatorId"]
        self._present, self._verifies = False, True

    @property
    def present(self) -> bool:
        """Whether its owner agrees to what is asked, at once."""
        return self._present

    @present.setter
    def present(self, present: bool) -> None:
        self._send("setAutomaticPresenceSimulation", authenticatorId=self._id, enabled=present)
        self._present = present

    @property
    def verifies(self) -> bool:
        """Whether finger, face or PIN are its owner's."""
        return self._verifies

    @verifies.setter
    def verifies(self, verifies: bool) -> None:
        self._send("setUserVerified", authenticatorId=self._id, isUserVerified=verifies)
        self._verifies = verifies

    @property
    def credentials(self) -> list[dict]:
        """Its passkeys, in the words of the protocol."""
        return self._send("getCredentials", authenticatorId=self._id)["credentials"]

    @contextmanager
    def deletes(self, id: str | None) -> Iterator[None]:
        """Assert that within the block, or soon after, it deletes this passkey (None: any one) and no other, because
        it was told to."""
        deleted: list[str] = []
        self._cdp.on("WebAuthn.credentialDeleted", lambda event: deleted.append(event["credentialId"]))
        yield
        patience = time.monotonic() + PATIENCE_SECONDS
        while not deleted and time.monotonic() < patience:
            self._cdp.send("Runtime.evaluate", {"expression": "0"})  # which lets events come in
        assert deleted == [id or deleted[0]]

    def forget(self) -> None:
        """Delete its passkeys."""
        self._send("clearCredentials", authenticatorId=self._id)

    def hold(self, credentials: list[dict]) -> None:
        """Have these passkeys, too."""
        for credential in credentials:
            self._send("addCredential", authenticatorId=self._id, credential=credential)

    def _send(self, method: str, **parameters) -> dict:
        return self._cdp.send(f"WebAuthn.{method}", parameters)


class Visitor:
    """Somebody at a browser of their own, who does what the pages offer."""

    def __init__(self, page: Page, app: Flask):
        self.page = page
        self.app = app
        self.device = Device(page)
        self._documents: list[Response] = []
        page.on("response", self._keep_document)

    def another_tab(self) -> "Visitor":
        """Return the same visitor, at another tab of the same browser, on the empty page."""
        other = type(self)(self.page.context.new_page(), self.app)
        # Chromium keeps a device's passkeys per tab.
        other.device.hold(self.device.credentials)
        return other

    def _keep_document(self, response: Response) -> None:
        if response.request.is_navigation_request() and response.frame == self.page.main_frame:
            self._documents.append(response)

    # What the pages have.

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def field(self, name: str) -> Locator:
        return self.page.get_by_role("textbox", name=name, exact=True)

    @property
    def alert(self) -> Locator:
        """What the page says went wrong."""
        return self.page.get_by_role("alert")

    @property
    def passkeys(self) -> Locator:
        """The passkeys that the account page lists."""
        return self.page.get_by_role("region", name="Passkeys").get_by_role("listitem")

    @property
    def source(self) -> str:
        """The page as the server wrote it: what the browser has made of it is forgiven already."""
        return self._documents[-1].text()

    def fetch(self, path: str) -> TestResponse:
        """Return what is at this path, got with the browser's cookies and past its pages."""
        client = self.app.test_client()
        for cookie in self.page.context.cookies():
            client.set_cookie(cookie["name"], cookie["value"], domain=cookie["domain"])
        return client.get(path, base_url=self.app.config["SITE_URL"], buffered=True)

    def goto(self, path: str) -> None:
        """Open a page."""
        self.page.goto(path)

    def is_at(self, path: str) -> None:
        """Assert that the browser is at this page, or gets there, and has loaded it."""
        expect(self.page).to_have_url(path)
        self.page.wait_for_load_state()

    def is_signed_in(self, email: str = EMAIL) -> None:
        """Assert that the page is one of a signed-in visitor, and says as whom."""
        expect(self.page.get_by_role("banner").get_by_role("link", name=email, exact=True)).to_be_visible()

    # The mail.

    def ask(self, email: str = EMAIL) -> Mail:
        """Ask for the sign-in mail, and return it."""
        self.goto("/sign-in")
        self.field("Email").fill(email)
        self.button("Email me a sign-in link").click()
        self.is_at("/sign-in/check-email")
        return self.read_mail()

    def read_mail(self) -> Mail:
        """Return the newest sign-in mail."""
        return mails.sign_in_mail(self.app)

    def read_code(self, to: str = EMAIL) -> str:
        """Return the code of the newest message, which was sent to this address."""
        return mails.code_for(self.app, to)

    def type_code(self, code: str) -> None:
        """Type the code where it was asked for, and send it."""
        self.field("Code").fill(code)
        self.field("Code").press("Enter")

    def sign_in_by_link(self, email: str = EMAIL) -> None:
        """Ask for a link, open it, and confirm."""
        self.goto(self.ask(email).link)
        self.button("Sign in").click()
        self.is_signed_in(email)

    # The passkeys.

    def make_passkey(self) -> None:
        """Make a passkey, on a page that offers it."""
        # Chromium makes them in the tab that is looked at, and in no other.
        self.page.bring_to_front()
        self.open_offer()
        self.device.present = True
        self.button("Create a passkey").click()
        expect(self.page.get_by_role("status")).to_contain_text("Your passkey is ready")
        self.device.present = False

    def open_offer(self) -> None:
        """Open "Add a passkey" on the account page, where it is closed because there are passkeys already."""
        self.page.wait_for_load_state()
        for closed in self.page.locator("details:not([open]) > summary").get_by_text("Add a passkey").all():
            closed.click()

    def sign_out(self) -> None:
        """Press the button that signs out."""
        self.button("Sign out").click()
        self.is_at("/")

    def open_sign_in(self, path: str = "/sign-in") -> None:
        """Open the sign-in page and do nothing yet: a passkey waits in the autofill of the email field."""
        self.goto(path)
        self.autofill_waits()

    def autofill_waits(self) -> None:
        """Wait until the page, which is about to, has asked the browser for autofill.

        The page asks this same question before it asks for autofill, and all of it is answered in turn: after the
        first answer the page asks, and after the second the browser has heard it.
        """
        question = "PublicKeyCredential.isConditionalMediationAvailable()"
        assert self.page.evaluate(f"async () => await {question} && await {question}")

    def open_without_autofill(self) -> None:
        """Open the sign-in page in a browser that offers no passkeys in its autofill. With autofill, the device may
        answer that first: Chromium asks it at a moment of its own, and asks again after a button that came to nothing.
        """
        self.page.add_init_script(NO_AUTOFILL)
        self.goto("/sign-in")
        expect(self.button("Sign in with a passkey")).to_be_enabled()

    def lose_patience_after(self, milliseconds: int) -> None:
        """Have the browser's dialogs on this page give up on their own: there is no Cancel to press, and to the page it
        is the same."""
        self.page.evaluate(LOSE_PATIENCE, milliseconds)

    def lose_the_answer(self) -> None:
        """Have the server's answer to a passkey get lost, so that the page that asked can be looked at afterwards."""
        self.page.route("**/sign-in/passkey", lambda route: route.fulfill(status=204))

    def has_lost_the_answer(self) -> None:
        """Wait for that."""
        expect(self.page.locator("passkey-sign-in input[name=credential]")).not_to_have_value("")

    def pick_from_autofill(self, path: str = "/sign-in") -> None:
        """Open the sign-in page and pick, once, the passkey that the email field offers."""

        def has_picked(route: Route) -> None:
            self.device.present = False
            route.continue_()

        self.page.route("**/sign-in/passkey", has_picked, times=1)
        self.device.present = True
        # The next page may come before this one has finished loading.
        self.page.goto(path, wait_until="commit")
