"""Starts the two programs that the benchmark compares, and reads their CPU time and memory."""

import os
import secrets
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import psutil  # type: ignore[import-untyped]
import trustme
from aiosmtpd.smtp import AuthResult

from app.config import SETTINGS
from learn.tutorial.blocks import build, last_chapter
from tests.smtp import Mailbox, smtp_server

CHECKOUT = Path(__file__).parent.parent
SECONDS_TO_START = 60


class Memory(NamedTuple):
    """Resident memory in MiB: master and worker together (shared pages count once), and the worker alone."""

    all: float
    worker: float


class Server:
    """A program under gunicorn. It runs in its own folder, so that it leaves no files in the checkout."""

    def __init__(
        self,
        folder: Path,
        port: int,
        arguments: tuple[str, ...],
        environ: dict[str, str],
        mailbox: Mailbox | None = None,
        smtp_options: dict[str, Any] | None = None,
        sessions: str = "sessions",
    ):
        """Serve the program in this folder. `arguments` are gunicorn's. `environ` are more settings. With a mailbox,
        the program mails to an SMTP server in this process, with these options; else it writes mail to files.
        `sessions` is the name of its table of sessions."""
        self.port = port
        self.url = environ.get("FLASK_SITE_URL", f"http://localhost:{port}")
        self.log = folder / "log"
        self.mailbox = mailbox
        self.smtp_options = smtp_options or {}
        self.sessions = sessions
        self._folder = folder
        self._command = [sys.executable, "-m", "gunicorn", *arguments]
        self._environ = {name: value for name, value in os.environ.items() if not name.startswith("FLASK_")} | {
            "FLASK_SITE_URL": self.url,
            # All of them count, and none is reached.
            **{f"FLASK_{name}": "999999999 per 60 minutes" for name in SETTINGS if name.startswith("LIMIT_")},
            "FLASK_SQLALCHEMY_DATABASE_URI": f"sqlite:///{folder / 'site.db'}",
            "FLASK_MAIL_USE_TLS": "false",
            **environ,
        }

    @contextmanager
    def running(self) -> Iterator[float]:
        """Serve until the block ends. Yields the seconds from the start to the first page."""
        with ExitStack() as stack:
            environ = dict(self._environ)
            if self.mailbox:
                port = stack.enter_context(smtp_server(self.mailbox, **self.smtp_options))
                environ |= {"FLASK_MAIL_SERVER": "127.0.0.1", "FLASK_MAIL_PORT": str(port)}
            log = stack.enter_context(self.log.open("ab"))
            begin = time.perf_counter()
            gunicorn = subprocess.Popen(
                self._command, cwd=self._folder, env=environ, stdout=log, stderr=subprocess.STDOUT
            )
            self._gunicorn = gunicorn
            stack.callback(self.stop)
            while not self._answers():
                if gunicorn.poll() is not None or time.perf_counter() - begin > SECONDS_TO_START:
                    sys.exit(f"A server does not start:\n{(self._folder / 'log').read_text()}")
                time.sleep(0.005)
            seconds = time.perf_counter() - begin
            self._processes = [psutil.Process(gunicorn.pid), *psutil.Process(gunicorn.pid).children()]
            yield seconds

    def migrate(self) -> None:
        """Create the tables. With SQLite, the start does this; with PostgreSQL it doesn't."""
        command = [sys.executable, "-m", "flask", "--app", "wsgi", "db", "upgrade"]
        subprocess.run(command, cwd=self._folder, env=self._environ, check=True, capture_output=True)

    def stop(self) -> None:
        """Send SIGTERM and wait. Running requests are finished first."""
        self._gunicorn.terminate()
        self._gunicorn.wait()

    def kill(self) -> None:
        """Send SIGKILL to master and workers. Running requests are cut off."""
        for process in self._processes:
            process.kill()
        psutil.wait_procs(self._processes)

    def cpu_seconds(self) -> float:
        """Return the CPU seconds of master and worker so far, in user and system mode."""
        return sum(times.user + times.system for times in (each.cpu_times() for each in self._processes))

    def mebibytes(self) -> Memory:
        """Return the resident memory now."""
        # PSS counts shared pages once. Systems without it (macOS) have only USS, the memory that isn't shared.
        shares = [getattr(info, "pss", info.uss) for info in (each.memory_full_info() for each in self._processes)]
        return Memory(sum(shares) / 2**20, self._processes[-1].memory_info().rss / 2**20)

    def take_mails(self, to: str) -> list[EmailMessage]:
        """Return the mails to this address, and delete them."""
        if self.mailbox:
            return self.mailbox.take(to)
        messages = []
        for file in (self._folder / "instance" / "mail").glob("*.eml"):
            try:
                message = message_from_bytes(file.read_bytes(), policy=policy.default)
            except FileNotFoundError:  # another thread has read and deleted it
                continue
            if message["To"] == to:
                file.unlink()
                messages.append(message)
        return messages

    def end_sessions(self) -> None:
        """Delete every session in the database, because real account pages list one or two sessions, not a thousand."""
        self.forget(self.sessions)

    def forget(self, table: str) -> None:
        """Delete every row of a table in the database, without a request to the server."""
        with closing(sqlite3.connect(self._folder / "site.db", timeout=10)) as connection, connection:
            connection.execute(f"DELETE FROM {table}")

    def _answers(self) -> bool:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=SECONDS_TO_START)
        try:
            connection.request("GET", "/", headers={"Host": urlsplit(self.url).netloc})
            return connection.getresponse().status < 500
        except OSError:
            return False
        finally:
            connection.close()


def site(folder: Path, port: int, workers: int = 1, mailbox: Mailbox | None = None, **environ: str) -> Server:
    """Return the site as `make run` serves it, with its gunicorn.conf.py and its migrations at the first start."""
    _link_site(folder)
    return Server(folder, port, (f"--workers={workers}", "wsgi:app"), environ, mailbox)


def public_site(folder: Path, port: int, mailbox: Mailbox) -> Server:
    """Return the site as a public one. It mails with STARTTLS, as on port 587."""
    _link_site(folder)
    bind = {"FLASK_BIND": f"127.0.0.1:{port}", "FLASK_MAIL_USE_TLS": "true"}
    return Server(folder, port, ("--workers=1", "wsgi:app"), bind | _public(folder), mailbox, _smtp_options(folder))


def public_program(folder: Path, port: int, mailbox: Mailbox) -> Server:
    """Return the tutorial's finished program as a public site. It mails with TLS from the first byte, as on port 465.

    gunicorn and the database have the site's settings. Only the code differs.
    """
    for name, text in build(last_chapter()).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    # The tutorial leaves SQLite's journal as it is. This one makes a commit cheaper, and belongs to the file.
    with closing(sqlite3.connect(folder / "site.db")) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    gunicorn = f"--bind=127.0.0.1:{port} --workers=1 --worker-class=gthread --threads=8 --no-control-socket"
    arguments = (*gunicorn.split(), "--log-level=error", "wsgi:app")
    smtp_options = _smtp_options(folder) | {"starts_in_the_clear": False}
    return Server(folder, port, arguments, _public(folder), mailbox, smtp_options, sessions="session")


def _link_site(folder: Path) -> None:
    folder.mkdir()
    for name in (
        "app",
        "learn",
        "migrations",
        "static",
        "templates",
        "authenticator.py",
        "gunicorn.conf.py",
        "wsgi.py",
    ):
        (folder / name).symlink_to(CHECKOUT / name)


def _public(folder: Path) -> dict[str, str]:
    """Return the settings of a public site that trusts the mail server of `_smtp_options`."""
    return {
        "FLASK_SITE_URL": "https://example.org",
        "FLASK_SECRET_KEY": secrets.token_hex(32),
        "FLASK_MAIL_DEFAULT_SENDER": "site@example.org",
        "FLASK_MAIL_USERNAME": "site",
        "FLASK_MAIL_PASSWORD": "password",
        "SSL_CERT_FILE": str(folder / "authority.pem"),
    }


def _smtp_options(folder: Path) -> dict[str, Any]:
    """Return options for a mail server with TLS that accepts any login. Put its authority into the folder."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "authority.pem"))
    return {
        "certificate": authority.issue_cert("127.0.0.1"),
        "authenticator": lambda *arguments: AuthResult(success=True, auth_data=arguments[-1]),
        # aiosmtpd offers a login after STARTTLS only, not with TLS from the first byte.
        "auth_require_tls": False,
    }
