"""A ceremony as the activity keeps it: the response, the site's facts, and the verdict."""

import json
from dataclasses import dataclass
from typing import Any, get_args, get_origin, get_type_hints

from app.ceremonies import options
from app.ceremonies.attempts import Facts

PURPOSES = {purpose.name: purpose for purpose in (options.REGISTRATION, options.AUTHENTICATION, options.CONFIRMATION)}


@dataclass(frozen=True)
class Ceremony:
    """One ceremony, accepted or refused."""

    kind: str
    """A name of PURPOSES. A confirmation is fresh proof by a passkey."""
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
        parts: dict[str, Any] = parse(transcript)
        kind = PURPOSES[parts.pop("ceremony")].name
        refused, too_long = parts.pop("refused"), parts.pop("too_long", 0)
        ceremony = Ceremony(kind, parts.pop("response", ""), Facts(**parts), refused, too_long)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return ceremony if has_types(ceremony) and has_types(ceremony.facts) else None


def parse(text: str) -> Any:
    """Return the value of JSON text. Raises ValueError if there is none, or a page can't show it.

    Such a value is nested too deep, or has a lone surrogate in its text, which UTF-8 doesn't have.
    """
    try:
        value = json.loads(text)
        json.dumps(value, ensure_ascii=False).encode()
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    return value


def has_types(record: Any) -> bool:
    """Return True if the fields of a dataclass have the types that it says. JSON and other releases may differ."""
    for name, hint in get_type_hints(type(record)).items():
        # `int | None` has two types, and `dict[str, Any]` is checked as a dict.
        types = [get_origin(each) or each for each in get_args(hint) or (hint,)]
        if not isinstance(getattr(record, name), tuple(types)):
            return False
    return True
