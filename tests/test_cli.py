"""The operator's desk: what it prints, what it changes, and what it says where it can't."""

import json
from datetime import timedelta

import pytest
import time_machine
from flask.testing import FlaskCliRunner
from sqlalchemy import insert, select

from app import cli, cli_site, create_app
from app.extensions import db
from app.models import Activity, Invitation, Passkey, RecoveryCode, Session, SpentToken, User, now
from tests import mails
from tests.conftest import Visitor, expect

ADA = "ada@example.org"

EVERY = [
    ["users", "list"],
    ["passkeys", "list"],
    ["passkeys", "list", "--json"],
    ["stats"],
    ["sweep"],
]
WITH_ADDRESS = ["invite", "disable", "enable", "delete", "reset-passkeys", "sign-out"]


@pytest.fixture
def desk(app):
    """Run a command: `desk("users", "list")` returns what it printed; `fails` is the exit code it must have."""
    return make_desk(app)


def make_desk(app):
    # As the `flask` command has it, and no other process.
    cli.init_app(app)
    cli_site.init_app(app)
    runner = FlaskCliRunner(app)

    def run(*arguments: str, fails: int = 0, typed: str = "") -> str:
        result = runner.invoke(args=[*arguments], input=typed)
        assert result.exit_code == fails, result.output
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result.output

    return run


@pytest.fixture
def ada(visitor, phone):
    """A visitor who is signed in, and has a passkey on their phone."""
    visitor.sign_in_by_link(ADA)
    visitor.make_passkey(phone)
    return visitor


def count(app, table) -> int:
    with app.app_context():
        return db.session.query(table).count()


def kinds(app) -> list[str]:
    with app.app_context():
        return list(db.session.scalars(select(Activity.kind).order_by(Activity.id)))


# On any site.


@pytest.mark.parametrize("command", EVERY, ids=" ".join)
def test_an_empty_database_has_nothing_to_show(desk, command):
    assert "Traceback" not in desk(*command)


@pytest.mark.parametrize("command", [*EVERY, *(["users", name, ADA] for name in WITH_ADDRESS)], ids=" ".join)
def test_without_a_database_it_says_what_to_do(tmp_path, command):
    output = make_desk(create_app({}, str(tmp_path)))(*command, fails=1)
    assert "flask db upgrade" in output
    assert "Traceback" not in output


@pytest.mark.parametrize("command", WITH_ADDRESS)
@pytest.mark.parametrize("address", ["nonsense", "Ada <ada@example.org>", "a@b\r\nBcc: c@d", ""])
def test_what_is_no_address_is_refused(desk, unchanged, command, address):
    with unchanged():
        assert "Error: That is no email address" in desk("users", command, address, fails=1)


@pytest.mark.parametrize("command", WITH_ADDRESS[1:])
def test_an_address_without_an_account_is_refused(desk, unchanged, command):
    with unchanged():
        assert f"Error: There is no account with the address {ADA}." in desk("users", command, ADA, fails=1)


@pytest.mark.parametrize("command", [*WITH_ADDRESS, "nonsense"])
def test_wrong_usage_exits_with_two(desk, command):
    assert "Usage:" in desk("users", command, fails=2)


def test_ten_thousand_accounts_are_listed(app, desk):
    at = now()
    users = [
        {
            "email": f"user{n:05}@example.org",
            "user_handle": n.to_bytes(64, "big"),
            "wants_passkey_offer": True,
            "created_at": at,
        }
        for n in range(10_000)
    ]
    with app.app_context():
        db.session.execute(insert(User), users)
        db.session.execute(
            insert(Passkey),
            [
                {
                    "user_id": n + 1,
                    "credential_id": n.to_bytes(16, "big"),
                    "public_key": b"",
                    "sign_count": 0,
                    "transports": "",
                    "backup_eligible": False,
                    "backup_state": False,
                    "aaguid": "00000000-0000-0000-0000-000000000000",
                    "name": "key",
                    "created_at": at,
                }
                for n in range(10_000)
            ],
        )
        rows = [
            {
                "user_id": n + 1,
                "kind": "signed_in",
                "at": at,
                "browser": "",
                "address": "",
                "detail": "link",
                "transcript": "",
            }
            for n in range(10_000)
        ]
        db.session.execute(insert(Activity), rows)
        db.session.commit()
    assert len(desk("users", "list").splitlines()) == 10_001
    assert len(desk("passkeys", "list").splitlines()) == 10_001
    assert len([json.loads(line) for line in desk("passkeys", "list", "--json").splitlines()]) == 10_000
    assert "10000" in desk("stats")
    for command in ["disable", "enable", "sign-out", "reset-passkeys", "delete"]:
        assert "user09999@example.org " in desk("users", command, "user09999@example.org", typed="y\n")
    desk("users", "invite", "user09999@example.org")
    assert desk("sweep").startswith("0 spent tokens forgotten.")


# Accounts.


def test_accounts_and_invitations_are_listed(clock, ada, desk):
    ada.require_passkey()
    desk("users", "invite", "bob@example.org")
    head, first, second = desk("users", "list").splitlines()
    assert head.split("  ")[0] == "EMAIL"
    today = f"{now():%Y-%m-%d}"
    assert first.startswith(f"{ADA}  {today}")
    assert first.endswith("requires-passkey")
    assert second.startswith(f"bob@example.org  {today}")
    assert second.endswith("invited")


def test_an_invitation_is_written_and_mailed(app, desk):
    assert desk("users", "invite", " Bob@Example.org ") == "bob@example.org is invited.\n"
    desk("users", "invite", "bob@example.org")
    assert count(app, Invitation) == 1
    assert mails.notices(app) == [("bob@example.org", "You are invited to Latchkey")] * 2
    text = mails.text_of(mails.outbox(app)[0])
    assert text.strip().endswith("http://localhost:8000/sign-in")
    assert "/sign-in/link/" not in text


def test_who_has_an_account_is_not_invited(ada, desk, unchanged):
    with unchanged():
        assert "has an account already" in desk("users", "invite", ADA, fails=1)


def test_where_the_mail_cannot_be_sent_nobody_is_invited(make_app):
    app = make_app(FLASK_MAIL_SERVER="localhost", FLASK_MAIL_PORT="1", FLASK_MAIL_USE_TLS="false")
    assert "no mail was sent" in make_desk(app)("users", "invite", ADA, fails=1)
    assert count(app, Invitation) == 0


def test_an_invitation_is_withdrawn(app, desk):
    desk("users", "invite", ADA)
    assert desk("users", "delete", ADA) == f"The invitation of {ADA} is withdrawn.\n"
    assert count(app, Invitation) == 0


def test_a_disabled_account_lets_nothing_in(ada, app, desk, phone, reasons):
    other = Visitor(app)
    other.ask(ADA)
    mail = other.read_mail()
    assert desk("users", "disable", ADA) == f"{ADA} is disabled, and signed out.\n"
    assert not ada.is_signed_in()
    response = expect(ada.authenticate(phone.get(ada.request_options())), 400)
    assert ada.alert(response) == "That didn’t sign you in. Try again, or ask for a link by email."
    assert "You can’t sign in to this account" in other.alert(expect(other.post(mail.link), 410))
    third = Visitor(app)
    third.ask(ADA)
    assert "You can’t sign in to this account" in third.alert(
        expect(third.post("/sign-in/code", {"code": third.read_mail().code}), 400)
    )
    assert reasons == ["account_disabled"] * 3
    assert desk("users", "list").splitlines()[1].endswith("disabled")
    assert desk("users", "enable", ADA) == f"{ADA} is enabled.\n"
    # What was ended stays so.
    assert not ada.is_signed_in()
    ada.sign_in_by_passkey(phone)
    assert [kind for kind in kinds(app) if "abled" in kind] == ["disabled", "enabled"]
    assert {(ADA, "Your account is disabled"), (ADA, "Your account is enabled again")} <= {*mails.notices(app)}


def test_a_session_that_came_about_meanwhile_is_none(ada, app):
    """Whoever signed in at the moment of being disabled has a session, and it opens nothing."""
    with app.app_context():
        db.session.query(User).update({"is_disabled": True})
        db.session.commit()
    assert not ada.is_signed_in()


def test_the_second_step_of_a_disabled_account_is_refused(ada, app, desk, reasons):
    codes = ada.require_passkey()
    other = Visitor(app)
    token = other.open_second_step(ADA)
    desk("users", "disable", ADA)
    expect(other.post("/sign-in/second-step", {"token": token, "code": codes[0]}), 400)
    assert reasons == ["account_disabled"]
    assert not other.is_signed_in()


def test_an_account_is_deleted_once_confirmed(ada, app, desk):
    assert "Aborted!" in desk("users", "delete", ADA, fails=1, typed="n\n")
    assert count(app, User) == 1
    assert desk("users", "delete", ADA, typed="y\n").endswith(f"{ADA} is deleted.\n")
    assert [count(app, table) for table in (User, Passkey, Session, Activity)] == [0] * 4
    assert mails.notices(app)[0] == (ADA, "Your account is deleted")
    assert "Who did it: the people who run this site, on" in mails.text_of(mails.outbox(app)[0])
    assert not ada.is_signed_in()


def test_resetting_passkeys_recovers_an_account(ada, app, desk, phone, reasons):
    ada.require_passkey()
    assert "Aborted!" in desk("users", "reset-passkeys", ADA, fails=1, typed="\n")
    assert ada.is_signed_in()
    desk("users", "reset-passkeys", ADA, "--yes")
    assert not ada.is_signed_in()
    assert [count(app, table) for table in (Passkey, Session, RecoveryCode)] == [0] * 3
    assert kinds(app)[-1] == "passkeys_reset"
    assert mails.notices(app)[0] == (ADA, "The passkeys of your account were reset")
    expect(ada.authenticate(phone.get(ada.request_options())), 400)
    assert reasons == ["removed_passkey"]
    ada.sign_in_by_link(ADA)
    assert "All passkeys removed by the people who run this site" in ada.get("/account/activity").text


def test_signing_out_ends_every_session(ada, app, desk, phone):
    Visitor(app).sign_in_by_link(ADA)
    assert desk("users", "sign-out", ADA) == f"{ADA} is signed out everywhere.\n"
    assert count(app, Session) == 0
    ada.sign_in_by_passkey(phone)


# Passkeys.


def test_passkeys_are_listed(ada, desk):
    head, line = desk("passkeys", "list").splitlines()
    assert head.startswith("EMAIL")
    assert line.startswith(ADA)
    [passkey] = [json.loads(line) for line in desk("passkeys", "list", "--json").splitlines()]
    assert passkey["email"] == ADA
    assert set(passkey) == {"email", "name", "authenticator", "made", "last_used", "synced"}


# Figures.


def test_figures_are_counted(visitor, phone, desk):
    began = now()
    with time_machine.travel(began, tick=False) as clock:
        visitor.ask(ADA)
        clock.shift(timedelta(seconds=31))
        visitor.post(visitor.read_mail().link)
        credential = phone.create(visitor.creation_options())
        clock.shift(timedelta(seconds=12))
        visitor.register(credential)
        visitor.sign_out()
        for by, seconds in (("button", 4), ("autofill", 300), ("button", 6)):
            credential = phone.get(visitor.request_options())
            clock.shift(timedelta(seconds=seconds))
            expect(visitor.authenticate(credential, by=by), 303)
            visitor.sign_out()
        visitor.authenticate(phone.get(visitor.request_options(), client_data={"origin": "https://evil.example"}))
        text = desk("stats")
    lines = [line.split() for line in text.splitlines()]
    assert lines[0] == ["DAY", "(UTC)", "LINK", "PASSKEY", "REFUSED", "SUCCESS"]
    assert [f"{began:%Y-%m-%d}", "1", "3", "1", "80.0%"] in lines
    assert ["all", "1", "3", "1", "80.0%"] in lines
    assert ["wrong_origin", "1"] in lines
    medians = {line[0]: float(line[1]) for line in lines if line[-1:] == ["s"]}
    assert medians.keys() == {"link", "passkey", "registration"}
    assert medians["link"] == pytest.approx(31, abs=1)
    # A challenge's time of making is kept in whole seconds.
    assert medians["registration"] == pytest.approx(12, abs=1)
    assert medians["passkey"] == pytest.approx(5, abs=1)


def test_what_has_expired_is_forgotten(ada, app, desk):
    with time_machine.travel(now() + timedelta(days=200)):
        output = desk("sweep")
    assert output.splitlines() == [
        "2 spent tokens forgotten.",
        "1 sessions forgotten.",
        "2 activities forgotten.",
        "6 counters forgotten.",
    ]
    assert [count(app, table) for table in (SpentToken, Session, Activity)] == [0] * 3
    assert count(app, User) == 1
