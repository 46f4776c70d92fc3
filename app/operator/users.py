"""`flask users ...`: the operator lists, invites, disables, deletes and recovers accounts."""

from collections.abc import Callable
from typing import ParamSpec

import click
from flask.cli import AppGroup
from sqlalchemy import func, select

from app import accounts, activity, invitations, log, mailer, notices, second_step, sessions
from app.activity import OPERATOR, Kind
from app.database import db
from app.email_addresses import canonical
from app.models import Activity, Invitation, Passkey, Session, User, now
from app.operator.output import SENTENCES, commit_or_explain, format_minute, print_table
from app.refusals import Refusal

P = ParamSpec("P")

users = AppGroup("users", help="List, invite, disable, enable, delete, recover, sign out.")
yes_option = click.option("--yes", is_flag=True, help="Skip the question.")


def email_command(command: Callable[P, None]) -> click.Command:
    """Make a function a command of `flask users` with the argument EMAIL."""
    return users.command()(click.argument("email")(commit_or_explain(command)))


@users.command("list")
@commit_or_explain
def list_users() -> None:
    """List accounts and invitations, by address."""
    passkeys = select(func.count()).where(Passkey.user_id == User.id).scalar_subquery()
    seen = select(func.max(Session.seen_at)).where(Session.user_id == User.id).scalar_subquery()
    changes = (Activity.user_id == User.id, Activity.kind == Kind.EMAIL_CHANGED)
    former = select(func.aggregate_strings(Activity.detail, ", ")).where(*changes).scalar_subquery()
    accounts_by_email = select(User, passkeys, seen, former).order_by(User.email)
    rows = []
    for user, count, seen_at, addresses in db.session.execute(accounts_by_email):
        states = ["disabled"] * user.is_disabled + ["requires-passkey"] * user.requires_passkey
        states += ["formerly", addresses] if addresses else []
        rows.append((user.email, format_minute(user.created_at), count, format_minute(seen_at), " ".join(states)))
    for invitation in db.session.scalars(select(Invitation).order_by(Invitation.email)):
        rows.append((invitation.email, format_minute(invitation.created_at), 0, "-", "invited"))
    print_table(("EMAIL", "SINCE (UTC)", "PASSKEYS", "LAST SEEN", "STATE"), rows)


@email_command
def invite(email: str) -> None:
    """Invite EMAIL by mail, so that they can sign up (FLASK_SIGN_UP=invite). Run it again to send the mail again."""
    email = canonical(email)
    if accounts.find(email):
        raise Refusal("has_account")
    # Before anything is written: other writers must not wait for the mail server.
    mailer.send("notice", email, kind="invitation", client=OPERATOR, time=now())
    invitations.invite(email)
    click.echo(f"{email} is invited.")


@email_command
def disable(email: str) -> None:
    """Stop all sign-ins to EMAIL's account, and end its sessions."""
    user = find_user(email)
    accounts.set_disabled(user.id, True)
    end_sessions_and_notify(user, Kind.DISABLED)
    click.echo(f"{user.email} is disabled, and signed out.")


@email_command
def enable(email: str) -> None:
    """Let EMAIL sign in again."""
    user = find_user(email)
    accounts.set_disabled(user.id, False)
    end_sessions_and_notify(user, Kind.ENABLED)
    click.echo(f"{user.email} is enabled.")


@email_command
@yes_option
def delete(email: str, yes: bool) -> None:
    """Delete EMAIL's account and everything in it, or delete its invitation."""
    email = canonical(email)
    if not accounts.find(email) and invitations.withdraw(email):
        click.echo(f"The invitation of {email} is withdrawn.")
        return
    user_id = find_user(email).id
    if not yes:
        click.confirm(f"Delete {email} with all passkeys, sessions and activity, for good?", abort=True)
    # Before the deletion, because that deletes the former addresses, which get this notice too.
    notices.add(user_id, email, "account_deleted", OPERATOR)
    accounts.delete(user_id)
    db.session.commit()
    log.event("account_deleted", user=user_id, by="operator")
    send_notices(user_id)
    click.echo(f"{email} is deleted.")


@email_command
@yes_option
def reset_passkeys(email: str, yes: bool) -> None:
    """Recover EMAIL's account, so that its owner can sign in by email again.

    First make sure that the owner asks for this: after it, anyone who reads the mailbox can sign in. It removes all
    passkeys, recovery codes and sessions, and stops requiring a passkey.
    """
    user = find_user(email)
    if not yes:
        click.confirm(f"Remove all passkeys and recovery codes of {user.email}, and sign out everywhere?", abort=True)
    second_step.reset(user.id)
    end_sessions_and_notify(user, Kind.PASSKEYS_RESET)
    click.echo(f"{user.email} can sign in by email link again.")


@users.command()
@click.argument("old")
@click.argument("new")
@click.option("--keep-passkeys", is_flag=True, help="Keep passkeys, recovery codes and the requirement.")
@yes_option
@commit_or_explain
def change_email(old: str, new: str, keep_passkeys: bool, yes: bool) -> None:
    """Give the account at the address OLD back to its owner, at the address NEW.

    First make sure that the owner asks for this (docs/deploy.md): after it, anyone who reads NEW's mailbox can sign in.
    It ends all sessions. Without --keep-passkeys, it also removes passkeys and recovery codes, and stops requiring a
    passkey. It notifies all addresses of the last seven days.
    """
    user, email = find_user(old), canonical(new)
    if accounts.find(email):
        raise Refusal("has_account")
    if not yes:
        removed = "" if keep_passkeys else " remove its passkeys and recovery codes,"
        click.confirm(f"Move the account of {user.email} to {email},{removed} and sign out everywhere?", abort=True)
    accounts.lock(user.id)
    # The owner may have changed the address again while the question waited for an answer.
    former = accounts.change_email(user.id, email)
    kinds = [Kind.EMAIL_CHANGED]
    if not keep_passkeys:
        second_step.reset(user.id)
        kinds.append(Kind.PASSKEYS_RESET)
    end_sessions_and_notify(find_user(email), *kinds, detail=former)
    click.echo(f"{former} is {email} now, and signed out everywhere.")


@email_command
def sign_out(email: str) -> None:
    """End all of EMAIL's sessions."""
    user = find_user(email)
    end_sessions_and_notify(user)
    click.echo(f"{user.email} is signed out everywhere.")


def find_user(email: str) -> User:
    """Return the user of this address. Raises ClickException if there is none."""
    user = accounts.find(canonical(email))
    if not user:
        raise click.ClickException(f"There is no account with the address {email}.")
    return user


def end_sessions_and_notify(user: User, *kinds: Kind, detail: str = "") -> None:
    """End the user's sessions, record what the operator did, commit, and notify the owner.

    `kinds` name the operator's actions. `detail` belongs to the first.
    """
    accounts.lock(user.id)
    ended = [Kind.SESSION_ENDED] * len(sessions.revoke_for_user(user.id))
    for kind in ended:
        activity.record(user.id, kind, OPERATOR)
    for kind in kinds:
        activity.record(user.id, kind, OPERATOR, detail if kind is kinds[0] else "")
        notices.add(user.id, user.email, kind.value, OPERATOR)
    db.session.commit()
    for kind in (*ended, *kinds):
        log.event(kind.value, user=user.id, by="operator")
    send_notices(user.id)


def send_notices(user_id: int) -> None:
    """Send the notices to this user that are due, and print why some could not be sent."""
    failures = notices.send_due(user_id)
    for reason in sorted({failure.reason for failure in failures}):
        click.echo(SENTENCES[reason])
    if failures:
        click.echo("The notice to the owner was kept: the site will try again to send it.")
