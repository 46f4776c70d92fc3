"""Answers: a page with or without a refusal, and the message on the next page."""

import math
from typing import Any

from flask import flash, g, make_response, render_template
from werkzeug import Response

from app import log, mailer
from app.ceremonies import signals
from app.ceremonies.attempts import CeremonyError
from app.limits import TooMany
from app.refusals import Refusal
from app.views.site.protection import route_pattern


def render_page(template: str, refusal: Refusal | None = None, status: int = 400, **values: Any) -> Response:
    """Return the page. With a refusal, log its reason, and answer with `status`.

    The status is 429 instead if a limit is used up, and 503 if a mail could not be sent.

    The page tells the authenticator to forget a passkey that is proven to be unknown here.
    """
    if not refusal:
        return make_response(render_template(template, **values))
    if isinstance(refusal, CeremonyError) and refusal.attempt and refusal.attempt.unknown_credential_id:
        values["signal"] = signals.unknown_credential(refusal.attempt.unknown_credential_id)
    # The library's messages quote the response. Cut them, so that a visitor can't fill the disk.
    log.event("refused", reason=refusal.reason, detail=refusal.detail[:300], route=route_pattern())
    headers = {}
    if isinstance(refusal, TooMany):
        status, headers = 429, {"Retry-After": str(refusal.retry_after)}
        # For macros.html: imported macros can read `g`, but not the page's values.
        g.minutes = math.ceil(refusal.retry_after / 60)
    elif isinstance(refusal, mailer.Unsent):
        status, headers = 503, {"Retry-After": "60"}
    return make_response(render_template(template, refusal=refusal.reason, **values), status, headers)


def flash_done(kind: str, **values: Any) -> None:
    """Say on the next page that this was done. `kind` chooses the sentence in `templates/macros.html`."""
    flash({"kind": kind, **values})  # type: ignore[arg-type]
