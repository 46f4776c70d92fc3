"""Reading the outbox of a site on localhost."""

import re
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import NamedTuple

from flask import Flask

from app import mailer
from app import notices as notices_of_site
from app.codes import ALPHABET

CODE = re.compile(rf"\b[{ALPHABET}]{{4}}-[{ALPHABET}]{{4}}\b")


class Mail(NamedTuple):
    """A sign-in mail: the path of its link, its code, and all of it."""

    link: str
    code: str
    message: EmailMessage


def deliver_notices(app: Flask) -> None:
    """Send the notices that are due. A server has a thread for this, but an app in a test has none."""
    with app.app_context():
        notices_of_site.send_due()


def outbox(app: Flask) -> list[EmailMessage]:
    """Send the notices that are due, and return the messages of the outbox, the newest first."""
    deliver_notices(app)
    files = sorted(mailer.outbox(app).glob("*.eml"), reverse=True)
    return [message_from_bytes(file.read_bytes(), policy=policy.default) for file in files]


def clear(app: Flask) -> None:
    """Send the notices that are due, and empty the outbox."""
    deliver_notices(app)
    for file in mailer.outbox(app).glob("*.eml"):
        file.unlink()


def text_of(message: EmailMessage) -> str:
    """Return the plain text of the message."""
    return message.get_body(("plain",)).get_content()  # type: ignore[union-attr]


def sign_in_mail(app: Flask) -> Mail:
    """Return the newest sign-in mail."""
    for message in outbox(app):
        link = re.search(re.escape(app.config["SITE_URL"]) + r"(/sign-in/link/\S+)", text_of(message))
        if link:
            [code] = CODE.findall(text_of(message).replace(link[1], ""))
            return Mail(link[1], code, message)
    raise AssertionError("there is no sign-in mail")


def newest_with_code(app: Flask) -> EmailMessage:
    """Return the newest message that has a code."""
    return next(message for message in outbox(app) if CODE.search(text_of(message)))


def code_for(app: Flask, to: str) -> str:
    """Return the code of the newest message that has one. Asserts that it was sent to this address."""
    newest = newest_with_code(app)
    assert newest["To"] == to
    [code] = CODE.findall(text_of(newest))
    return code


def notices(app: Flask) -> list[tuple[str, str]]:
    """Return recipient and subject of each mail without a code, the newest first."""
    return [(mail["To"], mail["Subject"]) for mail in outbox(app) if not CODE.search(text_of(mail))]
