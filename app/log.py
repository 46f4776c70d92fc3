"""The log: one JSON object per line, on standard output. It names reasons exactly, and holds no secret: routes by
their pattern, never by their path, because paths hold tokens; clients by a keyed hash, never by their IP address."""

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


def set_up() -> None:
    """Write this site's events to standard output, once per process."""
    if not logger.handlers:
        # The operator's commands have tables to print there.
        handler = logging.StreamHandler(sys.stderr if os.environ.get("FLASK_RUN_FROM_CLI") else sys.stdout)
        handler.setFormatter(JsonFormatter())
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
