"""A real mail server on a port of localhost, in a thread of this process: for tests, and for the benchmark."""

import asyncio
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from threading import Condition

import trustme
from aiosmtpd.controller import Controller

SECONDS_TO_ARRIVE = 60


class Mailbox:
    """All mail that a server has accepted, and how it was sent."""

    def __init__(self):
        self.envelopes = []
        self.encrypted = []
        self.logins = []
        self.names = []
        self._arrived = Condition()

    async def handle_DATA(self, server, session, envelope) -> str:  # noqa: N802
        with self._arrived:
            self.envelopes.append(envelope)
            self.encrypted.append(session.ssl is not None)
            self.logins.append(session.auth_data)
            self.names.append(session.host_name)
            self._arrived.notify_all()
        return "250 taken"

    @property
    def messages(self) -> list[EmailMessage]:
        """Return the messages, the oldest first."""
        return [_parse(envelope) for envelope in list(self.envelopes)]

    def wait_for(self, count: int) -> list[EmailMessage]:
        """Wait until there are at least so many messages, and return them."""
        with self._arrived:
            enough = self._arrived.wait_for(lambda: len(self.envelopes) >= count, SECONDS_TO_ARRIVE)
        assert enough, f"{len(self.envelopes)} mails arrived, not {count}"
        return self.messages

    def take(self, to: str) -> list[EmailMessage]:
        """Return the messages to this address, and remove them."""
        with self._arrived:
            taken = [envelope for envelope in self.envelopes if envelope.rcpt_tos == [to]]
            self.envelopes = [envelope for envelope in self.envelopes if envelope.rcpt_tos != [to]]
        return [_parse(envelope) for envelope in taken]


def _parse(envelope) -> EmailMessage:
    return message_from_bytes(envelope.content, policy=policy.default)


@contextmanager
def smtp_server(
    mailbox: Mailbox,
    certificate: trustme.LeafCert | None = None,
    starts_in_the_clear: bool = True,
    port: int | None = None,
    **options,
) -> Iterator[int]:
    """Run a mail server, with TLS if it has a certificate. Yields its port."""
    if certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        certificate.configure_cert(context)
        options |= (
            {"tls_context": context, "require_starttls": True} if starts_in_the_clear else {"ssl_context": context}
        )
    server = Controller(mailbox, hostname="127.0.0.1", port=port or free_port(), **options)
    server.start()
    try:
        yield server.port
    finally:
        asyncio.run_coroutine_threadsafe(_until_all_have_left(), server.loop).result()
        server.stop()


async def _until_all_have_left() -> None:
    """Wait for the server's conversations to end. Otherwise it would abandon them, and Python warns about that."""
    if conversations := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait(conversations, timeout=5)


def free_port() -> int:
    """Return a free port. aiosmtpd can't choose one by itself."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]
