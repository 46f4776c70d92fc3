"""The log, on standard output: one JSON object per line, or on localhost a line for a person.

It names reasons exactly, and holds no secret. It names routes by their pattern, never by their path, because paths hold
tokens. It names clients by a keyed hash, never by their IP address.
"""

import json
import logging
import os
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

logger = logging.getLogger("latchkey")

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""By which the lines of one request are known to belong together."""

client: ContextVar[str] = ContextVar("client", default="")
"""By which the requests of one client are known to belong together: see `limits.client_id`."""


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON: time, level, event, then its fields."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **({"request": request_id.get(), "client": client.get()} if request_id.get() else {}),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


class PlainFormatter(logging.Formatter):
    """A record as one line for a person: `GET /sign-in 200 3 ms`, or an event with its fields. A traceback follows."""

    def format(self, record: logging.LogRecord) -> str:
        name, fields = record.getMessage(), getattr(record, "fields", {})
        if name == "request":
            line = "{method} {route} {status} {ms:.0f} ms".format(**fields)
        else:
            details = ", ".join(f"{key} {value}" for key, value in fields.items() if value not in ("", None))
            line = name.replace("_", " ") + (f": {details}" if details else "")
        # Some details quote visitors, who could forge lines or control the terminal with it.
        line = line if line.isprintable() else ascii(line)
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def set_up(for_a_person: bool) -> None:
    """Write this site's events to standard output, once per process."""
    if not logger.handlers:
        # The operator's commands print tables there.
        handler = logging.StreamHandler(sys.stderr if os.environ.get("FLASK_RUN_FROM_CLI") else sys.stdout)
        handler.setFormatter(PlainFormatter() if for_a_person else JsonFormatter())
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
    # The development server's own request lines hold paths.
    logging.getLogger("werkzeug").setLevel(logging.WARNING)


def event(name: str, **fields: Any) -> None:
    """Log that something happened, under a name in snake_case, with what is worth knowing about it."""
    logger.info(name, extra={"fields": fields})


def failure(route: str, exc_info: Any) -> None:
    """Log an exception that nobody handled, with its traceback."""
    logger.error("unhandled_exception", exc_info=exc_info, extra={"fields": {"route": route}})
