"""Three events that end access, raced against everything that visitors do with the account at the same moment.

The events: the operator disables the account, the owner changes the address, the owner ends all other sessions. An
action that comes first is finished, and the event ends its session. An action that comes second is refused.
"""

from functools import partial

import pytest

from app.models import Passkey, RecoveryCode, Session, User
from authenticator import Authenticator
from tests.conftest import Visitor, as_text, at_once, expect, rows
from tests.test_cli import make_desk

pytestmark = pytest.mark.slow

ROUNDS = 5


@pytest.fixture
def app(make_app):
    """Return a site without limits, because they would refuse some of the requests."""
    return make_app(FLASK_LIMITS_ENABLED="false")


class Household:
    """An account with a passkey and two browsers, and two more browsers that are about to sign in."""

    def __init__(self, app, number: int):
        self.app, self.email, self.phone = app, f"owner{number}@example.org", Authenticator()
        self.owner, self.other, self.with_passkey, self.with_code = (Visitor(app) for _ in range(4))
        self.owner.sign_in_by_link(self.email)
        self.owner.make_passkey(self.phone)
        self.other.sign_in_by_passkey(self.phone)
        [self.user_id] = [user.id for user in rows(app, User) if user.email == self.email]
        [self.passkey_id] = [passkey.id for passkey in rows(app, Passkey) if passkey.user_id == self.user_id]

    def actions(self) -> dict[str, partial]:
        """Prepare what can be sent at this moment: two sign-ins, and five forms of the other browser."""
        self.with_code.ask(self.email)
        code = self.with_code.read_mail().code
        assertion = self.phone.get(self.with_passkey.request_options())
        proof = self.phone.get(self.other.confirmation_options())
        created = Authenticator().create(self.other.creation_options())
        passkey = f"/account/passkeys/{self.passkey_id}"
        return {
            "sign in by passkey": partial(self.with_passkey.authenticate, assertion),
            "sign in by code": partial(self.with_code.type_code, code),
            "prove": partial(self.other.twin().post, "/account/confirm", {"credential": as_text(proof)}),
            "create a passkey": partial(self.other.twin().register, created),
            "rename a passkey": partial(self.other.twin().post, f"{passkey}/rename", {"name": "renamed"}),
            "make recovery codes": partial(self.other.twin().post, "/account/recovery-codes"),
            "sign out": partial(self.other.twin().post, "/sign-out"),
        }

    def race(self, event: partial) -> dict[str, int]:
        """Send the event and all actions at once. Return the status of each action."""
        actions = self.actions()
        *answers, _ = at_once(lambda send: send(), [*actions.values(), event])
        statuses = {name: answer.status_code for name, answer in zip(actions, answers, strict=True)}
        # The account exists all the time, so nothing but these is right: done, refused, no session, no fresh proof.
        assert set(statuses.values()) <= {200, 303, 400, 401, 403}, statuses
        # An action that was refused has changed nothing.
        assert len(self.rows_of(Passkey)) == 1 + (statuses["create a passkey"] == 303)
        assert len(self.rows_of(RecoveryCode)) == 10 * (statuses["make recovery codes"] == 200)
        names = [passkey.name for passkey in self.rows_of(Passkey) if passkey.id == self.passkey_id]
        assert (names == ["renamed"]) == (statuses["rename a passkey"] == 303)
        return statuses

    def rows_of(self, model: type) -> list:
        """Return the account's rows in this table."""
        return [row for row in rows(self.app, model) if row.user_id == self.user_id]


@pytest.mark.parametrize("number", range(ROUNDS))
def test_disabled_account_has_no_session_whatever_was_sent_meanwhile(app, number):
    household = Household(app, number)
    desk = make_desk(app)
    household.race(partial(desk, "users", "disable", household.email))
    assert household.rows_of(Session) == []
    desk("users", "enable", household.email)
    for browser in (household.owner, household.other, household.with_passkey, household.with_code):
        assert not browser.is_signed_in()


@pytest.mark.parametrize("number", range(ROUNDS))
def test_changed_address_leaves_no_session_of_the_former_mailbox_or_the_other_browser(app, number):
    household = Household(app, number)
    owner, new = household.owner, f"new{number}@example.org"
    expect(owner.post("/account/email", {"email": new}), 303)
    statuses = household.race(partial(owner.post, "/account/email", {"code": owner.read_code(new)}))
    [user] = [user for user in rows(app, User) if user.id == household.user_id]
    # Creating a passkey or codes in the other browser makes the owner's session prove again. Then the address stays.
    if user.email == household.email:
        assert statuses["create a passkey"] == 303 or statuses["make recovery codes"] == 200
        return
    assert owner.is_signed_in()
    assert not household.other.is_signed_in()
    methods = [session.method for session in household.rows_of(Session)]
    # The owner's own, and perhaps that of a passkey which signed in after the change.
    assert sorted(methods) in (["link"], ["link", "passkey"])


@pytest.mark.parametrize("number", range(ROUNDS))
def test_ended_session_does_nothing_afterwards(app, number):
    household = Household(app, number)
    household.race(partial(household.owner.post, "/account/sessions/revoke-all"))
    assert not household.other.is_signed_in()
    assert household.other.post("/account/confirm", {"mail": "code"}).status_code == 401
