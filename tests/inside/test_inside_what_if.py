"""What if: each change to a response is noticed by the check that it is for, with no key to sign it again."""

import json

import pytest

from app.models import Activity
from authenticator import Authenticator
from learn.inside import ceremonies, what_if
from learn.inside.ceremonies import Ceremony
from tests.conftest import Visitor, expect, rows

SIGN_IN = {
    "origin": "wrong_origin",
    "challenge": "malformed_token",
    "type": "wrong_type",
    "rp_id": "wrong_rp_id",
    "user_present": "user_not_present",
    "user_verified": "user_not_verified",
    "backup_eligible": "wrong_signature",
    "backup_state": "wrong_signature",
    "counter": "wrong_signature",
    "user_handle": "wrong_user_handle",
    "signature": "wrong_signature",
}

# Nobody signs a registration without attestation. So some changes go unnoticed, because the site has nothing to compare
# with. But a passkey that can't be backed up is not backed up.
REGISTRATION = SIGN_IN | {"backup_eligible": "inconsistent_backup_flags", "backup_state": "", "counter": ""}
for absent in ("user_handle", "signature"):
    del REGISTRATION[absent]


def newest(visitor: Visitor) -> Ceremony:
    """Return the newest ceremony of the activity."""
    ceremony = ceremonies.read(rows(visitor.app, Activity)[-1].transcript)
    assert ceremony
    return ceremony


@pytest.fixture
def sign_in(ada, phone) -> Ceremony:
    ada.sign_out()
    ada.sign_in_by_passkey(phone)
    return newest(ada)


@pytest.fixture
def registration(ada) -> Ceremony:
    ada.make_passkey(Authenticator())
    return newest(ada)


@pytest.fixture
def proof(ada, phone) -> Ceremony:
    expect(ada.prove_by_passkey(phone), 303)
    return newest(ada)


@pytest.mark.parametrize(
    ("kind", "reasons"), [("sign_in", SIGN_IN), ("registration", REGISTRATION), ("proof", SIGN_IN)]
)
def test_each_change_is_refused_for_its_own_reason(request, app, kind, reasons):
    ceremony = request.getfixturevalue(kind)
    with app.app_context():
        assert [change.name for change in what_if.changes_for(ceremony)] == list(reasons)
        found = {name: what_if.try_change(ceremony, name).refused for name in reasons}
    assert found == reasons


def test_ceremony_without_a_change_is_accepted_again(app, sign_in):
    with app.app_context():
        assert what_if.refusal(sign_in, sign_in.response) == ""


def test_ceremony_is_judged_as_it_was_when_its_passkey_is_gone(app, ada, sign_in):
    expect(ada.post("/account/passkeys/1/remove"), 303)
    with app.app_context():
        assert what_if.refusal(sign_in, sign_in.response) == ""


def test_changes_are_none_where_the_response_cannot_be_read(app, sign_in):
    for text in ("", "null", "[]", '{"response": 5}', json.dumps({"response": {"clientDataJSON": "é"}})):
        assert what_if.changes_for(Ceremony("authentication", text, sign_in.facts)) == []


def test_unknown_change_is_none(app, sign_in):
    assert what_if.try_change(sign_in, "everything") is None
