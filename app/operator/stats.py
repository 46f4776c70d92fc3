"""How well it goes: what people did per day, what was refused and why, and how long it took them.

Counted from the activity of accounts, for as long as that is kept. What was refused without an account being known is
in the log.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from statistics import median

from sqlalchemy import select

from app.activity import Kind
from app.database import run
from app.models import Activity

ACCEPTED = (Kind.SIGNED_IN, Kind.CONFIRMED, Kind.PASSKEY_ADDED)

# What is refused of these has no row, because a known address could be told by it.
BY_MAIL = ("link", "code")


@dataclass
class Figures:
    """What was counted, of one day or of all."""

    sign_ins: Counter[str] = field(default_factory=Counter)
    """How many, by method."""
    refusals: Counter[str] = field(default_factory=Counter)
    """How many, by reason."""
    accepted: int = 0

    def count(self, kind: str, detail: str) -> None:
        """Take in that this happened."""
        if kind == Kind.SIGNED_IN:
            self.sign_ins[detail] += 1
        if kind.endswith("_refused"):
            self.refusals[detail] += 1
        self.accepted += kind in ACCEPTED and not (kind == Kind.SIGNED_IN and detail in BY_MAIL)

    @property
    def success(self) -> float | None:
        """The share of the answers that was accepted, of passkeys, recovery codes and proofs; None without any."""
        answers = self.accepted + self.refusals.total()
        return self.accepted / answers if answers else None


def count() -> tuple[dict[date, Figures], Figures, dict[str, float]]:
    """Return the figures per day (in UTC, the newest first), those of all days, and for what was timed (a method, or
    "registration") the median seconds from begin to finish."""
    days: dict[date, Figures] = {}
    total, times = Figures(), dict[str, list[int]]()
    columns = (Activity.at, Activity.kind, Activity.detail, Activity.milliseconds)
    for row in run(select(*columns).order_by(Activity.id.desc())):
        for figures in (days.setdefault(row.at.date(), Figures()), total):
            figures.count(row.kind, row.detail)
        if row.milliseconds is not None:
            name = "registration" if row.kind == Kind.PASSKEY_ADDED else row.detail
            times.setdefault(name, []).append(row.milliseconds)
    return days, total, {name: median(taken) / 1000 for name, taken in sorted(times.items())}
