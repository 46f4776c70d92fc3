"""The commands of the Makefile on a machine where something is wrong: each says in a sentence what to do."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import install
from bench.__main__ import free_port
from tests.conftest import ROOT
from tests.test_config import ordinary_user

# The Python that this environment was made with: it has pip.
PYTHON = Path(sys.base_prefix, "bin", f"python3.{sys.version_info.minor}")


@pytest.fixture
def checkout(tmp_path) -> Path:
    """Return a folder, with a space in its name, that has the files which `make` needs to begin."""
    folder = tmp_path / "my sites"
    folder.mkdir()
    for name in ("Makefile", "install.py", "requirements.txt"):
        shutil.copy(ROOT / name, folder)
    return folder


@pytest.fixture
def start(checkout) -> Callable[..., subprocess.Popen[str]]:
    """Start make without settings, as a newcomer does: `start("run")`."""

    def start(*arguments: str, **environ: str) -> subprocess.Popen[str]:
        environ = {"PATH": os.environ["PATH"], "HOME": str(checkout), "PIP_CONFIG_FILE": os.devnull} | environ
        command = [shutil.which("make"), *arguments, f"PYTHON={PYTHON}"]
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        return subprocess.Popen(command, cwd=checkout, env=environ, text=True, start_new_session=True, **pipes)

    return start


def offline() -> dict[str, str]:
    """Return the settings of a machine from which no package index can be reached."""
    return {"PIP_INDEX_URL": f"http://localhost:{free_port()}/simple", "PIP_RETRIES": "1"}


def test_make_without_network_says_so_in_a_sentence(start):
    said = start("run", **offline()).communicate()[1]
    assert "The package index can't be reached. Connect this machine to the internet, and run make again." in said
    assert "No matching distribution" not in said
    assert "Traceback" not in said


def test_interrupted_installation_ends_without_a_traceback(start):
    with socket.create_server(("localhost", 0)) as index:
        make = start("run", PIP_INDEX_URL=f"http://localhost:{index.getsockname()[1]}/simple")
        # Once it is pip that asks, it waits for an answer that never comes. Other tests may try ports at random.
        while b"/simple/" not in (connection := index.accept()[0]).recv(4096):
            connection.close()
        with connection:
            os.killpg(make.pid, signal.SIGINT)
            said = make.communicate()[1]
    assert "Stopped. Run make again to go on." in said
    assert "Traceback" not in said


@pytest.mark.parametrize("python", ["another", "gone"])
def test_environment_that_another_python_made_is_made_again(start, checkout, python):
    (checkout / ".venv" / "bin").mkdir(parents=True)
    (checkout / ".venv" / "left-over").touch()
    (checkout / ".venv" / "bin" / "python").symlink_to(PYTHON if python == "another" else "/gone/python3")
    # Everything was installed, and then the system's Python was replaced.
    if python == "gone":
        (checkout / ".venv" / "run").touch()
    start("run", **offline()).communicate()
    assert (checkout / ".venv" / "bin" / PYTHON.name).exists()
    assert not (checkout / ".venv" / "left-over").exists()


def test_folder_of_somebody_else_is_refused_with_the_cure(tmp_path, monkeypatch):
    tmp_path.chmod(0o500)
    monkeypatch.chdir(tmp_path)
    with ordinary_user(), pytest.raises(SystemExit, match=r"Permission denied\. Make the folder yours \(sudo chown"):
        install.main("requirements.txt")


def test_make_without_python_says_what_to_install(checkout):
    make = [shutil.which("make"), "run", "PYTHON=no-such-python"]
    said = subprocess.run(make, cwd=checkout, capture_output=True, text=True).stderr
    assert "Latchkey needs Python 3.11 or newer with pip. Install it (Debian: sudo apt install python3-pip)" in said


def test_make_lock_without_uv_says_how_to_get_it(start, tmp_path):
    said = start("lock", PATH=str(tmp_path)).communicate()[1]
    assert "make lock needs uv. Install it" in said


def test_make_test_names_all_missing_programs_at_once(tmp_path):
    # This machine has no browser, no package manager, and no library for Playwright's Node.
    environ = {"PATH": str(tmp_path), "HOME": str(tmp_path), "PLAYWRIGHT_NODEJS_PATH": str(tmp_path / "node")}
    browsers = [sys.executable, "-m", "tests.browsers"]
    said = subprocess.run(browsers, cwd=ROOT, env=environ, capture_output=True, text=True).stderr
    assert said.startswith("The tests need Chromium or Chrome, Firefox and the library libatomic1.")
    assert "sudo apt install chromium firefox-esr libatomic1\n" in said


ACCOUNTS = {"latchkey.db", "latchkey.db-wal", "secret-key", "mail"}


@pytest.fixture
def instance(checkout) -> Path:
    """Return the instance folder of a site that was in use."""
    instance = checkout / "instance"
    for name in ("mail", "static"):
        (instance / name).mkdir(parents=True)
    for name in ("latchkey.db", "latchkey.db-wal", "secret-key", ".gitignore"):
        (instance / name).touch()
    return instance


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_make_clean_keeps_accounts_mails_and_key(start, checkout, instance):
    (checkout / ".venv").mkdir()
    start("clean").communicate()
    assert ".venv" not in names(checkout)
    assert names(instance) == ACCOUNTS | {".gitignore"}


@pytest.mark.parametrize(
    ("answer", "kept"), [("n", ACCOUNTS), ("", ACCOUNTS), ("y", set())], ids=["no", "enter", "yes"]
)
def test_make_reset_asks_before_it_removes_accounts(start, instance, answer, kept):
    make = start("reset")
    assert "You cannot undo this" in make.communicate(f"{answer}\n")[0]
    assert names(instance) == {".gitignore", "static"} | kept
    assert make.returncode == 0
