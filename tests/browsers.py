"""Find the browsers that the tests need, and install missing ones if possible.

`python -m tests.browsers` prints their paths as settings for a shell: CHROME_BIN and FIREFOX_BIN. `make test` asks for
them first. So a machine without browsers gets them, or one clear sentence; no test is skipped.
"""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PLAYWRIGHT = (sys.executable, "-m", "playwright")

PLAYWRIGHTS_OWN = (
    "from playwright.sync_api import sync_playwright\n"
    "with sync_playwright() as playwright: print(playwright.chromium.executable_path)"
)


@dataclass(frozen=True)
class Browser:
    """A browser: its name in a sentence, the setting that chooses another, and the programs to look for."""

    title: str
    variable: str
    package: str
    programs: tuple[str, ...]
    mac_bundles: tuple[str, ...]


CHROME = Browser(
    "Chromium or Chrome",
    "CHROME_BIN",
    "chromium",
    ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"),
    ("Google Chrome.app/Contents/MacOS/Google Chrome", "Chromium.app/Contents/MacOS/Chromium"),
)
FIREFOX = Browser(
    "Firefox",
    "FIREFOX_BIN",
    "firefox-esr",
    ("firefox-esr", "firefox"),
    ("Firefox.app/Contents/MacOS/firefox",),
)

# Debian's packages, and their names in a sentence. Playwright's Node needs the library, which a small Debian lacks.
NEEDED = {CHROME.package: CHROME.title, FIREFOX.package: FIREFOX.title, "libatomic1": "the library libatomic1"}


def find(*browsers: Browser) -> list[str]:
    """Return the paths of the browsers to test with. Installs missing ones if possible.

    Exits with one sentence that names everything that is missing.
    """
    chosen, missing = look(browsers)
    if missing and may_use_apt():
        apt_install(*missing)
        chosen, missing = look(browsers)
    if missing == [CHROME.package]:
        say("Installing Playwright's Chromium (once) ...")
        # With its libraries, if the system's package manager can install them.
        quietly(*PLAYWRIGHT, "install", "--no-shell", *(["--with-deps"] if may_use_apt() else []), "chromium")
        chosen, missing = look(browsers)
    if missing:
        variables = " ".join(f"{browser.variable}=/path/to/it" for browser in browsers if browser.package in missing)
        hint = f"(If you have a browser that isn't in the PATH, name it: {variables} make test)" if variables else ""
        *others, last = (NEEDED[package] for package in missing)
        needed = f"{', '.join(others)} and {last}" if others else last
        sys.exit(f"The tests need {needed}. On Debian: sudo apt install {' '.join(missing)}\n{hint}".rstrip())
    return chosen


def look(browsers: tuple[Browser, ...]) -> tuple[list[str], list[str]]:
    """Return the path of each browser that starts, or "", and the Debian packages that are missing."""
    chosen = [next(filter(starts, installed(browser)), "") for browser in browsers]
    missing = [browser.package for browser, path in zip(browsers, chosen, strict=True) if not path]
    if CHROME in browsers and not starts(*PLAYWRIGHT):
        missing.append("libatomic1")
    return chosen, missing


def installed(browser: Browser) -> Iterator[str]:
    """Yield the paths where this browser may be. Exits if its setting names one that doesn't start."""
    if named := os.environ.get(browser.variable):
        chosen = shutil.which(named)
        if not chosen or not starts(chosen):
            sys.exit(f"{browser.variable}={named} is not a browser that starts: give the path of {browser.title}.")
        yield chosen
    yield from filter(None, map(shutil.which, browser.programs))
    for folder in (Path("/Applications"), Path.home() / "Applications"):
        yield from (str(folder / bundle) for bundle in browser.mac_bundles if (folder / bundle).exists())
    if browser == CHROME:
        yield quietly(sys.executable, "-c", PLAYWRIGHTS_OWN).stdout.strip()


def may_use_apt() -> bool:
    """Return whether this is Debian, or a system with apt, and we are root."""
    return hasattr(os, "geteuid") and os.geteuid() == 0 and bool(shutil.which("apt-get"))


def apt_install(*packages: str) -> None:
    """Try to install Debian packages."""
    say(f"Installing Debian's {' and '.join(packages)} with all that they need (once) ...")
    quietly("apt-get", "update")
    quietly("apt-get", "install", "--yes", "--no-install-recommends", *packages)


def starts(*command: str) -> bool:
    """Return whether the program prints its version. Some are only a stub, or lack a library."""
    return quietly(*command, "--version").returncode == 0


def quietly(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a command without input, and keep its output."""
    # dpkg needs these folders in the path, and root's shell may lack them.
    environ = os.environ | {
        "DEBIAN_FRONTEND": "noninteractive",
        "PATH": os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin",
    }
    try:
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environ)
    except OSError as error:
        return subprocess.CompletedProcess(command, 127, "", str(error))


def say(text: str) -> None:
    """Print to standard error. Standard output has only the settings."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    chrome, firefox = find(CHROME, FIREFOX)
    print(f"export CHROME_BIN={shlex.quote(chrome)} FIREFOX_BIN={shlex.quote(firefox)}")
