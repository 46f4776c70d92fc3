"""`flask passkeys list`."""

import json

import click
from flask.cli import AppGroup
from sqlalchemy import select

from app.database import db
from app.models import Passkey, User
from app.operator.output import commit_or_explain, format_minute, print_table
from app.user_agents import authenticator

passkeys = AppGroup("passkeys", help="List passkeys.")


@passkeys.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
@commit_or_explain
def list_passkeys(as_json: bool) -> None:
    """List the passkeys of all accounts, by address."""
    passkeys_by_address = select(User.email, Passkey).join_from(Passkey, User).order_by(User.email, Passkey.id)
    rows = [
        {
            "email": email,
            "name": passkey.name,
            "authenticator": authenticator(passkey.aaguid)[0] or passkey.aaguid,
            "made": format_minute(passkey.created_at),
            "last_used": format_minute(passkey.last_used_at),
            "synced": passkey.backup_state,
        }
        for email, passkey in db.session.execute(passkeys_by_address)
    ]
    if as_json:
        for row in rows:
            click.echo(json.dumps(row))
    else:
        heads = ("EMAIL", "NAME", "AUTHENTICATOR", "MADE (UTC)", "LAST USED", "SYNCED")
        print_table(heads, [["yes" if cell is True else cell or "-" for cell in row.values()] for row in rows])
