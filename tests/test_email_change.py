"""Changing the address: a code proves the new one, and the page doesn't reveal which addresses have accounts."""

import pytest

from app.models import User
from tests import mails
from tests.conftest import ADA, GRACE, Visitor, expect, rows, signals


def test_code_changes_the_address(ada, app, phone):
    expect(ada.post("/account/email", {"email": "Countess@example.org"}), 303)
    assert [user.email for user in rows(app, User)] == [ADA]
    expect(ada.post("/account/email", {"code": "CDFG-HJKM"}), 400)
    expect(ada.post("/account/email", {"code": ada.read_code("countess@example.org")}), 303)
    assert [user.email for user in rows(app, User)] == ["countess@example.org"]
    assert mails.notices(app)[0] == (ADA, "The address of your account was changed")
    [signal] = signals(ada.get("/account"))
    assert (signal["method"], signal["name"]) == ("signalCurrentUserDetails", "countess@example.org")
    # A link to the old address now opens another account.
    stranger = Visitor(app)
    stranger.sign_in_by_link(ADA)
    assert len(rows(app, User)) == 2


def test_unfinished_change_ends_with_another_change(ada, app, reasons):
    ada.post("/account/email", {"email": GRACE})
    tab, code = ada.twin(), ada.read_code(GRACE)
    ada.post("/account/email", {"email": "countess@example.org"})
    expect(ada.post("/account/email", {"code": ada.read_code("countess@example.org")}), 303)
    expect(tab.post("/account/email", {"code": code}), 400)
    assert reasons == ["bound_to_another_from"]


def test_next_account_in_a_browser_does_not_see_the_change_of_the_one_before(ada):
    ada.post("/account/email", {"email": GRACE})
    assert GRACE in ada.get("/account/email").text
    ada.sign_out()
    ada.sign_in_by_link("eve@example.org")
    assert GRACE not in ada.get("/account/email").text


def test_code_changes_the_address_once(ada, reasons):
    ada.post("/account/email", {"email": GRACE})
    tab, code = ada.twin(), ada.read_code(GRACE)
    expect(ada.post("/account/email", {"code": code}), 303)
    expect(tab.post("/account/email", {"code": code}), 400)
    assert reasons == ["bound_to_another_from"]


def test_address_with_an_account_gets_a_notice_and_the_page_looks_the_same(ada, eve, app, unchanged):
    mails.deliver_notices(app)
    pages = []
    for email in ("eve@example.org", "bob@example.org"):
        with unchanged():
            expect(ada.post("/account/email", {"email": email}), 303)
        pages.append(ada.get("/account/email").text.replace(email, ""))
    assert pages[0] == pages[1]
    assert mails.notices(app)[0] == ("eve@example.org", "You have an account already")


def test_address_that_gets_an_account_meanwhile_is_refused(ada, stranger, reasons, app):
    ada.post("/account/email", {"email": GRACE})
    code = ada.read_code(GRACE)
    stranger.sign_in_by_link(GRACE)
    response = expect(ada.post("/account/email", {"code": code}), 400)
    assert reasons == ["address_taken"]
    assert ada.alert(response)
    assert [user.email for user in rows(app, User)] == [ADA, GRACE]


@pytest.mark.parametrize(("email", "reason"), [("nonsense", "invalid_email"), (ADA, "same_email")])
def test_invalid_or_unchanged_address_is_refused(ada, unchanged, reasons, email, reason):
    with unchanged():
        response = expect(ada.post("/account/email", {"email": email}), 400)
    assert ada.alert(response)
    assert reasons == [reason]


def test_change_of_address_ends_the_sessions_that_the_old_mailbox_opened(ada):
    thief = Visitor(ada.app)
    thief.sign_in_by_link(ADA)
    ada.change_address(GRACE)
    assert ada.is_signed_in()
    assert not thief.is_signed_in()
