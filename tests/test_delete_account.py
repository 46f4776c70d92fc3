"""An account that its owner deletes."""

from app.models import User
from tests import mails
from tests.conftest import ADA, Visitor, expect, kinds, rows, signals


def test_deleted_account_leaves_no_row(ada, phone, app, snapshot):
    expect(ada.post("/account/delete"), 303)
    assert mails.notices(app)[0] == (ADA, "Your account is deleted")
    left = snapshot()
    assert {name for name, kept in left.items() if kept} == {"spent_tokens", "counters"}
    assert not ada.is_signed_in()
    [signal] = signals(ada.get("/"))
    assert (signal["method"], signal["allAcceptedCredentialIds"]) == ("signalAllAcceptedCredentials", [])

    again = Visitor(app)
    again.sign_in_by_link(ADA)
    assert rows(app, User)[0].id == 2
    assert kinds(app, user_id=2) == ["signed_in"]
    expect(Visitor(app).authenticate(phone.get(Visitor(app).request_options())), 400)
