"""All mail leaves here: over SMTP, or on localhost without a server into `instance/mail/`, one file per message."""

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

# For each answer of the mail server: a visitor may be waiting.
SECONDS_PER_ANSWER = 4.0

# The port where TLS begins with the first byte (RFC 8314 3.3); elsewhere, STARTTLS asks for it.
IMPLICIT_TLS = 465

# At most four threads of a process talk to the mail server, so that a slow one leaves four of eight for other requests.
_places = threading.BoundedSemaphore(4)

# A visitor waits for a place no longer than this.
SECONDS_FOR_A_PLACE = 0.5

# The server refused this recipient or this message, and not mail as such.
FOR_GOOD = ("recipient_refused", "message_refused")


class Unsent(Refusal):
    """The mail server did not take the message."""

    @property
    def is_for_good(self) -> bool:
        """Whether the refusal is about the recipient or the message: then a visitor's mail stays counted."""
        return self.reason in FOR_GOOD


class _Server(smtplib.SMTP):
    """A mail server that doesn't answer after the whole message counts as having taken it: most likely it has."""

    has_message = False

    def getreply(self) -> tuple[int, bytes]:
        try:
            reply = super().getreply()
        except smtplib.SMTPServerDisconnected as error:
            if self.has_message and isinstance(error.__context__, TimeoutError):
                log.event("mail_unanswered")
                return 250, b""
            raise
        # After "354 go ahead", the next answer is about the message.
        self.has_message = reply[0] == 354
        return reply


class _TlsServer(_Server, smtplib.SMTP_SSL):
    pass


class _Connection(Connection):
    """Flask-Mail's connection, with certificates verified and an end to waiting."""

    def configure_host(self) -> smtplib.SMTP:
        config = current_app.config
        server = config["MAIL_SERVER"], config["MAIL_PORT"]
        # Naming ourselves saves a DNS look-up for a name that would say nothing.
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
        # By now the message was taken or not: how the server says goodbye changes nothing.
        if self.host:
            self.host.close()


@cache
def tls_context() -> ssl.SSLContext:
    """Return this process's TLS settings, which verify certificates. Making them takes 25 ms of CPU."""
    return ssl.create_default_context()


def init_app(app: Flask) -> None:
    """Choose between the mail server and the outbox."""
    app.config["MAIL_SUPPRESS_SEND"] = False
    Mail(app)
    if not app.config["MAIL_SERVER"]:
        outbox(app).mkdir(parents=True, exist_ok=True)


def outbox(app: Flask) -> Path:
    """The folder of the messages written on localhost."""
    return Path(app.instance_path) / "mail"


def send(template: str, to: str, **values: Any) -> None:
    """Send a mail while a visitor waits for it. Arguments as for `compose`.

    Raises Unsent as `hand_over` does, and `mail_server_busy` where four others are talking to the server.
    """
    message = compose(template, to, **values)
    with place(SECONDS_FOR_A_PLACE):
        hand_over(message)


def new_message_id() -> str:
    """Return a Message-ID of this site's. Flask-Mail would put this machine's own name into it."""
    return make_msgid(domain=current_app.config["RP_ID"])


def compose(template: str, to: str, message_id: str = "", **values: Any) -> Message:
    """Return the message of `mail/<template>.txt` (its first line is the subject) and `.html`, with these values."""
    subject, _, text = render_template(f"mail/{template}.txt", **values).partition("\n")
    html = render_template(f"mail/{template}.html", subject=subject, **values)
    # Auto-Submitted (RFC 3834): nobody's out-of-office reply is wanted.
    message = Message(subject, [to], text.lstrip(), html, extra_headers={"Auto-Submitted": "auto-generated"})
    message.msgId = message_id or new_message_id()
    return message


@contextmanager
def place(seconds: float | None = None) -> Iterator[None]:
    """Be one of the four threads that may talk to the mail server. Waits for so many seconds, or as long as it takes.

    Raises Unsent `mail_server_busy`.
    """
    if not _places.acquire(timeout=seconds):
        raise Unsent("mail_server_busy")
    try:
        yield
    finally:
        _places.release()


def hand_over(message: Message) -> None:
    """Give the message to the mail server, or put it into the outbox. To be called in a `place`.

    Raises Unsent `mail_server_unreachable` or `mail_refused` where the server did not take it, and `recipient_refused`
    or `message_refused` where it never will.
    """
    with _refusals():
        if current_app.config["MAIL_SERVER"]:
            with _Connection(current_app.extensions["mail"]) as connection:
                connection.send(message)
        else:
            _write(message, outbox(current_app))


def greet() -> None:
    """Call the mail server as `send` does, and hang up. Raises Unsent where it isn't there, or doesn't let us in."""
    with place(SECONDS_FOR_A_PLACE), _refusals(), _Connection(current_app.extensions["mail"]):
        pass  # it has let us in


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:  # SMTPException is an OSError
        # Its name and code only: the server's words may hold the address.
        refused = error.recipients.values() if isinstance(error, smtplib.SMTPRecipientsRefused) else ()
        code = max([getattr(error, "smtp_code", 0), *(code for code, _ in refused)])
        reason = "mail_refused" if code >= 400 else "mail_server_unreachable"
        if refused and code >= 500:
            reason = "recipient_refused"
        elif code >= 500 and isinstance(error, smtplib.SMTPDataError):
            reason = "message_refused"
        raise Unsent(reason, f"{type(error).__name__} {code or ''}".rstrip()) from error


def _write(message: Message, folder: Path) -> None:
    """Write the message aside and rename it, so that whoever finds it finds it whole."""
    name = f"{time.time_ns()}-{os.urandom(4).hex()}"
    aside = folder / f".{name}.part"
    aside.write_bytes(message.as_bytes())
    aside.rename(folder / f"{name}.eml")
