"""The log: one JSON object per line, or on localhost a line for people.

It has the exact reason of each refusal, and no secret. It names routes by their pattern, because paths hold tokens. It
names clients by a keyed hash, never by their IP address.
"""

import json
import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from flask import Flask

logger = logging.getLogger("latchkey")

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The same in all lines of one request."""

client: ContextVar[str] = ContextVar("client", default="")
"""The same in all requests of one client: see `limits.client_id`."""


class JsonFormatter(logging.Formatter):
    """Writes a record as one line of JSON: time, level, event, then its fields."""

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
    """Writes a record as one line for people: `GET /sign-in 200 3 ms`, or an event with its fields. A traceback
    follows."""

    def format(self, record: logging.LogRecord) -> str:
        name, fields = record.getMessage(), getattr(record, "fields", {})
        if name == "request":
            line = "{method} {route} {status} {ms:.0f} ms".format(**fields)
        else:
            details = ", ".join(f"{key} {value}" for key, value in fields.items() if value not in ("", None))
            line = name.replace("_", " ") + (f": {details}" if details else "")
        # Some details quote visitors. Escape them, so that they can't forge lines or control the terminal.
        line = line if line.isprintable() else ascii(line)
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def init_app(app: Flask) -> None:
    """Log to standard output, or in a command to standard error. Do this once per process."""
    if not logger.handlers:
        # The standard output of commands is for their tables.
        handler = logging.StreamHandler(sys.stderr if app.config["IS_COMMAND"] else sys.stdout)
        handler.setFormatter(PlainFormatter() if app.config["LOCAL"] else JsonFormatter())
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
    # The development server would log paths, which hold tokens.
    logging.getLogger("werkzeug").setLevel(logging.WARNING)


def event(name: str, **fields: Any) -> None:
    """Log that something happened: its name in snake_case, and details as fields."""
    logger.info(name, extra={"fields": fields})


def failure(route: str, exc_info: Any) -> None:
    """Log an unhandled exception with its traceback."""
    logger.error("unhandled_exception", exc_info=exc_info, extra={"fields": {"route": route}})
