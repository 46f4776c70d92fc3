"""What might be wrong with how a site is set up: each finding says what, why it matters, and the line to change."""

import urllib.request
from collections.abc import Container, Iterator
from http.client import HTTPException
from typing import NamedTuple

from flask import current_app
from sqlalchemy import func, select, text
from sqlalchemy.exc import SQLAlchemyError

from app import accounts, mailer, notices
from app.config import is_random
from app.extensions import db, run
from app.models import now

FORWARDING_HEADERS = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Real-Ip", "Via")


class Finding(NamedTuple):
    """One thing that was looked at. Where it is as it should be, `why` and `change` are empty."""

    what: str
    why: str = ""
    change: str = ""

    @property
    def is_fine(self) -> bool:
        return not self.why


def examine() -> Iterator[Finding]:
    """Look at all that can be looked at without a visitor."""
    yield from _site()
    yield _visit()
    yield from _database()
    yield _mail()


def examine_request(host: str, headers: Container[str]) -> Iterator[Finding]:
    """Look at how a request came here: the host that it asked for, and what proxies have added to it."""
    wanted = current_app.config["HOST"]
    if host == wanted:
        yield Finding(f"The browser asked for {host}, as it should")
    else:
        why = "Every other page answers 400 to that host: passkeys and links belong to one."
        yield Finding(f"The browser asked for {host}, not for {wanted}", why, "Have the proxy pass the Host header on.")
    seen, proxies = [name for name in FORWARDING_HEADERS if name in headers], current_app.config["PROXIES"]
    if seen and not proxies:
        why = "A proxy is in front, and isn't trusted: limits, mails and activity take its address for everybody's."
        yield Finding(f"Proxy headers ({', '.join(seen)}), with FLASK_PROXIES=0", why, "FLASK_PROXIES=1")
    elif proxies and "X-Forwarded-For" not in headers:
        why = "Anybody could write that header themselves, and be whoever they like to the limits."
        yield Finding(f"FLASK_PROXIES={proxies}, and no X-Forwarded-For", why, "FLASK_PROXIES=0")
    else:
        yield Finding(f"Proxies as FLASK_PROXIES={proxies} says")


def _site() -> Iterator[Finding]:
    config = current_app.config
    yield Finding(f"Origin {config['SITE_URL']}, RP ID {config['RP_ID']}, host {config['HOST']}")
    name, secure = config["SESSION_COOKIE_NAME"], config["SESSION_COOKIE_SECURE"]
    yield Finding(f"Cookie {name}, {'sent over https only' if secure else 'for http on localhost'}")
    if not is_random(config["SECRET_KEY"]):
        why = "Whoever guesses it can sign in as anybody."
        change = "FLASK_SECRET_KEY=$(python -c 'import secrets; print(secrets.token_hex(32))')"
        yield Finding("The secret key is short, or no random one", why, change)
    else:
        yield Finding(f"A secret key, and {len(config['SECRET_KEY_FALLBACKS'])} earlier ones")
    if config["DEBUG"]:
        yield Finding(
            "Debugging is on", "Error pages show code, and run it for whoever knows how.", "unset FLASK_DEBUG"
        )
    if not config["LIMITS_ENABLED"]:
        yield Finding("Limits are off", "Anybody can flood an inbox, and guess codes.", "unset FLASK_LIMITS_ENABLED")


def _visit() -> Finding:
    url = current_app.config["SITE_URL"]
    try:
        # As visitors come: past the proxy, with its certificate verified.
        with urllib.request.urlopen(f"{url}/healthz", timeout=5) as answer:  # noqa: S310
            status = answer.status
    except (OSError, HTTPException) as error:  # nobody there, somebody who refuses, or no web server
        why = "Visitors don't come through, if the site is meant to be running."
        return Finding(
            f"{url} doesn't answer: {error}", why, "Look at DNS, the proxy's certificate, and the site's log."
        )
    return Finding(f"{url} answers {status}")


def _database() -> Iterator[Finding]:
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    dialect = db.engine.dialect.name
    try:
        current = MigrationContext.configure(db.session.connection()).get_current_revision()
        if dialect == "postgresql":
            away = abs((run(select(func.clock_timestamp())).scalar_one() - now()).total_seconds())
            if away > 5:
                why = "Links and challenges carry the time: what one machine makes, another may refuse."
                yield Finding(f"The clock is {away:.0f} s from the database's", why, "timedatectl set-ntp true")
            encoding = run(text("SHOW server_encoding")).scalar_one()
            if encoding != "UTF8":
                why = "Names in most of the world's writing can't be stored."
                change = "createdb --encoding=UTF8 --template=template0 ..."
                yield Finding(f"The database is in {encoding}", why, change)
    except SQLAlchemyError as error:
        what = f"The database ({dialect}) doesn't answer: {_in_a_line(error)}"
        yield Finding(what, "Nothing works without it.", "FLASK_SQLALCHEMY_DATABASE_URI=...")
        return
    head = ScriptDirectory(f"{current_app.root_path}/migrations").get_current_head()
    if current != head:
        why = "The code expects tables that aren't there."
        yield Finding(f"The database ({dialect}) is at {current}, not at {head}", why, "flask db upgrade")
        return
    try:
        # A write that changes nothing.
        accounts.hold(0)
        db.session.rollback()
    except SQLAlchemyError as error:
        change = "Make it, and the folder it lies in, the site's user's."
        yield Finding(f"The database ({dialect}) can't be written: {_in_a_line(error)}", "Nobody can sign in.", change)
        return
    yield Finding(f"The database ({dialect}) answers, is up to date ({head}), and can be written")
    if delayed := notices.count_delayed():
        why = "Owners don't learn what happened to their accounts."
        change = "Is the site running? Then look for notice_not_sent in its log."
        yield Finding(
            f"Notices that have waited for more than {notices.DELAY.seconds // 60} minutes: {delayed}", why, change
        )


def _in_a_line(error: SQLAlchemyError) -> str:
    return str(getattr(error, "orig", error)).partition("\n")[0]


def _mail() -> Finding:
    config = current_app.config
    if not config["MAIL_SERVER"]:
        return Finding(f"Mail is written to {mailer.outbox(current_app)}")
    server = f"{config['MAIL_SERVER']}:{config['MAIL_PORT']}"
    try:
        mailer.greet()
    except mailer.Unsent as refusal:
        change = "FLASK_MAIL_SERVER, FLASK_MAIL_PORT, FLASK_MAIL_USERNAME, FLASK_MAIL_PASSWORD"
        return Finding(
            f"The mail server {server} doesn't let us in: {refusal.detail}", "Nobody can sign in by mail.", change
        )
    return Finding(f"The mail server {server} lets us in")
