"""The output of commands: sentences for refusals, tables, times and other commands. Also their commit."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import wraps
from typing import ParamSpec

import click
from flask import current_app
from sqlalchemy.exc import DBAPIError, IntegrityError

from app.database import db
from app.refusals import Refusal

P = ParamSpec("P")

SENTENCES = {
    "invalid_email": "That is not a valid email address.",
    "has_account": "That address has an account already.",
    "address_taken": "That address has an account already.",
    "account_gone": "The account was deleted in the meantime.",
    "mail_server_unreachable": "The mail server can't be reached: no mail was sent.",
    "mail_server_busy": "The mail server is busy: no mail was sent.",
    "mail_refused": "The mail server takes no mail at the moment.",
    "message_refused": "The mail server refused this message.",
    "recipient_refused": "The mail server takes no mail for that address.",
    "broken_notice": "The notice could not be composed: see the log.",
}


def commit_or_explain(command: Callable[P, None]) -> Callable[P, None]:
    """Commit what the command has written. If it fails, change nothing, print why and exit with 1."""

    @wraps(command)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
            db.session.commit()
        except Refusal as refusal:
            raise click.ClickException(SENTENCES[refusal.reason]) from refusal
        except IntegrityError as error:
            raise click.ClickException(SENTENCES["account_gone"]) from error
        except DBAPIError as error:
            advice = f"Is it up to date ({command_line('db upgrade')})?"
            raise click.ClickException(f"The database can't be used: {error.orig}. {advice}") from error

    return wrapper


def command_line(arguments: str) -> str:
    """Return how to run a `flask` command of this site: on localhost, or as docs/deploy.md sets it up."""
    return f".venv/bin/flask {arguments}" if current_app.config["LOCAL"] else f"latchkey {arguments}"


def print_table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows under their heads, with each column as wide as its longest cell."""
    lines = [[str(cell) for cell in row] for row in (heads, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def format_minute(time: datetime | None) -> str:
    """Return a time in UTC, to the minute, or a dash for none."""
    return f"{time:%Y-%m-%d %H:%M}" if time else "-"
