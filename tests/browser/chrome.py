"""Find a Chrome or Chromium that starts, or install one: `python tests/browser/chrome.py` prints its path.

`make test` asks this first, so that a machine without a browser gets one, or one clear sentence, and no skipped tests.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

MAC_BUNDLES = ("Google Chrome.app/Contents/MacOS/Google Chrome", "Chromium.app/Contents/MacOS/Chromium")

PLAYWRIGHT = (sys.executable, "-m", "playwright")

PLAYWRIGHTS_OWN = (
    "from playwright.sync_api import sync_playwright\n"
    "with sync_playwright() as playwright: print(playwright.chromium.executable_path)"
)


# Debian's packages, and what to call them in a sentence.
NEEDED = {"chromium": "Chromium or Chrome", "libatomic1": "the library libatomic1"}


def find() -> str:
    """Return the path of the browser to test with, and install what is missing where that is possible.

    Exits with one sentence that names everything that is missing.
    """
    chosen, missing = look()
    if missing and may_use_apt():
        apt_install(*missing)
        chosen, missing = look()
    if missing == ["chromium"]:
        say("Installing Playwright's Chromium (once) ...")
        # With its libraries, if the system's package manager can install them.
        quietly(*PLAYWRIGHT, "install", "--no-shell", *(["--with-deps"] if may_use_apt() else []), "chromium")
        chosen, missing = look()
    if missing:
        sys.exit(
            f"The tests need {' and '.join(NEEDED[package] for package in missing)}. "
            f"On Debian: sudo apt install {' '.join(missing)}\n"
            "(If you have a browser that isn't in the PATH, name it: CHROME_BIN=/path/to/it make test)"
        )
    return chosen


def look() -> tuple[str, list[str]]:
    """Return the first browser that starts, or "", and Debian's packages for what is missing."""
    chosen = next(filter(starts, installed()), "")
    # Playwright drives it with a Node of its own, which needs a library that a small Debian lacks.
    return chosen, ["chromium"] * (not chosen) + ["libatomic1"] * (not starts(*PLAYWRIGHT))


def installed() -> Iterator[str]:
    """Yield the browsers that are here. Exits if CHROME_BIN names one that doesn't start."""
    if named := os.environ.get("CHROME_BIN"):
        chosen = shutil.which(named)
        if not chosen or not starts(chosen):
            sys.exit(f"CHROME_BIN={named} is not a browser that starts: give the path of a Chrome or Chromium.")
        yield chosen
    yield from filter(None, map(shutil.which, NAMES))
    for folder in (Path("/Applications"), Path.home() / "Applications"):
        yield from (str(folder / bundle) for bundle in MAC_BUNDLES if (folder / bundle).exists())
    yield quietly(sys.executable, "-c", PLAYWRIGHTS_OWN).stdout.strip()


def may_use_apt() -> bool:
    """Whether this is a Debian, or much like one, and we are root."""
    return hasattr(os, "geteuid") and os.geteuid() == 0 and bool(shutil.which("apt-get"))


def apt_install(*packages: str) -> None:
    """Install Debian packages, if that works."""
    say(f"Installing Debian's {' and '.join(packages)} with all that they need (once) ...")
    quietly("apt-get", "update")
    quietly("apt-get", "install", "--yes", "--no-install-recommends", *packages)


def starts(*command: str) -> bool:
    """Whether the program tells its version: some are only a stub, or lack a library."""
    return quietly(*command, "--version").returncode == 0


def quietly(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a command that asks nobody anything, and keep to ourselves what it says."""
    # dpkg wants the system's own folders in the path, which not every shell of root's has.
    environ = os.environ | {
        "DEBIAN_FRONTEND": "noninteractive",
        "PATH": os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin",
    }
    try:
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environ)
    except OSError as error:
        return subprocess.CompletedProcess(command, 127, "", str(error))


def say(text: str) -> None:
    """Tell whoever waits. Standard output has the path and nothing else."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    print(find())
