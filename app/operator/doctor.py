"""`flask doctor` finds mistakes in how a site is set up. It says what each means for visitors and what to change."""

import socket
import ssl
import time
import urllib.request
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from http.client import HTTPException
from typing import NamedTuple
from urllib.error import HTTPError, URLError

import click
from flask import current_app
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError

from app import accounts, mailer, notices
from app.activity import OPERATOR
from app.config import KEY_GENERATOR, is_random
from app.database import db, rollback
from app.email_addresses import canonical
from app.models import now
from app.operator.output import command_line, commit_or_explain

FORWARDING_HEADERS = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Real-Ip", "Via")

# After a restart, a site updates its database before it answers.
SECONDS_TO_START = 5.0

# A proxy gives these answers if the site behind it doesn't answer (RFC 9110 15.6).
BAD_GATEWAY, GATEWAY_TIMEOUT = 502, 504

# A mail server gives these answers if it refuses the user name or the password (RFC 4954 6).
BAD_LOGIN = (530, 534, 535)

# Why a server can't be used.
PROBLEMS = {
    socket.gaierror: "there is no machine of that name",
    ConnectionRefusedError: "nothing answers at that port",
    TimeoutError: "it doesn't answer in time",
    # Before the next one, which is its base class.
    ssl.SSLCertVerificationError: "its certificate isn't valid for that name",
    ssl.SSLError: "it doesn't speak TLS at that port",
}

DATABASES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


class Finding(NamedTuple):
    """Something that the doctor looked at, and what it means for visitors."""

    what: str
    means: str
    change: str = ""
    """The setting to change or the command to run; empty if all is well."""

    @property
    def is_fine(self) -> bool:
        return not self.change


@click.option("--send-to", metavar="EMAIL", help="Also send a test mail to EMAIL.")
@commit_or_explain
def report(send_to: str | None) -> None:
    """Find mistakes in the site's setup. Exit with 1 if there are any."""
    findings = list(examine())
    for finding in findings:
        click.echo(f"{'ok ' if finding.is_fine else 'BAD'}  {finding.what}")
        if not finding.is_fine:
            click.echo(f"     {finding.means}\n     {finding.change}")
    if send_to:
        mailer.send("notice", canonical(send_to), kind="test", client=OPERATOR, time=now())
        click.echo(f"ok   A mail to {send_to} was sent")
    if not all(finding.is_fine for finding in findings):
        raise click.exceptions.Exit(1)


def examine(seconds_to_start: float = SECONDS_TO_START) -> Iterator[Finding]:
    """Look at the whole setup. Wait so many seconds for a site that is starting."""
    yield from _settings()
    # Visit the site before looking at the database: a site that answers has updated it.
    yield from _visit(seconds_to_start)
    yield from _database()
    yield _mail()


def _settings() -> Iterator[Finding]:
    config = current_app.config
    yield Finding(f"The site's address is {config['SITE_URL']}", "Passkeys and links work at this address only.")
    protocol = "https only" if config["SESSION_COOKIE_SECURE"] else "http, which is safe on localhost"
    yield Finding(f"The cookie is called {config['SESSION_COOKIE_NAME']}", f"Browsers send it over {protocol}.")
    if is_random(config["SECRET_KEY"]):
        what = f"The secret key is random. Earlier keys: {len(config['SECRET_KEY_FALLBACKS']) or 'none'}"
        yield Finding(what, "Nobody can forge a session, a link or a code.")
    else:
        means = "Anyone who guesses it can sign in to any account."
        yield Finding("The secret key is short or easy to guess", means, f"FLASK_SECRET_KEY=$({KEY_GENERATOR})")
    if config["DEBUG"]:
        yield Finding("Debugging is on", "Error pages show visitors the code.", "unset FLASK_DEBUG")
    if not config["LIMITS_ENABLED"]:
        means = "Anyone can flood an inbox, and try codes without end."
        yield Finding("Limits are off", means, "unset FLASK_LIMITS_ENABLED")


def _visit(seconds_to_start: float) -> Iterator[Finding]:
    url = current_app.config["SITE_URL"]
    give_up_at = time.monotonic() + seconds_to_start
    while _is_stopped(answer := _open(f"{url}/healthz")) and time.monotonic() < give_up_at:
        time.sleep(0.2)
    if isinstance(answer, Exception):
        yield _failed_visit(url, answer)
    elif "Host" not in answer:
        what = f"{url} leads to another program, or to an earlier version of this site"
        change = "Restart the site. Check the proxy, and the DNS record of the name."
        yield Finding(what, "Visitors don't reach the site as it is set up here.", change)
    else:
        yield Finding(f"{url} answers", "Visitors can open the site.")
        yield from _arrival(answer)


def _open(url: str) -> Message | Exception:
    """Open `/healthz` as visitors would: through the proxy, and verifying the certificate.

    Return what the site says about this request, as headers (see `home.healthz`), or why it can't be opened.
    """
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310
            return message_from_bytes(answer.read(10_000).removeprefix(b"ok\n"))
    except HTTPError as error:
        error.close()
        return error
    except URLError as error:
        return error.reason if isinstance(error.reason, Exception) else error
    except (OSError, HTTPException) as error:
        return error


def _is_stopped(answer: object) -> bool:
    """Return True if nothing answers, or only a proxy."""
    return isinstance(answer, ConnectionRefusedError) or getattr(answer, "code", 0) in (BAD_GATEWAY, GATEWAY_TIMEOUT)


def _failed_visit(url: str, error: Exception) -> Finding:
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
    return Finding(f"{url} can't be opened: {_reason(error)}", "Visitors can't open the site either.", change)


def _reason(error: BaseException) -> str:
    """Return why a server can't be used."""
    if getattr(error, "smtp_code", 0) in BAD_LOGIN:
        return "it refuses the user name or the password"
    known = (reason for kind, reason in PROBLEMS.items() if isinstance(error, kind))
    return next(known, str(error) or type(error).__name__)


def _arrival(request: Message) -> Iterator[Finding]:
    """Examine how a visitor's request arrives: for which host, and with which headers of proxies."""
    host, proxies = current_app.config["HOST"], current_app.config["PROXIES"]
    if request["Host"] == host:
        yield Finding(f"Requests arrive for {host}", "That is the site's address, so passkeys and links work.")
    else:
        means = "Visitors see an error page, because passkeys and links belong to one address."
        change = "Make the proxy pass on the Host header."
        yield Finding(f"Requests arrive for {request['Host']}, not for {host}", means, change)
    headers = [name for name in FORWARDING_HEADERS if name in request]
    if headers and not proxies:
        what = f"A proxy is in front of the site ({', '.join(headers)}), but FLASK_PROXIES is 0"
        yield Finding(what, "All visitors seem to be one client, and share its limits.", "FLASK_PROXIES=1")
    elif proxies and "X-Forwarded-For" not in headers:
        what = f"FLASK_PROXIES is {proxies}, but no proxy sends X-Forwarded-For"
        yield Finding(what, "Anyone can send that header, and evade the limits.", "FLASK_PROXIES=0")
    else:
        what = f"Proxies in front of the site: {proxies or 'none'}"
        yield Finding(what, "The limits count each visitor by their own IP address.")


def _database() -> Iterator[Finding]:
    # Imported late, because only the doctor needs it.
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    database = f"The database ({DATABASES[db.engine.dialect.name]})"
    try:
        current = MigrationContext.configure(db.session.connection()).get_current_revision()
        if db.engine.dialect.name == "postgresql":
            yield from _postgresql(database)
    except DBAPIError as error:
        what = f"{database} doesn't answer: {_first_line(error)}"
        yield Finding(what, "Visitors see an error page.", "FLASK_SQLALCHEMY_DATABASE_URI=...")
        return
    newest = ScriptDirectory(f"{current_app.root_path}/migrations").get_current_head()
    if current != newest:
        what = f"{database} is at version {current}, but the site needs {newest}" if current else f"{database} is empty"
        yield Finding(what, "Visitors see an error page.", command_line("db upgrade"))
        return
    try:
        # A write that changes nothing.
        accounts.lock(0)
        rollback()
    except DBAPIError as error:
        what = f"{database} can't be written: {_first_line(error)}"
        yield Finding(what, "Nobody can sign in.", "Give the database and its folder to the user who runs the site.")
        return
    yield Finding(f"{database} is up to date ({newest}) and can be written", "Visitors can sign in.")
    if delayed := notices.count_delayed():
        what = f"Notices that have waited for more than {notices.DELAYED_AFTER.seconds // 60} minutes: {delayed}"
        change = "If the site is running, look for notice_not_sent in its log."
        yield Finding(what, "Owners don't learn what happened to their accounts.", change)


def _postgresql(database: str) -> Iterator[Finding]:
    seconds_apart = abs((db.session.scalars(select(func.clock_timestamp())).one() - now()).total_seconds())
    if seconds_apart > 5:
        what = f"This machine's clock is {seconds_apart:.0f} seconds away from the database's"
        yield Finding(what, "Links and passkeys are refused too early.", "timedatectl set-ntp true")
    encoding = db.session.scalar(text("SHOW server_encoding"))
    if encoding != "UTF8":
        change = "createdb --encoding=UTF8 --template=template0 ..."
        yield Finding(f"{database} stores text as {encoding}", "Names in other languages can't be stored.", change)


def _first_line(error: DBAPIError) -> str:
    return str(error.orig).partition("\n")[0]


def _mail() -> Finding:
    config = current_app.config
    if not config["MAIL_SERVER"]:
        return Finding("All mail stays on this machine", f"Read it at {config['SITE_URL']}/dev/mail/.")
    server = f"The mail server {config['MAIL_SERVER']}:{config['MAIL_PORT']}"
    try:
        mailer.check_connection()
    except mailer.Unsent as refusal:
        what = f"{server} can't be used: {_reason(refusal.__cause__ or refusal)}"
        change = "Check FLASK_MAIL_SERVER, FLASK_MAIL_PORT, FLASK_MAIL_USERNAME and FLASK_MAIL_PASSWORD."
        return Finding(what, "Visitors get no sign-in mail.", change)
    return Finding(f"{server} accepts connections from this site", "Visitors should get their sign-in mail.")
