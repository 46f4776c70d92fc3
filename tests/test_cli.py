"""The operator's commands: their output, their changes, and their messages when they can't do something."""

import json
from datetime import timedelta
from functools import partial

import pytest
import time_machine
from sqlalchemy import insert

from app import create_app, mailer
from app.database import db
from app.models import Activity, Invitation, Notice, Passkey, RecoveryCode, Session, SpentToken, User, now
from authenticator import Authenticator
from tests import mails
from tests.conftest import ADA, Visitor, at_once, count, expect, kinds, rows

CROWD = 16

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
    """Return a function that runs a command on this site."""
    runner = app.test_cli_runner()

    def run(*arguments: str, fails: int = 0, typed: str = "") -> str:
        result = runner.invoke(args=[*arguments], input=typed)
        assert result.exit_code == fails, result.output
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result.output

    return run


# On any site.


@pytest.mark.parametrize("command", EVERY, ids=" ".join)
def test_command_prints_no_traceback_on_an_empty_database(desk, command):
    assert "Traceback" not in desk(*command)


@pytest.mark.parametrize("command", [*EVERY, *(["users", name, ADA] for name in WITH_ADDRESS)], ids=" ".join)
def test_command_without_a_database_says_how_to_make_one(tmp_path, command):
    output = make_desk(create_app({}, str(tmp_path)))(*command, fails=1)
    assert "flask db upgrade" in output
    assert "Traceback" not in output


@pytest.mark.parametrize("command", WITH_ADDRESS)
@pytest.mark.parametrize("address", ["nonsense", "Ada <ada@example.org>", "a@b\r\nBcc: c@d", ""])
def test_command_refuses_an_invalid_address(desk, unchanged, command, address):
    with unchanged():
        assert "Error: That is not a valid email address" in desk("users", command, address, fails=1)


@pytest.mark.parametrize("command", WITH_ADDRESS[1:])
def test_command_refuses_an_address_without_an_account(desk, unchanged, command):
    with unchanged():
        assert f"Error: There is no account with the address {ADA}." in desk("users", command, ADA, fails=1)


@pytest.mark.parametrize("command", [*WITH_ADDRESS, "nonsense"])
def test_wrong_usage_exits_with_two(desk, command):
    assert "Usage:" in desk("users", command, fails=2)


@pytest.mark.slow
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
    assert desk("sweep").startswith("0 spent tokens deleted.")


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


def test_invitation_is_written_and_mailed(app, desk):
    assert desk("users", "invite", " Bob@Example.org ") == "bob@example.org is invited.\n"
    desk("users", "invite", "bob@example.org")
    assert count(app, Invitation) == 1
    assert mails.notices(app) == [("bob@example.org", "You are invited to Latchkey")] * 2
    text = mails.text_of(mails.outbox(app)[0])
    assert text.strip().endswith("http://localhost:8000/sign-in")
    assert "/sign-in/link/" not in text


def test_owner_of_an_account_is_not_invited(ada, desk, unchanged):
    with unchanged():
        assert "has an account already" in desk("users", "invite", ADA, fails=1)


def test_invitation_is_not_stored_if_its_mail_cannot_be_sent(make_app):
    app = make_app(FLASK_MAIL_SERVER="localhost", FLASK_MAIL_PORT="1", FLASK_MAIL_USE_TLS="false")
    assert "no mail was sent" in make_desk(app)("users", "invite", ADA, fails=1)
    assert count(app, Invitation) == 0


def test_deleting_an_invited_address_withdraws_the_invitation(app, desk):
    desk("users", "invite", ADA)
    assert desk("users", "delete", ADA) == f"The invitation of {ADA} is withdrawn.\n"
    assert count(app, Invitation) == 0


def test_disabled_account_refuses_every_sign_in(ada, app, desk, phone, reasons):
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
    # Sessions that were ended stay ended.
    assert not ada.is_signed_in()
    ada.sign_in_by_passkey(phone)
    assert [kind for kind in kinds(app) if "abled" in kind] == ["disabled", "enabled"]
    assert {(ADA, "Your account is disabled"), (ADA, "Your account is enabled again")} <= {*mails.notices(app)}


def test_session_of_a_disabled_account_does_not_work(ada, app):
    """A sign-in at the moment when the account is disabled may leave a session. It opens no page."""
    with app.app_context():
        db.session.query(User).update({"is_disabled": True})
        db.session.commit()
    assert not ada.is_signed_in()


def test_second_step_of_a_disabled_account_is_refused(ada, app, desk, reasons):
    codes = ada.require_passkey()
    other = Visitor(app)
    token = other.open_second_step(ADA)
    desk("users", "disable", ADA)
    expect(other.post("/sign-in/second-step", {"token": token, "code": codes[0]}), 400)
    assert reasons == ["account_disabled"]
    assert not other.is_signed_in()


def test_account_is_deleted_once_confirmed(ada, app, desk):
    assert "Aborted!" in desk("users", "delete", ADA, fails=1, typed="n\n")
    assert count(app, User) == 1
    assert desk("users", "delete", ADA, typed="y\n").endswith(f"{ADA} is deleted.\n")
    assert [count(app, table) for table in (User, Passkey, Session, Activity)] == [0] * 4
    assert mails.notices(app)[0] == (ADA, "Your account is deleted")
    assert "Who did it: the people who run this site, on" in mails.text_of(mails.outbox(app)[0])
    assert not ada.is_signed_in()


@pytest.mark.parametrize("command", [["disable"], ["enable"], ["reset-passkeys", "--yes"], ["delete", "--yes"]])
def test_command_sends_its_notice_at_once(ada, app, desk, command):
    mails.deliver_notices(app)
    sent = len(list(mailer.outbox(app).iterdir()))
    desk("users", command[0], ADA, *command[1:])
    assert len(list(mailer.outbox(app).iterdir())) == sent + 1
    assert count(app, Notice) == 0


def test_command_says_that_its_notice_waits_for_the_mail_server(ada, app, desk, events, clock):
    mails.deliver_notices(app)
    app.config.update(MAIL_SERVER="localhost", MAIL_PORT=1)
    assert desk("users", "delete", ADA, "--yes").splitlines() == [
        "The mail server can't be reached: no mail was sent.",
        "The notice to the owner was kept: the site will try again to send it.",
        f"{ADA} is deleted.",
    ]
    assert count(app, User) == 0
    app.config.update(MAIL_SERVER="")
    clock.shift(60)
    assert mails.notices(app)[0] == (ADA, "Your account is deleted")


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


# An account that was taken over.

THIEF, BACK = "thief@evil.example", "back@example.org"


@pytest.fixture
def thief(app, ada, phone) -> Visitor:
    """Return a thief with Ada's phone, who has taken her account over: its address, its passkeys and its codes."""
    thief = Visitor(app)
    thief.sign_in_by_passkey(phone)
    thief.change_address(THIEF)
    thief.key = Authenticator()
    thief.make_passkey(thief.key)
    thief.codes = thief.require_passkey()
    return thief


def test_account_is_given_back(thief, app, desk, phone, reasons):
    output = desk("users", "change-email", THIEF, BACK, typed="y\n")
    assert "remove its passkeys and recovery codes, and sign out everywhere?" in output
    assert output.endswith(f"{THIEF} is {BACK} now, and signed out everywhere.\n")
    [user] = rows(app, User)
    assert (user.id, user.email, user.requires_passkey) == (1, BACK, False)
    assert [count(app, table) for table in (Passkey, Session, RecoveryCode)] == [0] * 3
    assert not thief.is_signed_in()
    for device in (phone, thief.key):
        expect(thief.authenticate(device.get(thief.request_options())), 400)
    assert reasons == ["removed_passkey"] * 2
    owner = Visitor(app)
    owner.sign_in_by_link(BACK)
    activity = owner.get("/account/activity").text
    assert f"Address changed from {ADA}" in activity
    assert f"Address changed from {THIEF}" in activity
    # With their own address, the thief gets another account.
    thief.sign_in_by_link(THIEF)
    assert [user.email for user in rows(app, User)] == [BACK, THIEF]


def test_thief_cannot_finish_anything_after_the_account_is_given_back(thief, app, desk, reasons):
    # A second step, a change of address, a proof, a new passkey and a link: at this moment, each would work.
    waiting = Visitor(app)
    step = {"token": waiting.open_second_step(THIEF), "code": thief.codes[1]}
    expect(thief.post("/account/email", {"email": "another@evil.example"}), 303)
    change = {"code": thief.read_code("another@evil.example")}
    options = thief.creation_options()
    proof = thief.key.get(thief.confirmation_options())
    waiting.ask(THIEF)
    link = waiting.read_mail().link
    cookies = thief.twin()
    desk("users", "change-email", THIEF, BACK, "--yes")
    expect(waiting.post("/sign-in/second-step", step), 400)
    expect(cookies.post("/account/email", change), 401)
    expect(cookies.register(Authenticator().create(options)), 401)
    expect(cookies.post("/account/confirm", {"credential": json.dumps(proof)}), 401)
    assert reasons == ["other_email", *["not_signed_in"] * 3]
    # The change of address in the thief's cookie doesn't work in a session of the owner, either.
    owner = Visitor(app)
    owner.sign_in_by_link(BACK)
    with cookies.client.session_transaction(base_url=app.config["SITE_URL"]) as theirs:
        begun = theirs["email_change"]
    with owner.client.session_transaction(base_url=app.config["SITE_URL"]) as own:
        own["email_change"] = begun
    expect(owner.post("/account/email", change), 400)
    assert reasons[-1] == "bound_to_another_session"
    # The link proves the thief's address, so it opens another account.
    expect(waiting.post(link), 303)
    assert [user.email for user in rows(app, User)] == [BACK, THIEF]


def test_passkeys_can_be_kept_when_an_account_is_given_back(thief, app, desk):
    desk("users", "change-email", THIEF, BACK, "--keep-passkeys", "--yes")
    [user] = rows(app, User)
    assert (user.email, user.requires_passkey) == (BACK, True)
    assert [count(app, table) for table in (Passkey, Session, RecoveryCode)] == [2, 0, 10]
    assert kinds(app)[-1] == "email_changed"
    Visitor(app).sign_in_by_passkey(thief.key)


def test_every_address_gets_the_notices_when_an_account_is_given_back(thief, app, desk):
    mails.clear(app)
    desk("users", "change-email", THIEF, BACK, "--yes")
    changed, reset = "The address of your account was changed", "The passkeys of your account were reset"
    assert sorted(mails.notices(app)) == sorted((to, of) for to in (ADA, THIEF, BACK) for of in (changed, reset))
    [to_thief] = [mail for mail in mails.outbox(app) if (mail["To"], mail["Subject"]) == (THIEF, changed)]
    assert BACK not in to_thief.as_string()


def test_command_asks_before_it_gives_an_account_back(thief, desk, unchanged):
    with unchanged():
        assert "Aborted!" in desk("users", "change-email", THIEF, BACK, fails=1, typed="n\n")
    assert thief.is_signed_in()


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (ADA, BACK, f"There is no account with the address {ADA}."),
        ("nonsense", BACK, "That is not a valid email address."),
        (THIEF, "nonsense", "That is not a valid email address."),
        (THIEF, "eve@example.org", "That address has an account already."),
        (THIEF, THIEF, "That address has an account already."),
    ],
)
def test_account_that_cannot_be_given_back_stays_as_it_was(thief, app, desk, unchanged, old, new, sentence):
    Visitor(app).sign_in_by_link("eve@example.org")
    mails.clear(app)
    with unchanged():
        assert f"Error: {sentence}" in desk("users", "change-email", old, new, "--yes", fails=1)
    assert mails.outbox(app) == []


def test_giving_an_account_back_uses_up_the_invitation_of_the_new_address(thief, app, desk):
    desk("users", "invite", BACK)
    desk("users", "change-email", THIEF, BACK, "--yes")
    assert count(app, Invitation) == 0


def test_account_is_found_by_the_address_that_it_had(thief, desk):
    assert desk("users", "list").splitlines()[1].endswith(f"requires-passkey formerly {ADA}")


def test_new_address_belongs_to_one_account_if_somebody_signs_in_with_it_meanwhile(app, desk):
    """The first one gets the address. Either the command fails, or the link opens the account that was given back."""
    runner = app.test_cli_runner()
    for number in range(10):
        old, new = f"old{number}@example.org", f"new{number}@example.org"
        Visitor(app).sign_in_by_link(old)
        other = Visitor(app)
        other.ask(new)
        sign_in = partial(other.type_code, other.read_mail().code)
        change_email = partial(runner.invoke, args=["users", "change-email", old, new, "--yes"])
        signed_in, result = at_once(lambda act: act(), [sign_in, change_email])
        expect(signed_in, 303)
        moved = result.exit_code == 0
        assert moved or "That address has an account already." in result.output
        emails = [user.email for user in rows(app, User)]
        assert emails.count(new) == 1
        assert emails.count(old) == (0 if moved else 1)


def test_sign_in_while_an_account_is_given_back_leaves_no_session(thief, app, desk, phone):
    tabs = [Visitor(app) for _ in range(CROWD - 1)]
    sign_ins = [partial(tab.authenticate, phone.get(tab.request_options())) for tab in tabs]
    change_email = partial(desk, "users", "change-email", THIEF, BACK, "--yes")
    *answers, _ = at_once(lambda act: act(), [*sign_ins, change_email])
    # A sign-in that comes first works, and its session ends with the command. Later ones are refused.
    assert {answer.status_code for answer in answers} <= {303, 400}
    assert count(app, Session) == 0
    assert not any(tab.is_signed_in() for tab in tabs)


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
    # Far from midnight, because the figures are counted by day.
    began = now().replace(hour=12)
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
    # A challenge has the time of its making in whole seconds.
    assert medians["registration"] == pytest.approx(12, abs=1)
    assert medians["passkey"] == pytest.approx(5, abs=1)


def test_sweep_deletes_expired_rows(ada, app, desk):
    with time_machine.travel(now() + timedelta(days=200)):
        output = desk("sweep")
    assert output.splitlines() == [
        "2 spent tokens deleted.",
        "1 sessions deleted.",
        "2 activities deleted.",
        "6 counters deleted.",
    ]
    assert [count(app, table) for table in (SpentToken, Session, Activity)] == [0] * 3
    assert count(app, User) == 1
