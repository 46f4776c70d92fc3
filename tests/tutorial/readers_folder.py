"""The folder of somebody who follows the tutorial: its files, its tests, its server."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from learn.tutorial.blocks import Program
from tests import browsers

PATIENCE_SECONDS = 60


def write(program: Program, folder: Path) -> None:
    """Make the folder hold this program and nothing else, but for `instance/`, which the reader keeps."""
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        if path.name != "instance":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for file, text in program.items():
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def environment(**more: str) -> dict[str, str]:
    """Return an environment without our own settings."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("FLASK_", "PYTEST_"))}
    return ours | {"CHROME_BIN": browsers.find(browsers.CHROME)[0], "PYTHONDONTWRITEBYTECODE": "1"} | more


def run_tests(folder: Path, *names: str) -> subprocess.CompletedProcess[str]:
    """Run the reader's tests, or those that are named, as the text says."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", *names]
    if Path("/dev/shm").is_dir():
        # In memory: waiting for the disk is half the time.
        command.append(f"--basetemp=/dev/shm/tutorial-{os.getpid()}-{folder.name}")
    return subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True)


def passed(result: subprocess.CompletedProcess[str]) -> int:
    """Return how many tests passed; 0 where one failed."""
    found = re.search(r"^(\d+) passed", result.stdout, flags=re.M)
    return int(found[1]) if found and result.returncode == 0 else 0


def free_port() -> int:
    """Return a port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def serving(folder: Path, url: str, *command: str) -> Iterator[None]:
    """Run a server in the folder until the block ends, by a command as it stands in the text."""
    program = [sys.executable if word == "python" else word for word in command]
    log = (folder / "server.log").open("w+")
    process = subprocess.Popen(
        program, cwd=folder, env=environment(FLASK_SITE_URL=url), stdout=log, stderr=log, start_new_session=True
    )
    try:
        patience = time.monotonic() + PATIENCE_SECONDS
        while not _answers(url):
            assert process.poll() is None, (folder / "server.log").read_text()
            assert time.monotonic() < patience, (folder / "server.log").read_text()
            # A server that has ended is noticed at once.
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.1)
        yield
    finally:
        # The reloader is a process of its own.
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()
        log.close()


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=5):
            return True
    except (URLError, OSError):
        return False
