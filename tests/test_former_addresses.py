"""A thief took an account over and changed its address. The owner still gets notices at the former address."""

import re
from datetime import timedelta

import pytest
import time_machine

from app import activity
from app.database import db
from app.models import now
from authenticator import Authenticator
from tests import mails
from tests.conftest import ADA, Visitor, expect

THIEF = "thief@evil.example"
CHANGED = "The address of your account was changed"
CODES = "New recovery codes were made for your account"


@pytest.fixture
def thief(app, ada, phone) -> Visitor:
    """A thief with Ada's phone, who has changed the address of her account to their own."""
    thief = Visitor(app)
    thief.client.environ_base["REMOTE_ADDR"] = "198.51.100.7"
    thief.sign_in_by_passkey(phone)
    thief.change_address(THIEF)
    return thief


def recipients(app, subject: str) -> list[str]:
    """Return the recipients of the notices with this subject, sorted."""
    return sorted(to for to, sent in mails.notices(app) if sent == subject)


def add_passkey(thief: Visitor) -> None:
    thief.make_passkey(Authenticator())


def remove_passkey(thief: Visitor) -> None:
    expect(thief.post("/account/passkeys/1/remove"), 303)


def require_passkey(thief: Visitor) -> None:
    thief.require_passkey()


def stop_requiring_a_passkey(thief: Visitor) -> None:
    thief.require_passkey()
    expect(thief.post("/account/require-passkey", {"require": "no"}), 303)


def use_recovery_code(thief: Visitor) -> None:
    [code, *_] = thief.require_passkey()
    expect(thief.post("/account/confirm", {"recovery_code": code}), 303)


def delete_account(thief: Visitor) -> None:
    expect(thief.post("/account/delete"), 303)


@pytest.mark.parametrize(
    ("act", "subject"),
    [
        (add_passkey, "A passkey was added to your account"),
        (remove_passkey, "A passkey was removed from your account"),
        (Visitor.make_recovery_codes, CODES),
        (use_recovery_code, "A recovery code of your account was used"),
        (require_passkey, "Your account requires a passkey now"),
        (stop_requiring_a_passkey, "Your account no longer requires a passkey"),
        (delete_account, "Your account is deleted"),
    ],
)
def test_notice_about_a_sign_in_method_goes_to_the_former_address_too(app, thief, act, subject):
    mails.clear(app)
    act(thief)
    assert recipients(app, subject) == [ADA, THIEF]


def test_notice_of_a_change_goes_to_all_addresses(app, thief):
    assert recipients(app, CHANGED) == [ADA, THIEF]
    mails.clear(app)
    thief.change_address("second@evil.example")
    assert recipients(app, CHANGED) == [ADA, "second@evil.example", THIEF]


def test_notice_to_a_former_address_has_no_details(app, thief, snapshot):
    """The owner may have changed the address because somebody else reads the former mailbox."""
    expect(thief.register(Authenticator().create(thief.creation_options()), name="Hidden key"), 303)
    details = ["Hidden key", "198.51.100.7", THIEF, "unknown browser"]
    to_former = [row for row in snapshot()["notices"] if ADA in row]
    assert len(to_former) == 2
    assert not any(detail in repr(row) for row in to_former for detail in details)
    subject = "A passkey was added to your account"
    sent = {mail["To"]: mail for mail in reversed(mails.outbox(app)) if mail["Subject"] == subject}
    for text in (mails.text_of(sent[ADA]), sent[ADA].get_body(("html",)).get_content()):
        assert re.search(r"This happened on \d+ \w+ \d{4} at \d\d:\d\d UTC\.", text)
        assert "Reply to this mail" in text
        assert not any(detail in text for detail in details)
        # A link that changes something would work for everybody who reads that mailbox.
        assert set(re.findall(r"https?://[^\s\"<]+", text)) == {"http://localhost:8000"}
    assert "Hidden key" in mails.text_of(sent[THIEF])
    assert "198.51.100.7" in mails.text_of(sent[THIEF])


def test_notice_of_a_sign_in_goes_to_the_current_address_only(app, thief, phone):
    mails.clear(app)
    Visitor(app).sign_in_by_passkey(phone)
    assert mails.notices(app) == [(THIEF, "New sign-in to your account")]


@pytest.mark.parametrize(("after", "told"), [(-1, [ADA, THIEF]), (1, [THIEF])])
@pytest.mark.parametrize("kept_for", ["7", "90"])
def test_former_address_gets_notices_for_seven_days(make_app, kept_for, after, told):
    app = make_app(FLASK_ACTIVITY_DAYS=kept_for)
    owner = Visitor(app)
    owner.sign_in_by_link(ADA)
    owner.change_address(THIEF)
    with time_machine.travel(now() + timedelta(days=7, seconds=after), tick=False):
        with app.app_context():
            activity.sweep()
            db.session.commit()
        owner.sign_in_by_link(THIEF)
        owner.make_recovery_codes()
        assert recipients(app, CODES) == told


def test_address_that_was_changed_and_changed_back_gets_one_notice(app, thief):
    thief.change_address(ADA)
    thief.make_recovery_codes()
    assert recipients(app, CODES) == [ADA, THIEF]


def test_frequent_changes_do_not_push_out_the_owners_address(app, thief):
    for number in range(6):
        thief.change_address(f"thief{number}@evil.example")
    thief.make_recovery_codes()
    oldest = [ADA, THIEF, *(f"thief{number}@evil.example" for number in range(3))]
    assert recipients(app, CODES) == sorted(["thief5@evil.example", *oldest])


def test_activity_shows_the_former_address(thief):
    assert f"Address changed from {ADA}" in thief.get("/account/activity").text
