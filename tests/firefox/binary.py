"""Find a Firefox that starts, or install one: `python -m tests.firefox.binary` prints its path.

The tests of Chromium find theirs in the same way: a machine without a browser gets one, or one clear sentence.
"""

from tests.browser.chrome import apt_install, choose, installed, starts

NAMES = ("firefox-esr", "firefox")

MAC_BUNDLES = ("Firefox.app/Contents/MacOS/firefox",)


def find() -> str:
    """Return the path of the Firefox to test with. Exits with a sentence where there is none and none can be had."""
    return choose("Firefox (Debian: apt install firefox-esr)", "FIREFOX_BIN", here, install)


def here() -> list[str]:
    """Return the Firefoxes that are on this machine."""
    return list(installed(NAMES, MAC_BUNDLES))


def install() -> str | None:
    """Install Debian's Firefox where we may, and return its path."""
    return next(filter(starts, here()), None) if apt_install("firefox-esr") else None


if __name__ == "__main__":
    print(find())
