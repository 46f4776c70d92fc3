"""Filters and constants for the templates."""

from datetime import datetime, timedelta

from flask import Flask
from flask_login import current_user

from app import codes, limits, passkeys, proof, recovery_codes, sessions, sign_in_links, user_agents
from app.models import now
from app.sessions import Method
from app.views.shared import tour


def init_app(app: Flask) -> None:
    """Give the templates their filters and constants."""
    app.jinja_options = {"trim_blocks": True, "lstrip_blocks": True}
    app.add_template_filter(in_words)
    app.add_template_filter(duration)
    app.add_template_filter(on_the_clock)
    app.add_template_filter(user_agents.authenticator, "authenticator")
    app.jinja_env.globals.update(
        current_user=current_user,
        tour=tour,
        Method=Method,
        link_minutes=sign_in_links.LINK_LIFETIME // timedelta(minutes=1),
        code_minutes=codes.CODE_LIFETIME // timedelta(minutes=1),
        proof_minutes=proof.PROOF_LIFETIME // timedelta(minutes=1),
        last_wrong_code=limits.LAST_WRONG_CODE,
        longest_name=passkeys.LONGEST_NAME,
        recovery_codes_made=recovery_codes.COUNT,
        sessions_listed=sessions.MOST_LISTED,
        passkeys_enabled=app.config["PASSKEYS_ENABLED"],
        by_invitation=app.config["SIGN_UP"] == "invite",
        activity_days=app.config["ACTIVITY_DAYS"],
        local=app.config["LOCAL"],
        site_host=app.config["RP_ID"],
        site_name=app.config["SITE_NAME"],
        site_url=app.config["SITE_URL"],
        # Filled by `add_header_link`.
        header_links=[],
        # Set by `add_ceremony_pages`.
        ceremony_pages="",
    )


def add_header_link(app: Flask, endpoint: str, name: str, about: str) -> None:
    """Add a link to the header of the front page and similar pages. Sign-in pages and account pages don't show it.

    The front page also says what the link is about.
    """
    links: list[tuple[str, str, str]] = app.jinja_env.globals["header_links"]  # type: ignore[assignment]
    links.append((endpoint, name, about))


def add_ceremony_pages(app: Flask, blueprint: str) -> None:
    """Link to pages that explain ceremonies: `<blueprint>.show` for a row of the activity, `<blueprint>.newest` from
    the notices after a ceremony, and `<blueprint>.mail` for a sign-in mail of the outbox."""
    app.jinja_env.globals.update(ceremony_pages=blueprint)


def in_words(moment: datetime) -> str:
    """Return how long ago this was, such as "3 days ago". The page shows the exact time beside it."""
    seconds = (now() - moment).total_seconds()
    for size, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            return f"{_count(int(seconds // size), name)} ago"
    return "just now"


def duration(seconds: int) -> str:
    """Return a duration in words: "41 seconds", "1 minute 48 seconds", "3 days"."""
    for size, smaller, name, part in (
        (86400, 3600, "day", "hour"),
        (3600, 60, "hour", "minute"),
        (60, 1, "minute", "second"),
    ):
        if seconds >= size:
            rest = seconds % size // smaller
            return _count(seconds // size, name) + (f" {_count(rest, part)}" if rest else "")
    return _count(seconds, "second")


def on_the_clock(seconds: int) -> str:
    """Return a duration as on a stopwatch: "0:41", "1:02:03"."""
    minutes, seconds = divmod(seconds, 60)
    return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}" if minutes >= 60 else f"{minutes}:{seconds:02}"


def _count(number: int, name: str) -> str:
    return f"{number} {name}{'' if number == 1 else 's'}"
