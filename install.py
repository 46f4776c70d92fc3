"""Install the packages that the site needs: `make` runs `python3 install.py requirements.txt`.

It makes an environment, .venv, and fills it. The system's own pip does that, so it works where Debian's python3-venv is
missing too. It says in a sentence what is in the way, and keeps pip's many lines to itself.
"""

import importlib.util
import os
import re
import shlex
import signal
import subprocess
import sys
import venv
from pathlib import Path
from tempfile import TemporaryFile

ENVIRONMENT = Path(".venv")

# How pip's complaints begin when it reaches nobody.
NO_NETWORK = re.compile(r"connection broken by '(?!SSL)")


def main(requirements: str) -> None:
    """Make the environment if there is none that fits, and install these requirements into it."""
    if sys.version_info < (3, 11):  # noqa: UP036 - this is where an older Python is told
        version = sys.version.split()[0]
        sys.exit(f"Latchkey needs Python 3.11 or newer; this is {version}. Name another: make PYTHON=python3.12 run")
    try:
        make_environment()
        install(requirements)
    except KeyboardInterrupt:
        sys.exit("\nStopped. Run make again to go on.")
    except OSError as error:
        sys.exit(
            f"Latchkey can't be installed in {Path.cwd()}: {error.strerror}. Make the folder yours "
            f"(sudo chown -R {os.geteuid()} {shlex.quote(str(Path.cwd()))}), or clone Latchkey into a folder of yours."
        )


def make_environment() -> None:
    """Make .venv, unless this Python has made it: pip can't fill the environment of another one."""
    major, minor = sys.version_info[:2]
    if not (ENVIRONMENT / "bin" / f"python{major}.{minor}").exists():
        venv.create(ENVIRONMENT, clear=True, symlinks=True)


def install(requirements: str) -> None:
    """Have pip install them, and show how far it is."""
    if not importlib.util.find_spec("pip"):
        sys.exit("Latchkey needs pip. Install it (Debian: sudo apt install python3-pip) and run make again.")
    total = len(re.findall(r"^[\w.-]+==", Path(requirements).read_text(), re.MULTILINE))
    progress = f"Installing what the {'tests need' if 'dev' in requirements else 'site needs'} (once)"
    print(f"{progress} ...", end="", file=sys.stderr, flush=True)
    pip = [sys.executable, "-m", "pip", "--python", str(ENVIRONMENT / "bin" / "python"), "--disable-pip-version-check"]
    options = ["--progress-bar=off", "--require-hashes", "--root-user-action=ignore", "-r", requirements]
    with TemporaryFile("w+") as complaints:
        process = subprocess.Popen([*pip, "install", *options], stdout=subprocess.PIPE, stderr=complaints, text=True)  # noqa: S603
        try:
            count = 0
            for line in process.stdout:
                count += line.startswith("Collecting ")
                if sys.stderr.isatty() and line.startswith(("Collecting ", "Installing ")):
                    doing = ", unpacking" if line.startswith("Installing ") else ""
                    print(f"\r{progress}: {count} of {total} packages{doing}", end="", file=sys.stderr, flush=True)
        except KeyboardInterrupt:
            # Ctrl-C has reached pip too. Let it tidy up.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            process.communicate()
            raise
        print(file=sys.stderr)
        if process.wait():
            complaints.seek(0)
            said = complaints.read()
            if NO_NETWORK.search(said):
                said = "The package index can't be reached. Connect this machine to the internet, and run make again."
            sys.exit(said)


if __name__ == "__main__":
    main(sys.argv[1])
