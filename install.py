"""Install the packages that the site needs: `make` runs `python3 install.py requirements.txt`.

It makes the environment .venv and installs into it with the system's own pip. So it also works without Debian's
python3-venv. It hides pip's many lines and reports each problem in one sentence.
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

# pip's error messages contain this if the package index can't be reached. (TLS errors are another problem.)
NO_NETWORK = re.compile(r"connection broken by '(?!SSL)")


def main(requirements: str) -> None:
    """Make the environment if it is missing or another Python's, and install these requirements into it."""
    if sys.version_info < (3, 11):  # noqa: UP036 - an older Python gets this message
        version = sys.version.split()[0]
        sys.exit(f"Latchkey needs Python 3.11 or newer; this is {version}. Choose another: make PYTHON=python3.12 run")
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
    """Make .venv, unless this Python has made it already: pip can't install into another Python's environment."""
    major, minor = sys.version_info[:2]
    if not (ENVIRONMENT / "bin" / f"python{major}.{minor}").exists():
        venv.create(ENVIRONMENT, clear=True, symlinks=True)


def install(requirements: str) -> None:
    """Install the requirements with pip, and show the progress."""
    if not importlib.util.find_spec("pip"):
        sys.exit("Latchkey needs pip. Install it (Debian: sudo apt install python3-pip) and run make again.")
    total = len(re.findall(r"^[\w.-]+==", Path(requirements).read_text(), re.MULTILINE))
    progress = f"Installing what the {'tests need' if 'dev' in requirements else 'site needs'} (once)"
    print(f"{progress} ...", end="", file=sys.stderr, flush=True)
    pip = [sys.executable, "-m", "pip", "--python", str(ENVIRONMENT / "bin" / "python"), "--disable-pip-version-check"]
    options = ["--progress-bar=off", "--require-hashes", "--root-user-action=ignore", "-r", requirements]
    with TemporaryFile("w+") as errors:
        process = subprocess.Popen([*pip, "install", *options], stdout=subprocess.PIPE, stderr=errors, text=True)  # noqa: S603
        try:
            count = 0
            for line in process.stdout:
                count += line.startswith("Collecting ")
                if sys.stderr.isatty() and line.startswith(("Collecting ", "Installing ")):
                    doing = ", unpacking" if line.startswith("Installing ") else ""
                    print(f"\r{progress}: {count} of {total} packages{doing}", end="", file=sys.stderr, flush=True)
        except KeyboardInterrupt:
            # pip gets the Ctrl-C too. Let it clean up.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            process.communicate()
            raise
        print(file=sys.stderr)
        if process.wait():
            errors.seek(0)
            text = errors.read()
            if NO_NETWORK.search(text):
                text = "The package index can't be reached. Connect this machine to the internet, and run make again."
            sys.exit(text)


if __name__ == "__main__":
    main(sys.argv[1])
