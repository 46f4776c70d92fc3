"""The two servers that are compared, and what the operating system knows about them."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import psutil

CHECKOUT = Path(__file__).parent.parent

SETTINGS = ["--worker-class=gthread", "--workers=1", "--threads=8", "--no-control-socket", "--log-level=warning"]


class Server:
    """A program under gunicorn, in a folder of its own, so that it leaves nothing behind in the checkout."""

    def __init__(self, program: str, folder: Path, port: int):
        self.program = program
        self.port = port
        self.url = f"http://localhost:{port}"
        self.folder = folder
        self.outbox = folder / "instance" / "mail"
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith("FLASK_")} | {
            "FLASK_SITE_URL": self.url,
            "FLASK_LIMITS_ENABLED": "false",
            "FLASK_SQLALCHEMY_DATABASE_URI": f"sqlite:///{folder}/site.db",
        }
        folder.mkdir()
        for name in ("app", "bench", "migrations", "static", "templates", "wsgi.py", "gunicorn.conf.py"):
            (folder / name).symlink_to(CHECKOUT / name)

    def migrate(self) -> None:
        """Bring the site's database up to date."""
        self._run("flask", "--app", "wsgi", "db", "upgrade").wait()

    @contextmanager
    def running(self) -> Iterator[float]:
        """Serve for as long as the block lasts. Gives the seconds from start to the first page."""
        begin = time.perf_counter()
        gunicorn = self._run("gunicorn", *SETTINGS, f"--bind=127.0.0.1:{self.port}", self.program)
        try:
            while not self._answers():
                if gunicorn.poll() is not None or time.perf_counter() - begin > 30:
                    sys.exit(f"{self.program} does not start: see {self.folder / 'log'}")
                time.sleep(0.005)
            self.master = psutil.Process(gunicorn.pid)
            yield time.perf_counter() - begin
        finally:
            gunicorn.terminate()
            gunicorn.wait()

    def cpu_seconds(self) -> float:
        """What the server's processes have computed so far, in user and system mode."""
        return sum(times.user + times.system for times in (process.cpu_times() for process in self._processes()))

    def megabytes(self) -> tuple[float, float]:
        """The memory of the worker (with what it shares), and of worker and master together (shared pages once)."""
        _, worker = self._processes()
        # Where the system doesn't know who shares what (macOS), what is a process's own is the next best.
        shares = [getattr(info, "pss", info.uss) for info in (each.memory_full_info() for each in self._processes())]
        return worker.memory_info().rss / 2**20, sum(shares) / 2**20

    def _processes(self) -> list[psutil.Process]:
        return [self.master, *self.master.children()]

    def _run(self, *arguments: str) -> subprocess.Popen:
        with open(self.folder / "log", "ab") as log:
            command = [sys.executable, "-m", *arguments]
            return subprocess.Popen(command, cwd=self.folder, env=self.environ, stdout=log, stderr=log)

    def _answers(self) -> bool:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/", headers={"Host": f"localhost:{self.port}"})
            return connection.getresponse().status < 500
        except OSError:
            return False
        finally:
            connection.close()
