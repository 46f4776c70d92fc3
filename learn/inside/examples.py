"""Two sign-ins for visitors without an account. They were recorded from a site on localhost: see example.json.

The tests record them anew and compare (tests/inside/example.py).
"""

import json
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from learn.inside.ceremonies import Ceremony, read
from learn.inside.kept import Event

FILE = Path(__file__).with_name("example.json")


@cache
def read_example(which: str) -> tuple[Event, Ceremony]:
    """Return an example, and its row of the activity: `accepted`, or `refused`, which a phishing page made."""
    recorded: dict[str, Any] = json.loads(FILE.read_text())[which]
    ceremony = read(json.dumps(recorded["transcript"]))
    assert ceremony, f"{FILE} has no such ceremony"
    at = datetime.fromtimestamp((ceremony.facts.arrived_at or 0) / 1000, UTC)
    return Event(0, recorded["kind"], at, recorded["browser"], recorded["detail"]), ceremony
