"""All mail leaves here: over SMTP, or on localhost without a server into `instance/mail/`, one file per message."""

import os
import smtplib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.utils import make_msgid
from pathlib import Path
from typing import Any, NamedTuple

from flask import Flask, current_app, render_template
from flask_mail import Connection, Mail, Message

from app import log
from app.refusals import Refusal

# A visitor is waiting: from first contact to acceptance, and an answer within five seconds. (Looking up the server's
# name comes before that, and takes what the machine's resolver takes.)
SECONDS_TO_HAND_OVER = 4.0

# The port where TLS begins with the first byte (RFC 8314 3.3); elsewhere, STARTTLS asks for it.
IMPLICIT_TLS = 465


class Places(NamedTuple):
    """How many mails of a kind may be on their way at once, and how many seconds another one waits for a place."""

    taken: threading.Semaphore
    seconds: float


# Of a process's eight threads, no more than these talk to the mail server at once. An owner's notices have places of
# their own, and more patience: nobody else's mail is to keep them from being sent.
senders = Places(threading.BoundedSemaphore(4), 0.5)
tellers = Places(threading.BoundedSemaphore(2), 2.0)


class Unsent(Refusal):
    """The mail server did not take the message."""


class _HangsUp(smtplib.SMTP):
    """smtplib's time-out is per answer; this ends the whole conversation, so that a server that drips holds nobody."""

    has_message = False

    def connect(self, *args: Any, **kwargs: Any) -> tuple[int, bytes]:
        self.give_up_at = time.monotonic() + SECONDS_TO_HAND_OVER
        self.watchdog = threading.Timer(SECONDS_TO_HAND_OVER, self._hang_up)
        self.watchdog.daemon = True
        self.watchdog.start()
        try:
            return super().connect(*args, **kwargs)
        except OSError:
            self.watchdog.cancel()
            raise

    def getreply(self) -> tuple[int, bytes]:
        self._wait_no_longer()
        try:
            reply = super().getreply()
        except OSError:
            if not self.has_message or time.monotonic() < self.give_up_at - 0.1:
                raise
            # It has all of it, and only didn't say so in time: more likely than not it will be delivered.
            log.event("mail_unanswered")
            return 250, b""
        # From here on, the next answer is about the message.
        self.has_message = reply[0] == 354
        # For the TLS handshake that may follow: it has a socket of its own, which the watchdog doesn't see.
        self._wait_no_longer()
        return reply

    def _wait_no_longer(self) -> None:
        if self.sock:
            self.sock.settimeout(max(0.001, self.give_up_at - time.monotonic()))

    def close(self) -> None:
        self.watchdog.cancel()
        super().close()

    def _hang_up(self) -> None:
        with suppress(OSError):
            if self.sock:
                self.sock.shutdown(socket.SHUT_RDWR)


class _HangsUpTls(_HangsUp, smtplib.SMTP_SSL):
    pass


class _Connection(Connection):
    """Flask-Mail's connection, with certificates verified and an end to waiting."""

    def configure_host(self) -> smtplib.SMTP:
        config, context = current_app.config, ssl.create_default_context()
        server = config["MAIL_SERVER"], config["MAIL_PORT"]
        # Each address of a name is given the time-out to itself, and so is a handshake that comes before any word.
        # Naming ourselves saves a DNS look-up for a name that would say nothing.
        waits = len(socket.getaddrinfo(*server, type=socket.SOCK_STREAM)) + (config["MAIL_PORT"] == IMPLICIT_TLS)
        patience = {"timeout": SECONDS_TO_HAND_OVER / waits, "local_hostname": config["RP_ID"]}
        if config["MAIL_PORT"] == IMPLICIT_TLS:
            host: smtplib.SMTP = _HangsUpTls(*server, **patience, context=context)
        else:
            host = _HangsUp(*server, **patience)
        try:
            if config["MAIL_USE_TLS"] and config["MAIL_PORT"] != IMPLICIT_TLS:
                host.starttls(context=context)
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


def init_app(app: Flask) -> None:
    """Choose between the mail server and the outbox."""
    app.config["MAIL_SUPPRESS_SEND"] = False
    Mail(app)
    if not app.config["MAIL_SERVER"]:
        outbox(app).mkdir(parents=True, exist_ok=True)


def outbox(app: Flask) -> Path:
    """The folder of the messages written on localhost."""
    return Path(app.instance_path) / "mail"


def send(template: str, to: str, places: Places = senders, **values: Any) -> None:
    """Render `mail/<template>.txt` (its first line is the subject) and `.html`, and hand the message over.

    Raises Unsent `mail_server_unreachable`, `mail_server_busy` or `mail_refused` where the server did not take it, and
    `recipient_refused` or `message_refused` where it never will.
    """
    subject, _, text = render_template(f"mail/{template}.txt", **values).partition("\n")
    html = render_template(f"mail/{template}.html", subject=subject, **values)
    # Auto-Submitted (RFC 3834): nobody's out-of-office reply is wanted.
    message = Message(subject, [to], text.lstrip(), html, extra_headers={"Auto-Submitted": "auto-generated"})
    # Flask-Mail would put this machine's own name into it.
    message.msgId = make_msgid(domain=current_app.config["RP_ID"])
    if not current_app.config["MAIL_SERVER"]:
        places = Places(threading.Semaphore(), 0)  # nobody waits for a folder
    with _refusals(places):
        if current_app.config["MAIL_SERVER"]:
            with _Connection(current_app.extensions["mail"]) as connection:
                connection.send(message)
        else:
            _write(message, outbox(current_app))


def greet() -> None:
    """Call the mail server as `send` does, and hang up. Raises Unsent where it isn't there, or doesn't let us in."""
    with _refusals(senders), _Connection(current_app.extensions["mail"]):
        pass  # it has let us in


@contextmanager
def _refusals(places: Places) -> Iterator[None]:
    if not places.taken.acquire(timeout=places.seconds):
        raise Unsent("mail_server_busy")
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
    finally:
        places.taken.release()


def notify(to: str, kind: str, **values: Any) -> bool:
    """Tell an owner what happened to their account. A notice that can't be sent is logged, and stops nothing; return
    whether it was."""
    try:
        send("notice", to, tellers, kind=kind, **values)
    except Unsent as refusal:
        log.event("notice_not_sent", kind=kind, reason=refusal.reason, detail=refusal.detail)
        return False
    return True


def _write(message: Message, folder: Path) -> None:
    """Write the message aside and rename it, so that whoever finds it finds it whole."""
    name = f"{time.time_ns()}-{os.urandom(4).hex()}"
    aside = folder / f".{name}.part"
    aside.write_bytes(message.as_bytes())
    aside.rename(folder / f"{name}.eml")
