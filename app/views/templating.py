"""What templates can say that Jinja can't: times, icons, and names for what is stored."""

from datetime import datetime, timedelta
from functools import lru_cache

import flask
from flask import Flask
from flask_login import current_user

from app import sessions, sign_in_links, user_agents
from app.models import now


def init_app(app: Flask) -> None:
    """Give the templates their filters and constants."""
    app.jinja_options = {"trim_blocks": True, "lstrip_blocks": True}
    app.add_template_filter(in_words)
    app.add_template_filter(user_agents.authenticator, "authenticator")
    app.jinja_env.globals.update(
        # A page's addresses are always the same, and making them is a good part of making it. They are named in full:
        # what is remembered doesn't know which page has asked.
        url_for=lru_cache(maxsize=256)(flask.url_for),
        current_user=current_user,
        link_minutes=sign_in_links.LINK_LIFETIME // timedelta(minutes=1),
        proof_minutes=sessions.PROOF_LIFETIME // timedelta(minutes=1),
        passkeys_enabled=app.config["PASSKEYS_ENABLED"],
        by_invitation=app.config["SIGN_UP"] == "invite",
        activity_days=app.config["ACTIVITY_DAYS"],
        local=app.config["LOCAL"],
        site_name=app.config["SITE_NAME"],
        site_url=app.config["SITE_URL"],
        # Filled by `add_header_link`.
        header_links=[],
    )


def add_header_link(app: Flask, endpoint: str, name: str) -> None:
    """Add a link to the header of the pages that aren't part of signing in or of the account."""
    links: list[tuple[str, str]] = app.jinja_env.globals["header_links"]  # type: ignore[assignment]
    links.append((endpoint, name))


def in_words(moment: datetime) -> str:
    """Say how long ago, roughly; the template gives the exact time beside it."""
    seconds = (now() - moment).total_seconds()
    for size, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {name}{'s' if count > 1 else ''} ago"
    return "just now"
