"""Mail over real SMTP with real TLS: servers that accept it, and every way in which a server can fail.

The connections are real. aiosmtpd is the server that works, and a few lines on a socket are the others.
"""

import shutil
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from email import message_from_bytes, policy
from threading import Event, Thread
from typing import BinaryIO

import pytest
import trustme
from aiosmtpd.smtp import AuthResult, LoginPassword

from app import mailer
from tests.conftest import ADA, PUBLIC, Visitor, expect
from tests.smtp import Mailbox, free_port, smtp_server


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Return a certificate authority."""
    return trustme.CA()


@pytest.fixture(autouse=True)
def _new_tls_context() -> Iterator[None]:
    """Forget the TLS settings: each test trusts another authority."""
    mailer.tls_context.cache_clear()
    yield
    mailer.tls_context.cache_clear()


@pytest.fixture
def trusted(authority, tmp_path, monkeypatch) -> None:
    """Have this machine trust the authority."""
    file = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(file)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))


@pytest.fixture
def impatient(monkeypatch) -> None:
    """Wait half a second for each answer, so that tests of servers that hang are quick."""
    monkeypatch.setattr(mailer, "SECONDS_PER_ANSWER", 0.5)


@pytest.fixture
def visitor_of(make_app) -> Callable[..., Visitor]:
    """Return a visitor of a site whose mail server is on a port of localhost."""

    def visit(port: int, **environ: str) -> Visitor:
        return Visitor(make_app(FLASK_MAIL_SERVER="localhost", FLASK_MAIL_PORT=str(port), **environ))

    return visit


class Choosy(Mailbox):
    """A mailbox that refuses every recipient."""

    def __init__(self, answer: str = "550 nobody of this name"):
        super().__init__()
        self.answer = answer

    async def handle_RCPT(self, server, session, envelope, address, options) -> str:  # noqa: N802
        return self.answer


@contextmanager
def strange_server(talk: Callable[[BinaryIO], object]) -> Iterator[int]:
    """Run a server that calls `talk` with every connection. Yields its port."""

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, connection.makefile("rwb", buffering=0) as line, suppress(OSError):
                    talk(line)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            # Closing the socket alone doesn't wake a thread in `accept`.
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def until_they_hang_up(line: BinaryIO) -> None:
    """Read until the client closes the connection, and answer nothing."""
    while line.read(1000):
        pass


def assert_unsent(visitor: Visitor, reason: str, reasons: list[str]) -> None:
    """Assert that the page and the log say that no mail was sent, and that nothing was counted or stored."""
    for _ in range(2):
        reasons.clear()
        response = expect(visitor.ask(ADA), 503)
        assert "We couldn’t send the mail" in visitor.alert(response)
        assert reasons == [reason]
    assert visitor.get("/sign-in/check-email").location == "/sign-in"


# Servers that work.


def test_mail_is_handed_over_encrypted_before_the_answer(authority, trusted, visitor_of):
    mailbox = Mailbox()
    with smtp_server(mailbox, authority.issue_cert("localhost")) as port:
        visitor = visitor_of(port)
        assert expect(visitor.ask(ADA), 303).location == "/sign-in/check-email"
        [envelope] = mailbox.envelopes
    assert mailbox.encrypted == [True]
    assert envelope.rcpt_tos == [ADA]
    message = message_from_bytes(envelope.content, policy=policy.default)
    assert not message.defects
    assert message["From"] == "latchkey@localhost"
    assert message["Auto-Submitted"] == "auto-generated"
    assert not list(mailer.outbox(visitor.app).glob("*"))


def test_mail_names_the_domain_of_the_site(authority, trusted, visitor_of):
    mailbox = Mailbox()
    with smtp_server(mailbox, authority.issue_cert("localhost")) as port:
        public = {name: value for name, value in PUBLIC.items() if name != "FLASK_MAIL_SERVER"}
        expect(visitor_of(port, **public).ask(ADA), 303)
    [envelope] = mailbox.envelopes
    assert mailbox.names == ["example.org"]
    assert message_from_bytes(envelope.content)["Message-ID"].endswith("@example.org>")


def test_mail_is_handed_over_with_implicit_tls(authority, trusted, visitor_of, monkeypatch):
    mailbox = Mailbox()
    with smtp_server(mailbox, authority.issue_cert("localhost"), starts_in_the_clear=False) as port:
        # Only root may listen at 465.
        monkeypatch.setattr(mailer, "IMPLICIT_TLS", port)
        expect(visitor_of(port).ask(ADA), 303)
    assert [envelope.rcpt_tos for envelope in mailbox.envelopes] == [[ADA]]


def test_untrusted_certificate_is_refused_with_implicit_tls(authority, visitor_of, monkeypatch, reasons):
    with smtp_server(Mailbox(), authority.issue_cert("localhost"), starts_in_the_clear=False) as port:
        monkeypatch.setattr(mailer, "IMPLICIT_TLS", port)
        assert_unsent(visitor_of(port), "mail_server_unreachable", reasons)


def test_mail_is_handed_over_with_a_login(authority, trusted, visitor_of):
    def check(server, session, envelope, mechanism, login: LoginPassword) -> AuthResult:
        return AuthResult(success=login == LoginPassword(b"latchkey", b"secret"), auth_data=login.login)

    mailbox = Mailbox()
    with smtp_server(mailbox, authority.issue_cert("localhost"), authenticator=check, auth_required=True) as port:
        expect(visitor_of(port, FLASK_MAIL_USERNAME="latchkey", FLASK_MAIL_PASSWORD="secret").ask(ADA), 303)
    assert mailbox.logins == [b"latchkey"]


def test_mail_is_handed_over_unencrypted_if_localhost_is_set_so(visitor_of):
    mailbox = Mailbox()
    with smtp_server(mailbox) as port:
        expect(visitor_of(port, FLASK_MAIL_USE_TLS="false").ask(ADA), 303)
    assert mailbox.encrypted == [False]
    # Making TLS settings would cost 25 ms of CPU.
    assert mailer.tls_context.cache_info().currsize == 0


def test_tls_settings_are_made_once(authority, trusted, visitor_of):
    mailbox = Mailbox()
    with smtp_server(mailbox, authority.issue_cert("localhost")) as port:
        visitor = visitor_of(port)
        for number in range(2):
            expect(visitor.ask(f"user{number}@example.org"), 303)
    assert mailbox.encrypted == [True, True]
    assert mailer.tls_context.cache_info().misses == 1


def test_server_that_hangs_after_it_took_the_message_has_the_message(visitor_of, impatient):
    def talk(line: BinaryIO) -> None:
        # EHLO, MAIL FROM, RCPT TO, DATA.
        for answer in (b"220 hello", b"250 hello", b"250 go on", b"250 go on", b"354 go on"):
            line.write(answer + b"\r\n")
            command = line.readline()
        while command != b".\r\n":
            command = line.readline()
        line.write(b"250 taken\r\n")
        until_they_hang_up(line)

    with strange_server(talk) as port:
        expect(visitor_of(port, FLASK_MAIL_USE_TLS="false").ask(ADA), 303)


def test_message_is_complete_in_the_outbox_without_a_server(visitor, app):
    expect(visitor.ask(ADA), 303)
    [file] = mailer.outbox(app).iterdir()
    assert file.suffix == ".eml"
    message = message_from_bytes(file.read_bytes(), policy=policy.default)
    assert not message.defects
    assert message["Subject"] == "Sign in to Latchkey"


# Servers that can't be trusted.


def test_untrusted_certificate_is_refused(authority, visitor_of, reasons):
    mailbox = Mailbox()
    with smtp_server(mailbox, authority.issue_cert("localhost")) as port:
        assert_unsent(visitor_of(port), "mail_server_unreachable", reasons)
    assert not mailbox.envelopes


def test_certificate_for_another_host_is_refused(authority, trusted, visitor_of, reasons):
    mailbox = Mailbox()
    with smtp_server(mailbox, authority.issue_cert("mail.example.org")) as port:
        assert_unsent(visitor_of(port), "mail_server_unreachable", reasons)
    assert not mailbox.envelopes


def test_server_without_tls_gets_no_mail(visitor_of, reasons):
    mailbox = Mailbox()
    with smtp_server(mailbox) as port:
        assert_unsent(visitor_of(port), "mail_server_unreachable", reasons)
    assert not mailbox.envelopes


# Servers that say no.


def test_refused_recipient_gets_a_503(visitor_of, reasons):
    with smtp_server(Choosy()) as port:
        assert_unsent(visitor_of(port, FLASK_MAIL_USE_TLS="false"), "recipient_refused", reasons)


def test_recipient_that_may_not_be_relayed_to_is_refused_for_good(visitor_of, reasons):
    with smtp_server(Choosy("554 5.7.1 relay access denied")) as port:
        assert_unsent(visitor_of(port, FLASK_MAIL_USE_TLS="false"), "recipient_refused", reasons)


def test_recipient_to_be_tried_later_is_not_a_wrong_address(visitor_of, reasons):
    with smtp_server(Choosy("451 greylisted, come back later")) as port:
        assert_unsent(visitor_of(port, FLASK_MAIL_USE_TLS="false"), "mail_refused", reasons)


def test_mails_to_refused_recipients_count(visitor_of, reasons):
    with smtp_server(Choosy()) as port:
        visitor = visitor_of(port, FLASK_MAIL_USE_TLS="false", FLASK_LIMIT_MAILS_OF_CLIENT="3 per 60 minutes")
        for number in range(3):
            response = expect(visitor.ask(f"user{number}@example.org"), 503)
            assert "refuses this address" in visitor.alert(response)
        expect(visitor.ask("user@example.org"), 429)
    assert reasons == ["recipient_refused"] * 3 + ["too_many_mails_of_client"]


def take_all_but_the_last_word(line: BinaryIO) -> None:
    """Take a whole message, but don't answer it."""
    for answer in (b"220 hello", b"250 hello", b"250 yes", b"250 yes"):
        line.write(answer + b"\r\n")
        line.readline()
    line.write(b"354 go on\r\n")
    while line.readline() != b".\r\n":
        pass


def test_server_that_takes_a_mail_and_hangs_up_has_not_taken_it(visitor_of, reasons):
    with strange_server(take_all_but_the_last_word) as port:
        assert_unsent(visitor_of(port, FLASK_MAIL_USE_TLS="false"), "mail_server_unreachable", reasons)


@pytest.mark.slow
def test_server_that_takes_a_mail_and_says_nothing_may_deliver_it(visitor_of, monkeypatch, events):
    """The whole message was sent. So it counts, and the visitor waits for it."""
    monkeypatch.setattr(mailer, "SECONDS_PER_ANSWER", 2)

    def talk(line: BinaryIO) -> None:
        take_all_but_the_last_word(line)
        until_they_hang_up(line)

    with strange_server(talk) as port:
        visitor = visitor_of(port, FLASK_MAIL_USE_TLS="false", FLASK_LIMIT_MAILS="1 per 15 minutes")
        expect(visitor.ask(ADA), 303)
        expect(visitor.get("/sign-in/check-email"), 200)
        expect(Visitor(visitor.app).ask(ADA), 429)
    assert "mail_unanswered" in [event.name for event in events]


def test_mail_server_that_is_slow_leaves_threads_for_everything_else(visitor_of, reasons):
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(4) as threads:
        visitor = visitor_of(listener.getsockname()[1])
        waiting = [threads.submit(Visitor(visitor.app).ask, f"user{number}@example.org") for number in range(4)]
        lines = [listener.accept()[0] for _ in waiting]
        response = expect(visitor.ask(ADA), 503)
        assert "We couldn’t send the mail" in visitor.alert(response)
        assert reasons == ["mail_server_busy"]
        for line in lines:
            line.close()
        for each in waiting:
            expect(each.result(), 503)


def test_busy_server_gets_a_503(visitor_of, reasons):
    with strange_server(lambda line: line.write(b"421 come back later\r\n")) as port:
        assert_unsent(visitor_of(port), "mail_refused", reasons)


def test_wrong_password_gets_a_503(authority, trusted, visitor_of, reasons):
    def refuse(*_) -> AuthResult:
        return AuthResult(success=False, handled=False)

    with smtp_server(Mailbox(), authority.issue_cert("localhost"), authenticator=refuse) as port:
        visitor = visitor_of(port, FLASK_MAIL_USERNAME="latchkey", FLASK_MAIL_PASSWORD="wrong")
        assert_unsent(visitor, "mail_refused", reasons)


def test_password_that_smtp_cannot_carry_gets_a_503(authority, trusted, visitor_of, reasons):
    with smtp_server(Mailbox(), authority.issue_cert("localhost"), authenticator=lambda *_: AuthResult()) as port:
        visitor = visitor_of(port, FLASK_MAIL_USERNAME="latchkey", FLASK_MAIL_PASSWORD="pässword")
        assert_unsent(visitor, "mail_server_unreachable", reasons)


# Servers that can't be reached, or don't answer.


def test_missing_outbox_gets_a_503(visitor, app, reasons):
    shutil.rmtree(mailer.outbox(app))
    assert_unsent(visitor, "mail_server_unreachable", reasons)


def test_missing_server_gets_a_503(visitor_of, reasons):
    assert_unsent(visitor_of(free_port()), "mail_server_unreachable", reasons)


def test_server_that_hangs_up_gets_a_503(visitor_of, reasons):
    with strange_server(lambda line: None) as port:
        assert_unsent(visitor_of(port), "mail_server_unreachable", reasons)


@pytest.mark.parametrize(
    ("greeting", "reason"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "mail_server_unreachable"),
        (b"\xff\xfe\x00\r\n", "mail_server_unreachable"),
        (b"\n", "mail_server_unreachable"),
        # Python's SMTP client treats a line that is too long like the answer 500.
        (100_000 * b"2", "mail_refused"),
    ],
)
def test_server_that_speaks_another_protocol_gets_a_503(visitor_of, greeting, reason, reasons):
    with strange_server(lambda line: line.write(greeting)) as port:
        visitor = visitor_of(port)
        assert visitor.alert(expect(visitor.ask(ADA), 503))
    assert reasons == [reason]


def hang_in_handshake(line: BinaryIO) -> None:
    """Agree to TLS slowly, and then answer nothing."""
    for answer in (b"220 hello", b"250-hello\r\n250 STARTTLS", b"220 go ahead"):
        Event().wait(0.15)
        line.write(answer + b"\r\n")
        line.readline()
    until_they_hang_up(line)


@pytest.mark.slow
@pytest.mark.parametrize("talk", [until_they_hang_up, hang_in_handshake])
def test_server_that_never_answers_is_given_up(visitor_of, impatient, talk, reasons):
    with strange_server(talk) as port:
        visitor = visitor_of(port)
        started = time.monotonic()
        expect(visitor.ask(ADA), 503)
        assert time.monotonic() - started < 0.5 + 2
        assert_unsent(visitor, "mail_server_unreachable", reasons)


@pytest.mark.slow
def test_machine_that_does_not_answer_is_given_up(visitor_of, impatient, reasons):
    """A listener with a full queue accepts no connection, neither at 127.0.0.1 nor at ::1."""
    with ExitStack() as open_sockets:
        port = free_port()
        for family, _, _, _, address in socket.getaddrinfo("localhost", port, type=socket.SOCK_STREAM):
            listener = open_sockets.enter_context(closing(socket.socket(family)))
            try:
                listener.bind(address)
            except OSError:
                continue  # This machine doesn't have that address.
            listener.listen(0)
            for _ in range(4):
                waiting = open_sockets.enter_context(closing(socket.socket(family)))
                waiting.setblocking(False)
                waiting.connect_ex(address)
        started = time.monotonic()
        assert_unsent(visitor_of(port), "mail_server_unreachable", reasons)
        assert time.monotonic() - started < 2 * (0.5 + 2)


@pytest.mark.slow
def test_visitor_waits_for_a_mail_server_for_five_seconds_at_most(visitor_of, reasons):
    with strange_server(until_they_hang_up) as port:
        visitor = visitor_of(port)
        started = time.monotonic()
        expect(visitor.ask(ADA), 503)
        assert time.monotonic() - started < 5
