"""Sites by invitation: visitors can't tell which addresses are invited, and an account still needs a proven address."""

import pytest

from app import invitations
from app.database import db
from app.models import Invitation, User
from tests import mails
from tests.conftest import ADA, EVE, Visitor, at_once, count, expect


@pytest.fixture
def app(make_app):
    """Return a site by invitation. Ada is invited."""
    app = make_app(FLASK_SIGN_UP="invite")
    with app.app_context():
        invitations.invite(ADA)
        db.session.commit()
    return app


def test_invited_address_gets_an_account_once_it_is_proven(visitor, app):
    assert count(app, User) == 0
    response = visitor.sign_in_by_link(ADA)
    assert response.location == "/account/welcome"
    assert (count(app, User), count(app, Invitation)) == (1, 0)
    visitor.sign_out()
    assert visitor.sign_in_by_link(ADA).location == "/account"


def test_uninvited_address_gets_the_same_page_and_another_mail(visitor, stranger, app, unchanged, clock):
    # `clock` stops the time, because the page counts seconds down.
    with unchanged():
        answers = [expect(who.ask(email), 303) for who, email in ((visitor, ADA), (stranger, EVE))]
        pages = [
            who.get("/sign-in/check-email").text.replace(email, "") for who, email in ((visitor, ADA), (stranger, EVE))
        ]
    assert answers[0].location == answers[1].location
    assert pages[0] == pages[1]
    assert mails.notices(app) == [(EVE, "You need an invitation to use Latchkey")]
    [mail] = [mail for mail in mails.outbox(app) if mail["To"] == EVE]
    assert "/sign-in/link/" not in mails.text_of(mail)


def test_link_does_not_sign_in_after_the_invitation_is_withdrawn(visitor, app, reasons):
    visitor.ask(ADA)
    mail = visitor.read_mail()
    with app.app_context():
        invitations.withdraw(ADA)
        db.session.commit()
    response = expect(visitor.post(mail.link), 410)
    assert visitor.alert(response).startswith("You need an invitation to use this site")
    visitor.ask(EVE)
    assert reasons == ["not_invited"]
    assert count(app, User) == 0


def test_code_does_not_sign_in_after_the_invitation_is_withdrawn(visitor, app, reasons):
    visitor.ask(ADA)
    code = visitor.read_mail().code
    with app.app_context():
        invitations.withdraw(ADA)
        db.session.commit()
    response = expect(visitor.post("/sign-in/code", {"code": code}), 400)
    assert visitor.alert(response).startswith("You need an invitation to use this site")
    assert reasons == ["not_invited"]


def test_account_from_before_needs_no_invitation(make_app):
    app = make_app()
    Visitor(app).sign_in_by_link(EVE)
    app.config["SIGN_UP"] = "invite"
    Visitor(app).sign_in_by_link(EVE)


def test_sign_in_page_says_that_an_invitation_is_needed(visitor):
    assert "You need an invitation to use this site." in visitor.get("/sign-in").text


def test_name_of_the_site_is_plain_text_in_a_subject(make_app):
    app = make_app(FLASK_SIGN_UP="invite", FLASK_SITE_NAME="Tom & Jerry’s")
    expect(Visitor(app).ask(EVE), 303)
    assert mails.notices(app) == [(EVE, "You need an invitation to use Tom & Jerry’s")]
    [mail] = mails.outbox(app)
    assert "<h1" in mail.get_body(("html",)).get_content()
    assert "You need an invitation to use Tom &amp; Jerry’s" in mail.get_body(("html",)).get_content()


@pytest.mark.slow
def test_address_that_an_account_is_leaving_gets_no_second_account(make_app):
    """The mail to the old address and the change of address are used at the same moment."""
    app = make_app(FLASK_SIGN_UP="invite", FLASK_LIMITS_ENABLED="false")
    with app.app_context():
        invitations.invite("ada0@example.org")
        db.session.commit()
    owner = Visitor(app)
    owner.sign_in_by_link("ada0@example.org")
    for number in range(20):
        tab, old, new = Visitor(app), f"ada{number}@example.org", f"ada{number + 1}@example.org"
        expect(tab.ask(old), 303)
        typed = tab.read_mail().code
        expect(owner.post("/account/email", {"email": new}), 303)
        codes = [{"code": owner.read_code(new)}, {"code": typed}]
        paths = ["/account/email", "/sign-in/code"]
        changed, signed_in = at_once(lambda who, path, form: who.post(path, form), [owner, tab], paths, codes)
        expect(changed, 303)
        # The code signs in if it comes first. After the change, its address has neither account nor invitation.
        assert signed_in.status_code in (303, 400)
    assert count(app, User) == 1
