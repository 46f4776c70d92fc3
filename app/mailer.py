"""The mailer sends all mail over SMTP, or on localhost without a server into files of `instance/mail/`."""

import os
import smtplib
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import make_msgid
from functools import cache
from pathlib import Path
from typing import Any

from flask import Flask, current_app, render_template
from flask_mail import Connection, Mail, Message

from app import log
from app.refusals import Refusal

# The longest wait for each answer of the mail server. A visitor may be waiting too.
SECONDS_PER_ANSWER = 4.0

# The port where TLS begins with the first byte (RFC 8314 3.3); elsewhere, STARTTLS asks for it.
IMPLICIT_TLS = 465

# At most this many threads of a process talk to the mail server. If it is slow, the others serve pages.
MOST_CONNECTIONS = 4
_connections = threading.BoundedSemaphore(MOST_CONNECTIONS)

# A visitor waits this long for other threads to finish.
SECONDS_FOR_A_SLOT = 0.5


class Unsent(Refusal):
    """The mail was not sent."""

    @property
    def is_permanent(self) -> bool:
        """True if the server refused the recipient or the message, and not all mail."""
        return self.reason in ("recipient_refused", "message_refused")


class _Server(smtplib.SMTP):
    """An SMTP client. If no answer follows the whole message, it counts as accepted, because it most likely is."""

    has_message = False

    def getreply(self) -> tuple[int, bytes]:
        try:
            reply = super().getreply()
        except smtplib.SMTPServerDisconnected as error:
            if self.has_message and isinstance(error.__context__, TimeoutError):
                log.event("mail_unanswered")
                return 250, b""
            raise
        # After "354", the next answer is about the message.
        self.has_message = reply[0] == 354
        return reply


class _TlsServer(_Server, smtplib.SMTP_SSL):
    pass


class _Connection(Connection):
    """Flask-Mail's connection, but it verifies certificates and has a time limit."""

    def configure_host(self) -> smtplib.SMTP:
        config = current_app.config
        server = config["MAIL_SERVER"], config["MAIL_PORT"]
        # Without this name, smtplib would look up this machine's own in the DNS.
        options = {"timeout": SECONDS_PER_ANSWER, "local_hostname": config["RP_ID"]}
        if config["MAIL_PORT"] == IMPLICIT_TLS:
            host: smtplib.SMTP = _TlsServer(*server, **options, context=tls_context())
        else:
            host = _Server(*server, **options)
        try:
            if config["MAIL_USE_TLS"] and config["MAIL_PORT"] != IMPLICIT_TLS:
                host.starttls(context=tls_context())
            if config["MAIL_USERNAME"]:
                host.login(config["MAIL_USERNAME"], config["MAIL_PASSWORD"])
        except BaseException:
            host.close()
            raise
        return host

    def __exit__(self, *_: object) -> None:
        # The message was accepted or refused by now, so don't wait for the server's goodbye.
        if self.host:
            self.host.close()


@cache
def tls_context() -> ssl.SSLContext:
    """Return this process's TLS settings, which verify certificates. Making them takes 25 ms of CPU."""
    return ssl.create_default_context()


def init_app(app: Flask) -> None:
    """Bind Flask-Mail to the site. Without a mail server, make the outbox."""
    # Otherwise Flask-Mail sends nothing if TESTING is on.
    app.config["MAIL_SUPPRESS_SEND"] = False
    Mail(app)
    if not app.config["MAIL_SERVER"]:
        outbox(app).mkdir(parents=True, exist_ok=True)


def outbox(app: Flask) -> Path:
    """Return the folder of the mails that stay on this machine."""
    return Path(app.instance_path) / "mail"


def send(template: str, to: str, **values: Any) -> None:
    """Send a mail that a visitor waits for. The arguments are those of `compose`.

    Raises Unsent as `deliver` and `connection_slot` do.
    """
    message = compose(template, to, **values)
    with connection_slot(SECONDS_FOR_A_SLOT):
        deliver(message)


def new_message_id() -> str:
    """Return a new Message-ID in this site's name. Flask-Mail would use this machine's name."""
    return make_msgid(domain=current_app.config["RP_ID"])


def compose(template: str, to: str, message_id: str = "", **values: Any) -> Message:
    """Return a message made of `mail/<template>.txt`, whose first line is the subject, and `mail/<template>.html`."""
    subject, _, text = render_template(f"mail/{template}.txt", **values).partition("\n")
    html = render_template(f"mail/{template}.html", subject=subject, **values)
    # RFC 3834: with Auto-Submitted, nobody's out-of-office reply answers.
    message = Message(subject, [to], text.lstrip(), html, extra_headers={"Auto-Submitted": "auto-generated"})
    message.msgId = message_id or new_message_id()
    return message


@contextmanager
def connection_slot(seconds: float | None = None) -> Iterator[None]:
    """Let at most MOST_CONNECTIONS threads into the block, which talks to the mail server. Wait up to `seconds`, or
    without a limit if that is None.

    Raises Unsent `mail_server_busy`.
    """
    if not _connections.acquire(timeout=seconds):
        raise Unsent("mail_server_busy")
    try:
        yield
    finally:
        _connections.release()


def deliver(message: Message) -> None:
    """Give the message to the mail server, or put it into the outbox. Call this within `connection_slot`.

    Raises Unsent `mail_server_unreachable` or `mail_refused` if a later try may succeed, otherwise `recipient_refused`
    or `message_refused`.
    """
    with _translated_errors():
        if current_app.config["MAIL_SERVER"]:
            with _Connection(current_app.extensions["mail"]) as connection:
                connection.send(message)
        else:
            _write(message, outbox(current_app))


def check_connection() -> None:
    """Connect to the mail server, log in, and disconnect. Raises Unsent as `deliver` does."""
    with connection_slot(SECONDS_FOR_A_SLOT), _translated_errors(), _Connection(current_app.extensions["mail"]):
        pass  # logged in


@contextmanager
def _translated_errors() -> Iterator[None]:
    """Raise Unsent for the errors of smtplib and the network."""
    try:
        yield
    except (OSError, ValueError) as error:  # SMTPException is an OSError
        # Log its name and code only, because the server's message may contain the address.
        refused = error.recipients.values() if isinstance(error, smtplib.SMTPRecipientsRefused) else ()
        code = max([getattr(error, "smtp_code", 0), *(code for code, _ in refused)])
        reason = "mail_refused" if code >= 400 else "mail_server_unreachable"
        if refused and code >= 500:
            reason = "recipient_refused"
        elif code >= 500 and isinstance(error, smtplib.SMTPDataError):
            reason = "message_refused"
        raise Unsent(reason, f"{type(error).__name__} {code or ''}".rstrip()) from error


def _write(message: Message, folder: Path) -> None:
    """Write the message under another name and rename it. So nobody reads half a message."""
    name = f"{time.time_ns()}-{os.urandom(4).hex()}"
    aside = folder / f".{name}.part"
    aside.write_bytes(message.as_bytes())
    aside.rename(folder / f"{name}.eml")
