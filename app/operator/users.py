"""The operator's desk, for accounts: `flask users ...`, `flask passkeys list`."""

import json
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import Any, ParamSpec

import click
from flask import Flask
from flask.cli import AppGroup
from sqlalchemy import Row, func, select
from sqlalchemy.exc import DBAPIError, IntegrityError

from app import accounts, activity, invitations, log, mailer, notices, second_step, sessions
from app.activity import OPERATOR, Kind
from app.database import db, run
from app.email_addresses import canonical
from app.models import Activity, Invitation, Passkey, Session, User, now
from app.operator import doctor
from app.refusals import Refusal
from app.user_agents import authenticator

P = ParamSpec("P")

SENTENCES = {
    "invalid_email": "That is no email address that mail can be sent to.",
    "has_account": "That address has an account already.",
    "address_taken": "That address has an account already.",
    "account_gone": "The account was deleted in the meantime.",
    "mail_server_unreachable": "The mail server can't be reached: no mail was sent.",
    "broken_notice": "The notice can't be written: see the log.",
    "mail_server_busy": "The mail server is busy: no mail was sent.",
    "recipient_refused": "The mail server takes no mail for that address.",
    "message_refused": "The mail server didn't take the message.",
    "mail_refused": "The mail server didn't take the mail.",
}

users = AppGroup("users", help="List, invite, disable, enable, delete, recover, sign out.")
passkeys = AppGroup("passkeys", help="List passkeys.")


def init_app(app: Flask) -> None:
    """Give the `flask` command its desk."""
    app.cli.add_command(users)
    app.cli.add_command(passkeys)


def plainly(command: Callable[P, None]) -> Callable[P, None]:
    """Commit what the command did; where something is in its way, say so in a sentence and change nothing."""

    @wraps(command)
    def run_it(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
            db.session.commit()
        except Refusal as refusal:
            raise click.ClickException(SENTENCES[refusal.reason]) from refusal
        except IntegrityError as error:
            raise click.ClickException("The account was deleted in the meantime.") from error
        except DBAPIError as error:
            text = f"The database can't be used: {error.orig}. Is it up to date ({doctor.command('db upgrade')})?"
            raise click.ClickException(text) from error

    return run_it


def of_one_account(command: Callable[P, None]) -> click.Command:
    """Make it a command of `flask users` that is about one EMAIL."""
    return users.command()(click.argument("email")(plainly(command)))


def find(email: str) -> Row[Any]:
    """Return the user of this address. Raises ClickException where there is none."""
    user = accounts.find(canonical(email))
    if not user:
        raise click.ClickException(f"There is no account with the address {email}.")
    return user


def done(user: Row[Any], *kinds: Kind, detail: str = "") -> None:
    """End the user's sessions, record that the operator did this, commit, and notify the owner. The detail is the first
    kind's."""
    accounts.hold(user.user_id)
    ended = [Kind.SESSION_ENDED] * len(sessions.revoke_of(user.user_id))
    for each in ended:
        activity.record(user.user_id, each, OPERATOR)
    for each in kinds:
        activity.record(user.user_id, each, OPERATOR, detail if each is kinds[0] else "")
        notices.add(user.user_id, user.email, each.value, OPERATOR)
    db.session.commit()
    for each in (*ended, *kinds):
        log.event(each.value, user=user.user_id, by="operator")
    send_notices(user.user_id)


def send_notices(user_id: int) -> None:
    """Send the notices of this user that are due, and say so where one can't be sent."""
    failures = notices.send_due(user_id)
    for reason in sorted({failure.reason for failure in failures}):
        click.echo(SENTENCES[reason])
    if failures:
        click.echo("The notice to the owner was kept: the site will try again to send it.")


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows under their heads, in columns as wide as they need to be."""
    lines = [[str(cell) for cell in row] for row in (heads, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def minute(moment: Any) -> str:
    """A point in time, to the minute, in UTC; a dash for none."""
    return f"{moment:%Y-%m-%d %H:%M}" if moment else "-"


@users.command("list")
@plainly
def list_users() -> None:
    """List accounts and invitations, by address."""
    keys = select(func.count()).where(Passkey.user_id == User.id).scalar_subquery()
    seen = select(func.max(Session.seen_at)).where(Session.user_id == User.id).scalar_subquery()
    changes = (Activity.user_id == User.id, Activity.kind == Kind.EMAIL_CHANGED)
    former = select(func.aggregate_strings(Activity.detail, ", ")).where(*changes).scalar_subquery()
    columns = (User, keys.label("keys"), seen.label("seen"), former.label("former"))
    rows = []
    for user in run(select(*columns).order_by(User.email)):
        states = ["disabled" * user.is_disabled, "requires-passkey" * user.requires_passkey]
        states.append(f"formerly {user.former}" if user.former else "")
        state = " ".join(filter(None, states))
        rows.append((user.email, minute(user.created_at), user.keys, minute(user.seen), state))
    for invitation in run(select(Invitation).order_by(Invitation.email)):
        rows.append((invitation.email, minute(invitation.created_at), 0, "-", "invited"))
    table(("EMAIL", "SINCE (UTC)", "PASSKEYS", "LAST SEEN", "STATE"), rows)


@of_one_account
def invite(email: str) -> None:
    """Invite EMAIL by mail, so that they can sign up (FLASK_SIGN_UP=invite). Run it again to send the mail again."""
    email = canonical(email)
    if accounts.find(email):
        raise Refusal("has_account")
    # Nobody's writing is to wait for the mail server.
    mailer.send("notice", email, kind="invitation", client=OPERATOR, time=now())
    invitations.invite(email)
    click.echo(f"{email} is invited.")


@of_one_account
def disable(email: str) -> None:
    """Stop all sign-ins to EMAIL's account, and end its sessions."""
    user = find(email)
    accounts.set_disabled(user.user_id, True)
    done(user, Kind.DISABLED)
    click.echo(f"{user.email} is disabled, and signed out.")


@of_one_account
def enable(email: str) -> None:
    """Let EMAIL sign in again."""
    user = find(email)
    accounts.set_disabled(user.user_id, False)
    done(user, Kind.ENABLED)
    click.echo(f"{user.email} is enabled.")


@of_one_account
@click.option("--yes", is_flag=True, help="Skip the question.")
def delete(email: str, yes: bool) -> None:
    """Delete EMAIL's account and everything in it, or delete its invitation."""
    if not accounts.find(canonical(email)) and invitations.withdraw(canonical(email)):
        click.echo(f"The invitation of {email} is withdrawn.")
        return
    user = find(email)
    if not yes:
        click.confirm(f"Delete {user.email} with all passkeys, sessions and activity, for good?", abort=True)
    # First, because the account's former addresses are deleted with it.
    notices.add(user.user_id, user.email, "account_deleted", OPERATOR)
    accounts.delete(user.user_id)
    db.session.commit()
    log.event("account_deleted", user=user.user_id, by="operator")
    send_notices(user.user_id)
    click.echo(f"{user.email} is deleted.")


@of_one_account
@click.option("--yes", is_flag=True, help="Skip the question.")
def reset_passkeys(email: str, yes: bool) -> None:
    """Recover EMAIL's account, so that its owner can sign in by email again.

    First make sure that the owner asks for this: after it, anyone who reads the mailbox can sign in. It removes all
    passkeys, recovery codes and sessions, and stops requiring a passkey.
    """
    user = find(email)
    if not yes:
        click.confirm(f"Remove all passkeys and recovery codes of {user.email}, and sign out everywhere?", abort=True)
    second_step.reset(user.user_id)
    done(user, Kind.PASSKEYS_RESET)
    click.echo(f"{user.email} can sign in by email link again.")


@users.command()
@click.argument("old")
@click.argument("new")
@click.option("--keep-passkeys", is_flag=True, help="Keep passkeys, recovery codes and the requirement.")
@click.option("--yes", is_flag=True, help="Skip the question.")
@plainly
def change_email(old: str, new: str, keep_passkeys: bool, yes: bool) -> None:
    """Give the account at the address OLD back to its owner, at the address NEW.

    First make sure that the owner asks for this (docs/deploy.md): after it, anyone who reads NEW's mailbox can sign in.
    It removes all passkeys, recovery codes and sessions, and stops requiring a passkey. It mails all addresses of the
    last days.
    """
    user, email = find(old), canonical(new)
    if accounts.find(email):
        raise Refusal("has_account")
    if not yes:
        removed = "" if keep_passkeys else " remove its passkeys and recovery codes,"
        click.confirm(f"Move the account of {user.email} to {email},{removed} and sign out everywhere?", abort=True)
    accounts.hold(user.user_id)
    # It may have been changed again while the question was asked.
    former = accounts.move(user.user_id, email)
    kinds = [Kind.EMAIL_CHANGED]
    if not keep_passkeys:
        second_step.reset(user.user_id)
        kinds.append(Kind.PASSKEYS_RESET)
    done(find(email), *kinds, detail=former)
    click.echo(f"{former} is {email} now, and signed out everywhere.")


@of_one_account
def sign_out(email: str) -> None:
    """End all of EMAIL's sessions."""
    user = find(email)
    done(user)
    click.echo(f"{user.email} is signed out everywhere.")


@passkeys.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
@plainly
def list_passkeys(as_json: bool) -> None:
    """List the passkeys of all accounts, by address."""
    found = run(select(User.email, Passkey).join_from(Passkey, User).order_by(User.email, Passkey.id))
    rows = [
        {
            "email": passkey.email,
            "name": passkey.name,
            "authenticator": authenticator(passkey.aaguid)[0] or passkey.aaguid,
            "made": minute(passkey.created_at),
            "last_used": minute(passkey.last_used_at),
            "synced": passkey.backup_state,
        }
        for passkey in found
    ]
    if as_json:
        for row in rows:
            click.echo(json.dumps(row))
    else:
        heads = ("EMAIL", "NAME", "AUTHENTICATOR", "MADE (UTC)", "LAST USED", "SYNCED")
        table(heads, [tuple("yes" if cell is True else cell or "-" for cell in row.values()) for row in rows])
