"""`flask sweep`: deletes expired rows now. Requests also delete some."""

import click

from app import activity, limits, sessions, single_use
from app.database import db
from app.operator.output import commit_or_explain


@commit_or_explain
def delete_expired() -> None:
    """Delete expired rows: used tokens, sessions, activity, counters. Requests also delete some."""
    sweeps = {
        "spent tokens": single_use.sweep,
        "sessions": sessions.sweep,
        "activities": activity.sweep,
        "counters": limits.sweep,
    }
    for name, sweep in sweeps.items():
        total = 0
        # Most of these delete a limited number of rows per call, so that no transaction is long.
        while count := sweep():
            total += count
            db.session.commit()
        click.echo(f"{total} {name} deleted.")
