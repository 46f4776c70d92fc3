"""The operator's desk, for the site as a whole: `flask stats`, `flask sweep`, `flask doctor`."""

import click
from flask import Flask

from app import activity, limits, mailer, sessions, single_use
from app.activity import OPERATOR
from app.database import db
from app.email_addresses import canonical
from app.models import now
from app.operator import doctor, stats
from app.operator.users import plainly, table


def init_app(app: Flask) -> None:
    """Give the `flask` command its desk."""
    app.cli.command("stats")(show_stats)
    app.cli.command("sweep")(sweep)
    app.cli.command("doctor")(examine)


@plainly
def show_stats() -> None:
    """Show sign-ins, refusals, the success rate and the median times, per day and in total."""
    days, total, medians = stats.count()
    methods = sorted(total.sign_ins) or ["sign-ins"]
    table(
        ("DAY (UTC)", *(method.upper() for method in methods), "REFUSED", "SUCCESS"),
        [
            (
                day,
                *(figures.sign_ins[method] for method in methods),
                figures.refusals.total(),
                "-" if figures.success is None else f"{figures.success:.1%}",
            )
            for day, figures in [*days.items(), ("all", total)]
        ],
    )
    if total.refusals:
        click.echo()
        table(("REFUSED BECAUSE OF", "TIMES"), total.refusals.most_common())
    if medians:
        click.echo()
        table(("FROM BEGIN TO FINISH", "MEDIAN"), [(name, f"{taken:.1f} s") for name, taken in medians.items()])


@plainly
def sweep() -> None:
    """Delete expired rows: used tokens, sessions, activity, counters. Requests also delete a few each."""
    for what, forget in (
        ("spent tokens", single_use.sweep),
        ("sessions", sessions.sweep),
        ("activities", activity.sweep),
        ("counters", limits.sweep),
    ):
        forgotten = 0
        while some := forget():
            forgotten += some
            db.session.commit()
        click.echo(f"{forgotten} {what} forgotten.")


@click.option("--send-to", metavar="EMAIL", help="Also send a test mail to EMAIL.")
@plainly
def examine(send_to: str | None) -> None:
    """Find mistakes in the site's setup. Exit with 1 if there are any."""
    findings = [*doctor.examine()]
    for finding in findings:
        click.echo(f"{'ok ' if finding.is_fine else 'BAD'}  {finding.what}")
        if not finding.is_fine:
            click.echo(f"     {finding.means}\n     {finding.change}")
    if send_to:
        mailer.send("notice", canonical(send_to), kind="test", client=OPERATOR, time=now())
        click.echo(f"ok   A mail to {send_to} was sent")
    if not all(finding.is_fine for finding in findings):
        raise click.exceptions.Exit(1)
