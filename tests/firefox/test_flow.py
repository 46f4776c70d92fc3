"""The flow in Firefox: the mail, the passkey, and all that a visitor may cancel."""

import pytest

from tests.conftest import Visitor as HttpVisitor
from tests.firefox.visitor import EMAIL, Device

BUTTON = "Sign in with a passkey"


@pytest.fixture
def owner(visitor):
    """Somebody who has an account and a passkey, and is signed out."""
    visitor.sign_in_by_code()
    visitor.make_passkey()
    visitor.sign_out()
    return visitor


@pytest.fixture
def cancelling(visitor):
    """Somebody whose device asks, and who cancels."""
    visitor.device.remove()
    visitor.device = Device(visitor.marionette, consents=False)
    return visitor


def test_a_link_signs_in_the_browser_that_asked(visitor):
    visitor.goto(visitor.ask().link)
    visitor.is_at("Sign in to Latchkey?")
    visitor.button("Sign in").click()
    visitor.is_at("You’re in. Skip the email next time?")
    visitor.is_signed_in()


def test_a_link_from_another_browser_shows_the_code_instead(visitor, app):
    HttpVisitor(app).ask(EMAIL)
    visitor.goto(HttpVisitor(app).read_mail().link)
    visitor.is_at("Another browser asked for this link")


def test_a_passkey_that_the_code_led_to_signs_in_by_the_button(visitor):
    visitor.sign_in_by_code()
    visitor.make_passkey()
    assert [passkey["rpId"] for passkey in visitor.device.credentials] == ["localhost"]
    visitor.sign_out()

    visitor.goto("/sign-in")
    visitor.button(BUTTON).click()
    visitor.is_at("Your account")
    visitor.is_signed_in()


def test_autofill_offers_the_passkey_and_signs_in(owner):
    owner.goto("/sign-in")
    assert owner.autofill() == 1

    owner.autofill(picks=True)
    owner.is_at("Your account")
    owner.is_signed_in()


def test_the_button_interrupts_a_waiting_autofill(owner):
    owner.goto("/sign-in")
    owner.autofill()

    owner.button(BUTTON).click()
    owner.is_signed_in()


def test_the_email_form_works_while_autofill_waits(visitor):
    visitor.goto("/sign-in")
    assert visitor.autofill() == 0

    visitor.field("Email").type(EMAIL)
    visitor.button("Email me a sign-in link").click()
    visitor.is_at("Check your email")


def test_a_cancelled_creation_is_explained_and_can_be_tried_again(cancelling):
    visitor = cancelling
    visitor.sign_in_by_code()
    visitor.button("Create a passkey").click()
    visitor.is_told("No passkey was created")
    assert visitor.button("Create a passkey").is_enabled

    visitor.device.remove()
    visitor.device = Device(visitor.marionette)
    visitor.make_passkey()


def test_a_cancelled_sign_in_is_explained_and_autofill_waits_again(cancelling):
    visitor = cancelling
    visitor.goto("/sign-in")
    visitor.button(BUTTON).click()
    visitor.is_told("You’re not signed in")

    assert visitor.button(BUTTON).is_enabled
    visitor.autofill()


def test_signing_out_ends_the_session(visitor):
    visitor.sign_in_by_code()
    visitor.sign_out()
    visitor.goto("/account")
    visitor.is_at("Sign in")
