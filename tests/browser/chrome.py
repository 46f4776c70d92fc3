"""Find a Chrome or Chromium that starts, or install one: `python tests/browser/chrome.py` prints its path.

`make test` asks this first, so that a machine without a browser gets one, or one clear sentence, and no skipped tests.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

MAC_BUNDLES = ("Google Chrome.app/Contents/MacOS/Google Chrome", "Chromium.app/Contents/MacOS/Chromium")

PLAYWRIGHT = (sys.executable, "-m", "playwright")

PLAYWRIGHTS_OWN = (
    "from playwright.sync_api import sync_playwright\n"
    "with sync_playwright() as playwright: print(playwright.chromium.executable_path)"
)


def find() -> str:
    """Return the path of the browser to test with. Exits with a sentence where there is none and none can be had."""
    chosen = choose("Chrome or Chromium", "CHROME_BIN", lambda: installed(NAMES, MAC_BUNDLES), install)
    # Playwright drives it with a Node of its own, which needs a library that a small Debian lacks.
    if not starts(*PLAYWRIGHT) and not (apt_install("libatomic1") and starts(*PLAYWRIGHT)):
        sys.exit("Playwright's driver doesn't start here: install libatomic1 (or your system's name for it).")
    return chosen


def choose(title: str, variable: str, installed: Callable[[], Iterable[str]], install: Callable[[], str | None]) -> str:
    """Return the path that the variable names, or the first browser that is installed and starts, or a newly
    installed one. Exits with a sentence where there is none."""
    if named := os.environ.get(variable):
        chosen = shutil.which(named)
        if not chosen or not starts(chosen):
            sys.exit(f"{variable}={named} is not a browser that starts: give the path of {title}.")
        return chosen
    chosen = next(filter(starts, installed()), None) or install()
    if not chosen:
        sys.exit(f"The tests need {title}, and none could be installed: name yours with {variable}=/path/to/it.")
    return chosen


def installed(names: Iterable[str], mac_bundles: Iterable[str]) -> Iterator[str]:
    """Yield the browsers of these names that are here."""
    yield from filter(None, map(shutil.which, names))
    for folder in (Path("/Applications"), Path.home() / "Applications"):
        yield from (str(folder / bundle) for bundle in mac_bundles if (folder / bundle).exists())


def install() -> str | None:
    """Install Debian's Chromium where we may, else Playwright's, and return its path."""
    if apt_install("chromium") and (chosen := next(filter(starts, installed(NAMES, MAC_BUNDLES)), None)):
        return chosen
    if may_use_apt() and not starts(*PLAYWRIGHT):
        apt_install("libatomic1")
    say("Installing Playwright's Chromium (once) ...")
    # With its libraries, where the system's package manager may be asked.
    quietly(*PLAYWRIGHT, "install", "--no-shell", *(["--with-deps"] if may_use_apt() else []), "chromium")
    chosen = quietly(sys.executable, "-c", PLAYWRIGHTS_OWN).stdout.strip()
    return chosen if chosen and starts(chosen) else None


def may_use_apt() -> bool:
    """Whether this is a Debian, or much like one, and we are root."""
    return hasattr(os, "geteuid") and os.geteuid() == 0 and bool(shutil.which("apt-get"))


def apt_install(package: str) -> bool:
    """Install a Debian package, and return whether that worked."""
    if not may_use_apt():
        return False
    say(f"Installing Debian's {package} (once) ...")
    # One source that can't be reached needn't matter: installing tells.
    quietly("apt-get", "update")
    return quietly("apt-get", "install", "--yes", "--no-install-recommends", package).returncode == 0


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
