"""The doctor looks for mistakes in how a site is set up, and says what each means for visitors and what to change."""

import socket
import ssl
import time
import urllib.request
from collections.abc import Container, Iterator
from http.client import HTTPException
from typing import NamedTuple
from urllib.error import HTTPError, URLError

from flask import current_app
from sqlalchemy import func, select, text
from sqlalchemy.exc import SQLAlchemyError

from app import accounts, mailer, notices
from app.config import is_random
from app.database import db, run
from app.models import now

FORWARDING_HEADERS = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Real-Ip", "Via")

# After a restart, a site brings its database up to date, and answers after that.
SECONDS_TO_START = 5.0

# The answers of a proxy if the site behind it gives none (RFC 9110 15.6).
BAD_GATEWAY, GATEWAY_TIMEOUT = 502, 504

# The answers of a mail server that refuses user name or password (RFC 4954 6).
BAD_LOGIN = (530, 534, 535)

DATABASES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


class Finding(NamedTuple):
    """One thing that was looked at, and what it means for visitors. If it is fine, there is nothing to change."""

    what: str
    means: str
    change: str = ""

    @property
    def is_fine(self) -> bool:
        return not self.change


def command(arguments: str) -> str:
    """Return how to run a command of this site: on localhost, or as docs/deploy.md sets it up."""
    return f".venv/bin/flask {arguments}" if current_app.config["LOCAL"] else f"latchkey {arguments}"


def examine(seconds_to_start: float = SECONDS_TO_START) -> Iterator[Finding]:
    """Look at all that can be looked at without a visitor. Give a site that doesn't answer these seconds to start."""
    yield from _site()
    # Before the database: it is up to date once a site that was just started answers.
    yield _visit(seconds_to_start)
    yield from _database()
    yield _mail()


def examine_request(host: str, headers: Container[str]) -> Iterator[Finding]:
    """Look at how a request came here: the host that it asked for, and the headers that proxies added."""
    wanted = current_app.config["HOST"]
    if host == wanted:
        yield Finding(f"The browser asked for {host}", "That is the site's address, so passkeys and links work.")
    else:
        means = "Visitors see an error page, because passkeys and links belong to one address."
        change = "Make the proxy pass on the Host header."
        yield Finding(f"The browser asked for {host}, not for {wanted}", means, change)
    seen, proxies = [name for name in FORWARDING_HEADERS if name in headers], current_app.config["PROXIES"]
    if seen and not proxies:
        what = f"A proxy is in front of the site ({', '.join(seen)}), but FLASK_PROXIES is 0"
        yield Finding(what, "All visitors seem to be one client, and share its limits.", "FLASK_PROXIES=1")
    elif proxies and "X-Forwarded-For" not in headers:
        what = f"FLASK_PROXIES is {proxies}, but no proxy sends X-Forwarded-For"
        yield Finding(what, "Anyone can send that header, and evade the limits.", "FLASK_PROXIES=0")
    else:
        what = f"Proxies in front of the site: {proxies or 'none'}"
        yield Finding(what, "The limits count each visitor by their own IP address.")


def _site() -> Iterator[Finding]:
    config = current_app.config
    yield Finding(f"The site's address is {config['SITE_URL']}", "Passkeys and links work at this address only.")
    protocol = "https only" if config["SESSION_COOKIE_SECURE"] else "http, which is safe on localhost"
    yield Finding(f"The cookie is called {config['SESSION_COOKIE_NAME']}", f"Browsers send it over {protocol}.")
    if not is_random(config["SECRET_KEY"]):
        means = "Anyone who guesses it can sign in to any account."
        change = "FLASK_SECRET_KEY=$(python -c 'import secrets; print(secrets.token_hex(32))')"
        yield Finding("The secret key is short or easy to guess", means, change)
    else:
        what = f"The secret key is random. Earlier keys: {len(config['SECRET_KEY_FALLBACKS']) or 'none'}"
        yield Finding(what, "Nobody can forge a session, a link or a code.")
    if config["DEBUG"]:
        yield Finding("Debugging is on", "Error pages show visitors the code.", "unset FLASK_DEBUG")
    if not config["LIMITS_ENABLED"]:
        means = "Anyone can flood an inbox, and try codes without end."
        yield Finding("Limits are off", means, "unset FLASK_LIMITS_ENABLED")


def _visit(seconds_to_start: float) -> Finding:
    url = current_app.config["SITE_URL"]
    give_up_at = time.monotonic() + seconds_to_start
    while _is_stopped(error := _open(f"{url}/healthz")) and time.monotonic() < give_up_at:
        time.sleep(0.2)
    if not error:
        return Finding(f"{url} answers", "Visitors can open the site.")
    if _is_stopped(error):
        start = "make run" if current_app.config["LOCAL"] else "systemctl start latchkey"
        return Finding(f"{url} is not running", "Visitors can't open the site.", f"Start it: {start}")
    if isinstance(error, HTTPError):
        what = f"{url} answers with an error ({error.code})"
        return Finding(what, "Visitors can't use the site.", "Read the site's log.")
    change = "Read the log of the proxy."
    if isinstance(error, socket.gaierror):
        change = f"Add a DNS record that points {current_app.config['RP_ID']} to this machine."
    elif isinstance(error, ssl.SSLError):
        change = "Read the log of the proxy, which should get a certificate for this name."
    return Finding(f"{url} can't be opened: {_in_words(error)}", "Visitors can't open the site either.", change)


def _open(url: str) -> Exception | None:
    """Open a page as visitors do: through the proxy, with its certificate verified. Return what is in the way."""
    try:
        urllib.request.urlopen(url, timeout=5).close()  # noqa: S310
    except HTTPError as error:
        error.close()
        return error
    except URLError as error:
        return error.reason if isinstance(error.reason, Exception) else error
    except (OSError, HTTPException) as error:
        return error
    return None


def _is_stopped(error: Exception | None) -> bool:
    """Whether nothing answers there, or only a proxy does."""
    return isinstance(error, ConnectionRefusedError) or getattr(error, "code", 0) in (BAD_GATEWAY, GATEWAY_TIMEOUT)


def _in_words(error: BaseException | None) -> str:
    """Say why a server can't be used."""
    if isinstance(error, socket.gaierror):
        return "there is no machine of that name"
    if isinstance(error, ConnectionRefusedError):
        return "nothing answers at that port"
    if isinstance(error, TimeoutError):
        return "it doesn't answer in time"
    if isinstance(error, ssl.SSLCertVerificationError):
        return "its certificate isn't valid for that name"
    if isinstance(error, ssl.SSLError):
        return "it doesn't speak TLS at that port"
    if getattr(error, "smtp_code", 0) in BAD_LOGIN:
        return "it refuses the user name or the password"
    return str(error) or type(error).__name__


def _database() -> Iterator[Finding]:
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    database = f"The database ({DATABASES[db.engine.dialect.name]})"
    try:
        current = MigrationContext.configure(db.session.connection()).get_current_revision()
        if db.engine.dialect.name == "postgresql":
            away = abs((run(select(func.clock_timestamp())).scalar_one() - now()).total_seconds())
            if away > 5:
                what = f"This machine's clock is {away:.0f} seconds away from the database's"
                yield Finding(what, "Links and passkeys are refused too early.", "timedatectl set-ntp true")
            encoding = run(text("SHOW server_encoding")).scalar_one()
            if encoding != "UTF8":
                change = "createdb --encoding=UTF8 --template=template0 ..."
                yield Finding(f"{database} stores text as {encoding}", "It can't store many names.", change)
    except SQLAlchemyError as error:
        what = f"{database} doesn't answer: {_in_a_line(error)}"
        yield Finding(what, "Visitors see an error page.", "FLASK_SQLALCHEMY_DATABASE_URI=...")
        return
    newest = ScriptDirectory(f"{current_app.root_path}/migrations").get_current_head()
    if current != newest:
        what = f"{database} is at version {current}, but the site needs {newest}" if current else f"{database} is empty"
        yield Finding(what, "Visitors see an error page.", command("db upgrade"))
        return
    try:
        # A write that changes nothing.
        accounts.hold(0)
        db.session.rollback()
    except SQLAlchemyError as error:
        what = f"{database} can't be written: {_in_a_line(error)}"
        yield Finding(what, "Nobody can sign in.", "Give the database and its folder to the user who runs the site.")
        return
    yield Finding(f"{database} is up to date ({newest}) and can be written", "Visitors can sign in.")
    if delayed := notices.count_delayed():
        what = f"Notices that have waited for more than {notices.DELAY.seconds // 60} minutes: {delayed}"
        change = "If the site is running, look for notice_not_sent in its log."
        yield Finding(what, "Owners don't learn what happened to their accounts.", change)


def _in_a_line(error: SQLAlchemyError) -> str:
    return str(getattr(error, "orig", error)).partition("\n")[0]


def _mail() -> Finding:
    config = current_app.config
    if not config["MAIL_SERVER"]:
        return Finding("All mail stays on this machine", f"Read it at {config['SITE_URL']}/dev/mail/.")
    server = f"The mail server {config['MAIL_SERVER']}:{config['MAIL_PORT']}"
    try:
        mailer.greet()
    except mailer.Unsent as refusal:
        what = f"{server} can't be used: {_in_words(refusal.__cause__ or refusal)}"
        change = "Check FLASK_MAIL_SERVER, FLASK_MAIL_PORT, FLASK_MAIL_USERNAME and FLASK_MAIL_PASSWORD."
        return Finding(what, "Visitors get no sign-in mail.", change)
    return Finding(f"{server} accepts mail from this site", "Visitors get their sign-in mail.")
