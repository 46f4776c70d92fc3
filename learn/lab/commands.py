"""`flask lab`: the attacks at the command line."""

import sys
from collections.abc import Sequence

import click
from flask.cli import AppGroup

from learn.lab import results, runner
from learn.lab.attacks import Attack, Cut
from learn.lab.runner import Step

Both = dict[str, list[Step]]
"""The steps of both runs: as it is "", and without the defence "all"."""

lab = AppGroup("lab", short_help="Attack a throw-away copy of this site, with each defence and without it.")


@lab.command("list", short_help="List the attacks.")
def list_() -> None:
    """List the attacks."""
    for name, attack in runner.all_attacks().items():
        click.echo(f"{name:32} {attack.layer:10} {attack.title}")


@lab.command(short_help="Print the table of the README.")
def matrix() -> None:
    """Print a table of all attacks: what stops each, and what comes of it without that. It shows the recorded runs."""
    click.echo(results.matrix(), nl=False)


@lab.command(short_help="Run an attack, or all of them.")
@click.argument("name", default="")
@click.option("--without-defence", is_flag=True, help="Take out the defence first.")
@click.option("--all", "run_all", is_flag=True, help="Run each attack both ways, in a few minutes.")
@click.option("--record", is_flag=True, help="With --all: keep the steps in learn/lab/recorded.json, for the pages.")
def run(name: str, without_defence: bool, run_all: bool, record: bool) -> None:
    """Run the attack NAME, and show its steps.

    The exit code is 1 unless the defence holds, and the attack succeeds without it.
    """
    attacks = runner.all_attacks()
    if run_all:
        runs = {name: _run_both_ways(name, attack) for name, attack in attacks.items()}
        if record:
            results.record(runs)
        sys.exit(not all(_is_as_it_should_be(attacks[name], both) for name, both in runs.items()))
    if name not in attacks:
        raise click.UsageError(f"There is no attack {name!r}. `flask lab list` names them all.")
    attack = attacks[name]
    click.echo(f"{attack.title}\n\n{attack.story}\n")
    verdict = _run(name, attack.cuts if without_defence else ())
    sys.exit(verdict["verdict"] != "succeeded" if without_defence else not runner.holds(attack, verdict))


def _run_both_ways(name: str, attack: Attack) -> Both:
    both = {"": list(runner.run(name)), "all": list(runner.run(name, attack.cuts))}
    held, succeeded = runner.holds(attack, both[""][-1]), both["all"][-1]["verdict"] == "succeeded"
    refused = attack.refused or "comes to nothing"
    click.echo(
        f"{name:32} {refused if held else 'NOT HELD':32} "
        f"{'succeeds without the defence' if succeeded else 'DOES NOT SUCCEED without it'}"
    )
    return both


def _is_as_it_should_be(attack: Attack, both: Both) -> bool:
    return runner.holds(attack, both[""][-1]) and both["all"][-1]["verdict"] == "succeeded"


def _run(name: str, cuts: Sequence[Cut]) -> Step:
    verdict = Step()
    for step in runner.run(name, cuts):
        verdict = step
        click.echo(_words(step))
    return verdict


def _words(step: Step) -> str:
    if step["step"] == "words":
        return f"  {step['words']}"
    if step["step"] == "request":
        reasons = f"  [{', '.join(step['reasons'])}]" if step["reasons"] else ""
        return f"  {step['who']:6} {step['method']:4} {step['path']}  {step['status']} {step['answer']}{reasons}"
    line = step["line"]
    where = f" {line['file']}:{line['line']} in {line['function']}" if line else ""
    return f"\n{step['verdict'].capitalize()}{where}\n{step['error']}".rstrip()
