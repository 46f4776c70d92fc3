"""Running attacks: each in a process of its own, with a temporary folder, a clean environment and a time limit."""

import json
import os
import subprocess
import sys
from collections.abc import Generator, Iterator, Sequence
from dataclasses import asdict
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from tempfile import TemporaryDirectory
from threading import BoundedSemaphore, Timer
from typing import Any

from learn.lab import attacks
from learn.lab.attacks import Attack, Cut

CHILD = Path(__file__).with_name("child.py")

TIME_LIMIT_SECONDS = 20

LAYERS = ("mail", "passkeys", "sessions")

# Each run takes a processor and 80 MB for a second or two.
places = BoundedSemaphore(2)

Step = dict[str, Any]


@cache
def all_attacks() -> dict[str, Attack]:
    """Return the attacks by name, in the order of the layers."""
    names = [module.name for module in iter_modules(attacks.__path__)]
    found = {name: import_module(f"learn.lab.attacks.{name}").ATTACK for name in names}
    return dict(sorted(found.items(), key=lambda item: LAYERS.index(item[1].layer)))


def run(name: str, cuts: Sequence[Cut] = (), database: str = "") -> Iterator[Step]:
    """Run an attack with these defences taken out. Yield each step as it happens; the last one is the verdict.

    `database` is the URI of an empty database, or "" for SQLite in the run's own folder. The verdict is "held" if the
    attacker got nothing, "succeeded", or "void" if something crashed or took too long.
    """
    with places:
        yield from run_in_place(name, cuts, database)


def run_in_place(name: str, cuts: Sequence[Cut] = (), database: str = "") -> Generator[Step]:
    """Run an attack like `run`. The caller has acquired one of the `places`."""
    with TemporaryDirectory() as folder:
        changes = [asdict(cut) for cut in (*all_attacks()[name].always, *cuts)]
        order = {"attack": name, "cuts": changes, "folder": folder, "database": database}
        # Nothing of ours is in its environment: it must not reach the real database or mail server.
        environ = {key: os.environ[key] for key in ("PATH", "SYSTEMROOT", "TEMP", "TMP") if key in os.environ}
        process = subprocess.Popen(  # noqa: S603, it is our own program
            [sys.executable, str(CHILD)],
            env=environ,
            cwd=folder,
            text=True,
            encoding="utf-8",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        limit = Timer(TIME_LIMIT_SECONDS, process.kill)
        limit.start()
        assert process.stdin
        assert process.stdout
        try:
            process.stdin.write(json.dumps(order))
            process.stdin.close()
            step, said = Step(), ""
            for line in process.stdout:
                if line.startswith("{"):
                    step = json.loads(line)
                    yield step
                else:
                    said += line
            if step.get("step") != "verdict":
                error = said or f"It took longer than {TIME_LIMIT_SECONDS} seconds."
                yield {"step": "verdict", "verdict": "void", "reasons": [], "line": None, "error": error}
        finally:
            limit.cancel()
            # The visitor may have left the page.
            process.kill()
            process.wait()
            process.stdout.close()


def holds(attack: Attack, verdict: Step) -> bool:
    """Return True if the attack came to nothing, and for the expected reason."""
    expected = attack.refused or attack.event
    return verdict["verdict"] == "held" and (not expected or expected in verdict["reasons"])
