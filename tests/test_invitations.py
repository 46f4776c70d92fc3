"""Sites by invitation: nobody can tell from outside who has one, and an account still takes proof of the address."""

import pytest

from app import invitations
from app.extensions import db
from app.models import Invitation, User
from tests import mails
from tests.conftest import Visitor, expect

ADA, EVE = "ada@example.org", "eve@example.org"


@pytest.fixture
def app(make_app):
    """A site by invitation, with one for Ada."""
    app = make_app(FLASK_SIGN_UP="invite")
    with app.app_context():
        invitations.invite(ADA)
        db.session.commit()
    return app


def count(app, table) -> int:
    with app.app_context():
        return db.session.query(table).count()


def test_who_is_invited_gets_an_account_on_proof(visitor, app):
    assert count(app, User) == 0
    response = visitor.sign_in_by_link(ADA)
    assert response.location == "/account/welcome"
    assert (count(app, User), count(app, Invitation)) == (1, 0)
    visitor.sign_out()
    assert visitor.sign_in_by_link(ADA).location == "/account"


def test_who_is_not_sees_the_same_page_and_gets_another_mail(visitor, stranger, app, unchanged, clock):
    # The countdown on the page goes by seconds.
    with unchanged():
        answers = [expect(who.ask(email), 303) for who, email in ((visitor, ADA), (stranger, EVE))]
        pages = [
            who.get("/sign-in/check-email").text.replace(email, "") for who, email in ((visitor, ADA), (stranger, EVE))
        ]
    assert answers[0].location == answers[1].location
    assert pages[0] == pages[1]
    assert mails.notices(app) == [(EVE, "Latchkey is by invitation")]
    [mail] = [mail for mail in mails.outbox(app) if mail["To"] == EVE]
    assert "/sign-in/link/" not in mails.text_of(mail)


def test_an_invitation_that_was_withdrawn_meanwhile_opens_nothing(visitor, app, reasons):
    visitor.ask(ADA)
    mail = visitor.read_mail()
    with app.app_context():
        invitations.withdraw(ADA)
        db.session.commit()
    response = expect(visitor.post(mail.link), 410)
    assert visitor.alert(response).startswith("This site is by invitation")
    visitor.ask(EVE)
    assert reasons == ["not_invited"]
    assert count(app, User) == 0


def test_the_code_opens_nothing_either(visitor, app, reasons):
    visitor.ask(ADA)
    code = visitor.read_mail().code
    with app.app_context():
        invitations.withdraw(ADA)
        db.session.commit()
    response = expect(visitor.post("/sign-in/code", {"code": code}), 400)
    assert visitor.alert(response).startswith("This site is by invitation")
    assert reasons == ["not_invited"]


def test_whoever_has_an_account_stays(make_app):
    app = make_app()
    Visitor(app).sign_in_by_link(EVE)
    app.config["SIGN_UP"] = "invite"
    Visitor(app).sign_in_by_link(EVE)


def test_the_sign_in_page_says_so(visitor):
    assert "This site is by invitation" in visitor.get("/sign-in").text
