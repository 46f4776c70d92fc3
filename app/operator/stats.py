"""`flask stats`: how often people signed in, what was refused and why, and how long it took.

It counts the activity of accounts, so it reaches back FLASK_ACTIVITY_DAYS. Refusals without a known account are only in
the log.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import date
from statistics import median

import click
from sqlalchemy import select

from app.activity import REFUSED, Kind
from app.database import db
from app.models import Activity
from app.operator.output import commit_or_explain, print_table
from app.sessions import Method

ACCEPTED = (Kind.SIGNED_IN, Kind.CONFIRMED, Kind.PASSKEY_ADDED)

# The success rate leaves out sign-ins by these methods: their refusals have no known account, so they aren't stored.
BY_MAIL = (Method.LINK, Method.CODE)


@dataclass
class Figures:
    """The figures of one day, or of all days."""

    sign_ins: Counter[str] = field(default_factory=Counter)
    """By method."""
    refusals: Counter[str] = field(default_factory=Counter)
    """By reason."""
    accepted: int = 0
    """The accepted answers: passkeys, recovery codes and proofs."""
    times: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    """The milliseconds from begin to finish, by method or for "registration"."""

    def add(self, kind: str, detail: str, milliseconds: int | None) -> None:
        """Count one activity."""
        is_sign_in = kind == Kind.SIGNED_IN
        if is_sign_in:
            self.sign_ins[detail] += 1
        if kind in REFUSED:
            self.refusals[detail] += 1
        if kind in ACCEPTED and not (is_sign_in and detail in BY_MAIL):
            self.accepted += 1
        if milliseconds is not None:
            self.times["registration" if kind == Kind.PASSKEY_ADDED else detail].append(milliseconds)

    @property
    def success_rate(self) -> str:
        """The share of the answers that was accepted, in percent; a dash if there were none."""
        answers = self.accepted + self.refusals.total()
        return f"{self.accepted / answers:.1%}" if answers else "-"


@commit_or_explain
def show() -> None:
    """Show sign-ins, refusals, the success rate and the median times, per day and in total."""
    days, total = count_activity()
    methods = sorted(total.sign_ins) or ["sign-ins"]
    rows = [
        (day, *(figures.sign_ins[method] for method in methods), figures.refusals.total(), figures.success_rate)
        for day, figures in [*days.items(), ("all", total)]
    ]
    print_table(("DAY (UTC)", *map(str.upper, methods), "REFUSED", "SUCCESS"), rows)
    if total.refusals:
        click.echo()
        print_table(("REFUSED BECAUSE OF", "TIMES"), total.refusals.most_common())
    if total.times:
        click.echo()
        medians = [(name, f"{median(times) / 1000:.1f} s") for name, times in sorted(total.times.items())]
        print_table(("FROM BEGIN TO FINISH", "MEDIAN"), medians)


def count_activity() -> tuple[dict[date, Figures], Figures]:
    """Return the figures per day (in UTC, newest first), and those of all days."""
    days: dict[date, Figures] = defaultdict(Figures)
    total = Figures()
    columns = (Activity.at, Activity.kind, Activity.detail, Activity.milliseconds)
    for at, kind, detail, milliseconds in db.session.execute(select(*columns).order_by(Activity.id.desc())):
        for figures in (days[at.date()], total):
            figures.add(kind, detail, milliseconds)
    return days, total
