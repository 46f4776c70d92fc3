"""The guided tour: five steps, and the time when this browser did each. They are kept in its cookie only."""

from flask import current_app, session

from app.models import now

STEPS = ("ask", "open", "create", "leave", "return")
STEPS_WITHOUT_PASSKEYS = ("ask", "open", "leave")


def steps() -> tuple[str, ...]:
    """Return the names of this site's steps, in their order."""
    return STEPS if current_app.config["PASSKEYS_ENABLED"] else STEPS_WITHOUT_PASSKEYS


def done() -> dict[str, int]:
    """Return the steps that this browser has done, each with its time in seconds since 1970."""
    kept = session.get("tour")
    # A cookie of an earlier release has a list.
    return kept if isinstance(kept, dict) else {}


def upcoming() -> str | None:
    """Return the first step that is not done, or None at the end of the tour."""
    return next((step for step in steps() if step not in done()), None)


def mark_done(step: str) -> None:
    """Record that a step is done, unless it was recorded before."""
    session["tour"] = {step: int(now().timestamp())} | done()
