"""Signing in by autofill: the email field offers the passkey."""

import re

import pytest
from playwright.sync_api import expect


def test_autofill_signs_in_with_one_post(owner, traffic):
    owner.pick_from_autofill()
    owner.is_at("/account")

    assert [line for line in traffic if line.startswith("POST")] == ["POST /sign-in/passkey"]


def test_after_autofill_the_wanted_page_comes(owner):
    wanted = "/account?from=a-bookmark"
    owner.goto(wanted)
    expect(owner.page).to_have_title(re.compile("^Sign in · "))
    owner.pick_from_autofill(owner.page.url)
    owner.is_at(wanted)


def test_the_email_field_takes_passkeys(visitor):
    visitor.open_sign_in()
    expect(visitor.field("Email")).to_have_attribute("autocomplete", "username webauthn")


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
