"""A ceremony as the activity keeps it: the response, the site's facts, and the verdict."""

import json
from dataclasses import dataclass
from typing import Any

from app.ceremonies.attempts import Facts


@dataclass(frozen=True)
class Ceremony:
    """One ceremony, accepted or refused."""

    kind: str
    """"registration", "authentication", or "confirmation" (fresh proof by a passkey)."""
    response: str
    """JSON text from the browser."""
    facts: Facts
    refused: str = ""
    """The reason of the refusal, or "" if it was accepted."""
    too_long: int = 0
    """The length of a transcript that was too long to keep, in bytes."""


def read(transcript: str) -> Ceremony | None:
    """Return the ceremony of a transcript (`Attempt.transcript`), or None if this text is none."""
    try:
        parts: dict[str, Any] = json.loads(transcript)
        kind, refused, too_long = parts.pop("ceremony"), parts.pop("refused"), parts.pop("too_long", 0)
        return Ceremony(kind, parts.pop("response", ""), Facts(**parts), refused, too_long)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
