"""`flask lab`: the attacks at the command line."""

import sys
from collections.abc import Sequence

import click
from flask.cli import AppGroup

from learn.lab import runner
from learn.lab.attacks import Attack, Cut
from learn.lab.runner import Step

lab = AppGroup("lab", short_help="Attack a throw-away copy of this site, with each defence and without it.")


@lab.command("list", short_help="List the attacks.")
def list_() -> None:
    """List the attacks."""
    for name, attack in runner.all_attacks().items():
        click.echo(f"{name:32} {attack.layer:10} {attack.title}")


@lab.command(short_help="Run an attack, or all of them.")
@click.argument("name", default="")
@click.option("--without-defence", is_flag=True, help="Take out the defence first.")
@click.option("--all", "run_all", is_flag=True, help="Run each attack both ways, in a few minutes.")
def run(name: str, without_defence: bool, run_all: bool) -> None:
    """Run the attack NAME, and show its steps.

    The exit code is 1 unless the defence holds, and the attack succeeds without it.
    """
    attacks = runner.all_attacks()
    if run_all:
        verdicts = [_run_both_ways(name, attack) for name, attack in attacks.items()]
        sys.exit(not all(verdicts))
    if name not in attacks:
        raise click.UsageError(f"There is no attack {name!r}. `flask lab list` names them all.")
    attack = attacks[name]
    click.echo(f"{attack.title}\n\n{attack.story}\n")
    verdict = _run(name, attack.cuts if without_defence else (), quiet=False)
    sys.exit(verdict["verdict"] != "succeeded" if without_defence else not runner.holds(attack, verdict))


def _run_both_ways(name: str, attack: Attack) -> bool:
    held = runner.holds(attack, _run(name))
    succeeded = _run(name, attack.cuts)["verdict"] == "succeeded"
    refused = attack.refused or "comes to nothing"
    click.echo(
        f"{name:32} {refused if held else 'NOT HELD':32} "
        f"{'succeeds without the defence' if succeeded else 'DOES NOT SUCCEED without it'}"
    )
    return held and succeeded


def _run(name: str, cuts: Sequence[Cut] = (), quiet: bool = True) -> Step:
    verdict = Step()
    for step in runner.run(name, cuts):
        verdict = step
        if not quiet:
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
