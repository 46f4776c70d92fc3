"""The notice "New sign-in to your account": the browsers that count as new, and the number of notices."""

import time_machine

from app.models import now
from app.views.shared import known_accounts
from tests import mails
from tests.conftest import ADA, GRACE, Visitor, expect

SUBJECT = "New sign-in to your account"


def count(app) -> int:
    """Return how many of these notices were sent."""
    return [subject for _, subject in mails.notices(app)].count(SUBJECT)


def test_first_sign_in_of_a_new_account_sends_no_notice(app):
    Visitor(app).sign_in_by_link(ADA)
    assert count(app) == 0


def test_another_browser_is_new_even_with_the_same_name_and_system(app, visitor, phone):
    visitor.sign_in_by_link(ADA)
    visitor.make_passkey(phone)
    thief = Visitor(app)
    thief.sign_in_by_passkey(phone)
    assert count(app) == 1
    # From now on, that browser is known.
    thief.sign_out()
    thief.sign_in_by_link(ADA)
    assert count(app) == 1


def test_browser_stays_known_with_another_user_agent(app, visitor):
    visitor.sign_in_by_link(ADA)
    visitor.sign_out()
    visitor.client.environ_base["HTTP_USER_AGENT"] = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Firefox/140.0"
    visitor.sign_in_by_link(ADA)
    assert count(app) == 0


def test_browser_stays_known_when_the_address_is_changed_in_another(app, visitor, phone):
    visitor.sign_in_by_link(ADA)
    visitor.make_passkey(phone)
    visitor.sign_out()
    other = Visitor(app)
    other.sign_in_by_passkey(phone)
    other.change_address(GRACE)
    visitor.sign_in_by_passkey(phone)
    assert count(app) == 1


def test_account_created_again_does_not_know_the_browsers_of_the_deleted_one(app, visitor):
    visitor.sign_in_by_link(ADA)
    expect(visitor.post("/account/delete"), 303)
    Visitor(app).sign_in_by_link(ADA)
    visitor.sign_in_by_link(ADA)
    assert count(app) == 1


def test_browser_knows_its_five_latest_accounts(app, visitor):
    for number in range(known_accounts.MOST_ACCOUNTS):
        visitor.sign_in_by_link(f"user{number}@example.org")
    visitor.sign_in_by_link("user0@example.org")
    assert count(app) == 0
    visitor.sign_in_by_link("one-more@example.org")
    visitor.sign_in_by_link("user0@example.org")
    assert count(app) == 0
    visitor.sign_in_by_link("user1@example.org")
    assert count(app) == 1


def test_cookie_of_an_earlier_release_knows_nobody_and_breaks_nothing(app, visitor):
    visitor.sign_in_by_link(ADA)
    visitor.sign_out()
    with visitor.client.session_transaction(base_url=visitor.site_url) as cookie:
        cookie["known"] = ["0123456789abcdef"]
    visitor.sign_in_by_link(ADA)
    assert count(app) == 1
    visitor.sign_out()
    visitor.sign_in_by_link(ADA)
    assert count(app) == 1


def test_new_browsers_send_ten_notices_an_hour(app, visitor, phone):
    """Somebody with a passkey could flood the owner's inbox with more."""
    visitor.sign_in_by_link(ADA)
    visitor.make_passkey(phone)
    for _ in range(12):
        Visitor(app).sign_in_by_passkey(phone)
    assert count(app) == 10
    with time_machine.travel(now().timestamp() + 3601):
        Visitor(app).sign_in_by_passkey(phone)
        assert count(app) == 11
