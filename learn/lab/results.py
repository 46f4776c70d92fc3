"""Runs of attacks and their results: the last one of each in this process, and those that were recorded."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

from app.models import now
from learn.inside import story
from learn.inside.checks import CHECKS, Result
from learn.inside.story import Group
from learn.lab import listings, runner
from learn.lab.attacks import Attack, Cut
from learn.lab.runner import Step

RECORDED = Path(__file__).with_name("recorded.json")

# What is taken out: nothing, or all cuts of the attack, or one of several cuts by its number.
NOTHING, EVERYTHING = "", "all"

# Tokens, challenges and the like differ in each run.
RANDOM = re.compile(r"(?<=/sign-in/link/)[^\s?]+|(?<=token=)[^\s&]+|(?<![\w-])(?=[\w.-]*\d)[\w.-]{20,}…?")
RANDOM_FIELDS = ("code", "credential", "kept", "proof", "token")


@dataclass(eq=False)
class Run:
    """A run of an attack. While it goes on, `coming` yields the steps that follow."""

    name: str
    without: str
    steps: list[Step] = field(default_factory=list)
    at: datetime | None = None
    """The time when it ended, or None if it was recorded."""
    coming: Iterator[Step] = field(default_factory=lambda: iter(()))

    def tell(self, beside: "Run | None" = None) -> Iterator[Step]:
        """Yield the steps as they happen, without the verdict. `beside` is the same attack in the other run.

        Each step says more: `again` is True if the same line of the attack takes the same step once more, `differs` if
        the answer is not the one before, and `apart` if the other run has another answer at this place.
        """
        before: dict[str, Step] = {}
        others = beside.steps if beside else []
        for place, step in enumerate(chain(self.steps, self._arrive())):
            if step["step"] == "verdict":
                continue
            last, other = before.get(step["step"], {}), others[place] if place < len(others) else Step()
            again = _deed(step) == _deed(last)
            yield step | {
                "again": again,
                "differs": not again or _answer(step) != _answer(last),
                "apart": step["step"] == other.get("step") and _answer(step) != _answer(other),
            }
            before[step["step"]] = step

    def _arrive(self) -> Iterator[Step]:
        for step in self.coming:
            self.steps.append(step)
            if self.is_over:
                self.at = now()
                _last[self.name, self.without] = self
            yield step

    @property
    def is_over(self) -> bool:
        """True if there is a verdict."""
        return bool(self.steps) and self.steps[-1]["step"] == "verdict"

    @property
    def verdict(self) -> Step:
        """The verdict. There is one as soon as all steps have been told."""
        return self.steps[-1]

    def refused(self, reason: str) -> Step | None:
        """Return the first request that was refused for this reason."""
        return next((step for step in self.steps if _is_request(step) and reason in step["reasons"]), None)

    def ceremony(self, reason: str) -> "Judged | None":
        """Return the checks of the ceremony that was refused for this reason, or None if it was none."""
        step = self.refused(reason)
        return _judged(**step["checks"]) if step and "checks" in step else None


@dataclass(frozen=True)
class Judged:
    """The checks of a ceremony that was refused, for the list of "Look inside"."""

    kind: str
    groups: list[Group]
    failed: Result | None


_last: dict[tuple[str, str], Run] = {}


def _judged(kind: str, results: Sequence[Sequence[str]]) -> Judged:
    checks = {check.key: check for check in CHECKS[kind]}
    found = [Result(checks[key], *rest) for key, *rest in results if key in checks]
    return Judged(kind, story.groups(found), next((each for each in found if each.verdict == "failed"), None))


def _is_request(step: Step) -> bool:
    return step.get("step") == "request"


def _deed(step: Step) -> list[Any]:
    return [step[key] for key in ("at", "who", "method", "path", "words") if key in step]


def _answer(step: Step) -> list[Any]:
    return [step[key] for key in ("status", "reasons", "words") if key in step]


def cuts_of(attack: Attack, without: str) -> Sequence[Cut] | None:
    """Return the cuts that a form asks for, or None if there are no such cuts."""
    choices = {NOTHING: (), EVERYTHING: attack.cuts} | {str(n): (cut,) for n, cut in enumerate(attack.cuts, 1)}
    return choices.get(without)


def last(name: str, without: str) -> Run | None:
    """Return the last run of this process, or else the recorded one, if there is one."""
    return _last.get((name, without)) or recorded().get((name, without))


@cache
def recorded() -> dict[tuple[str, str], Run]:
    """Return the recorded runs."""
    attacks = json.loads(RECORDED.read_text()) if RECORDED.exists() else {}
    return {
        (name, without): Run(name, without, [_located(name, step) for step in steps])
        for name, both in attacks.items()
        for without, steps in both.items()
        if name in runner.all_attacks()
    }


def matrix() -> str:
    """Return the recorded runs as a table in Markdown, for the README."""
    rows = ["| attack | stopped by | refused | without it |", "|---|---|---|---|"]
    for name, attack in runner.all_attacks().items():
        held = runner.holds(attack, recorded()[name, NOTHING].verdict)
        lost = recorded()[name, EVERYTHING].verdict["verdict"] == "succeeded"
        defence = re.split(r"(?<=\.) ", attack.defence)[0].rstrip(".")
        refused = f"`{attack.refused}`" if attack.refused else "comes to nothing"
        rows.append(
            f"| [{attack.title}](learn/lab/attacks/{name}.py) | {defence} | {refused if held else 'no'} "
            f"| {attack.wins.rstrip('.') if lost else 'fails, too'} |"
        )
    return "\n".join(rows) + "\n"


def record(runs: dict[str, dict[str, list[Step]]]) -> None:
    """Write the steps of the runs of all attacks, one per line, so that two recordings can be compared."""
    attacks = []
    for name, both in runs.items():
        told = [
            f"  {json.dumps(without)}: [\n"
            + ",\n".join(f"   {json.dumps(_stable(name, step), ensure_ascii=False)}" for step in steps)
            + "\n  ]"
            for without, steps in both.items()
        ]
        attacks.append(f" {json.dumps(name)}: {{\n" + ",\n".join(told) + "\n }")
    RECORDED.write_text("{\n" + ",\n".join(attacks) + "\n}\n")


def _stable(name: str, step: Step) -> Step:
    """Return a step without its random parts, and without numbers of lines: they change with every edit of a file."""
    step = dict(step)
    if step.get("at"):
        step["at"] -= listings.first_line(name)
    if step["step"] == "request":
        step["form"] = {name: "…" if name in RANDOM_FIELDS else value for name, value in step["form"].items()}
    if "checks" in step:
        # Only the one that failed tells what was found. Most of the others found something random.
        results = [row if row[1] == "failed" else row[:2] for row in step["checks"]["results"]]
        step["checks"] = step["checks"] | {"results": results}
    if step["step"] == "verdict":
        step["reasons"] = list(dict.fromkeys(step["reasons"]))
        if line := step["line"]:
            step["line"] = {
                "file": line["file"],
                "function": line["function"],
                "text": listings.text(line["file"])[line["line"] - 1].strip(),
            }
    return _without_random(step)


def _located(name: str, step: Step) -> Step:
    """Return a recorded step with its lines as they are numbered now."""
    if step.get("at") is not None:
        return step | {"at": step["at"] + listings.first_line(name)}
    if line := step.get("line"):
        texts = [text.strip() for text in listings.text(line["file"])]
        start = next((n for n, text in enumerate(texts) if text.startswith(f"def {line['function']}(")), len(texts))
        here = [n for n, text in enumerate(texts, 1) if n > start and text == line["text"]]
        return step | {"line": line | {"line": here[0]} if here else None}
    return step


def _without_random(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_random(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_without_random(each) for each in value]
    return RANDOM.sub("…", value) if isinstance(value, str) else value
