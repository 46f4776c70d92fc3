"""Firefox, and the protocol that it speaks itself: Marionette, which is WebDriver's commands as JSON over a socket.

A message is `LENGTH:[0, id, command, parameters]`, and its answer `LENGTH:[1, id, error, result]`. Firefox lists its
commands in `GeckoDriver.prototype.commands` of `remote/marionette/driver.sys.mjs`.
"""

import itertools
import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Thread, Timer
from typing import Any

# Everything is on this machine: an answer that takes longer won't come.
PATIENCE_SECONDS = 10
# A search goes on in the page that it began in, even when the next page has come: so it is made in short turns.
TURN_MS = 200
# Loading a page on a busy machine takes longer than the site does.
LAST_RESORT_SECONDS = 60

PREFERENCES = {
    "marionette.port": 0,  # a free one
    # Firefox's own authenticator in software. Without it, every ceremony ends with NotAllowedError.
    "security.webauth.webauthn_enable_softtoken": True,
    "security.webauth.webauthn_enable_usbtoken": False,
}

# How WebDriver labels a reference to an element (W3C WebDriver, "Elements").
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


class MarionetteError(Exception):
    """Firefox refused a command: `MarionetteError("no such element", "Unable to locate ...")`."""


class Marionette:
    """A connection to one Firefox."""

    def __init__(self, port: int):
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=LAST_RESORT_SECONDS)
        self._answers = self._socket.makefile("rb")
        self._ids = itertools.count(1)
        self._receive()  # Firefox introduces itself.
        self.send("WebDriver:NewSession", capabilities={})
        self.send("WebDriver:SetTimeouts", implicit=TURN_MS, script=PATIENCE_SECONDS * 1000)

    def send(self, command: str, **parameters: Any) -> Any:
        """Send a command, and return its result. Raises MarionetteError."""
        message = json.dumps([0, next(self._ids), command, parameters]).encode()
        self._socket.sendall(b"%d:%s" % (len(message), message))
        _, _, error, result = self._receive()
        if error:
            raise MarionetteError(error["error"], error["message"])
        # A plain value comes wrapped: {"value": "..."}.
        return result["value"] if isinstance(result, dict) and result.keys() == {"value"} else result

    def _receive(self) -> Any:
        length = b""
        while not length.endswith(b":"):
            byte = self._answers.read(1)
            if not byte:
                raise ConnectionError("Firefox hung up")
            length += byte
        return json.loads(self._answers.read(int(length[:-1])))

    def close(self) -> None:
        """Hang up. Firefox goes on."""
        self._answers.close()
        self._socket.close()

    def goto(self, url: str) -> None:
        """Open a page, and wait until it has loaded."""
        self.send("WebDriver:Navigate", url=url)

    def find(self, xpath: str) -> "Element":
        """Return the first element that matches, and wait until there is one."""
        patience = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return Element(self, self.send("WebDriver:FindElement", using="xpath", value=xpath)[ELEMENT])
            except MarionetteError as error:
                if error.args[0] != "no such element" or time.monotonic() > patience:
                    raise

    def wait_until_loaded(self) -> None:
        """Wait until the page has all that it asks for."""
        self.run("""
          if (document.readyState === "complete") return;
          return new Promise((resolve) => addEventListener("load", () => resolve()));
        """)

    def run(self, script: str, *args: Any) -> Any:
        """Run the body of a function in the page, and return its result: a promise's, once there is one."""
        return self.send("WebDriver:ExecuteScript", script=script, args=args)

    def run_in_browser(self, script: str, *args: Any) -> Any:
        """Do the same in the browser around the page, which may do anything."""
        self.send("Marionette:SetContext", value="chrome")
        try:
            return self.run(script, *args)
        finally:
            self.send("Marionette:SetContext", value="content")


class Element:
    """An element of a page."""

    def __init__(self, marionette: Marionette, id: str):
        self._marionette, self._id = marionette, id

    def click(self) -> None:
        """Click it as a person does. (A click by script is no gesture, and a ceremony would wait for one for ever.)"""
        self._marionette.send("WebDriver:ElementClick", id=self._id)

    def type(self, text: str) -> None:
        """Type into it."""
        self._marionette.send("WebDriver:ElementSendKeys", id=self._id, text=text)

    @property
    def text(self) -> str:
        """Its text, as far as anybody sees it."""
        return self._marionette.send("WebDriver:GetElementText", id=self._id)

    @property
    def is_enabled(self) -> bool:
        """Whether it can be pressed or typed into."""
        return self._marionette.send("WebDriver:IsElementEnabled", id=self._id)


@contextmanager
def running(binary: str, home: Path) -> Iterator[Marionette]:
    """Run Firefox without windows until the block ends; all that it writes goes into this empty folder."""
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in PREFERENCES.items()]
    (home / "user.js").write_text("\n".join(lines))
    # With system access, `run_in_browser` reaches what Firefox's own menus reach.
    command = [binary, "--headless", "--marionette", "--remote-allow-system-access", "--profile", str(home)]
    environ = os.environ | {"HOME": str(home)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environ) as process:
        try:
            with closing(Marionette(_port(process))) as marionette:
                # Nobody reads what else it says, but it would stop at a full pipe.
                Thread(target=process.stdout.read).start()  # type: ignore[union-attr]
                yield marionette
        finally:
            process.terminate()


def _port(process: subprocess.Popen[str]) -> int:
    """Read what Firefox says until it says where it listens."""
    last_resort = Timer(LAST_RESORT_SECONDS, process.kill)
    last_resort.start()
    said = []
    for line in process.stdout:  # type: ignore[union-attr]
        if found := re.search(r"Marionette\tINFO\tListening on port (\d+)", line):
            last_resort.cancel()
            return int(found[1])
        said.append(line)
    last_resort.cancel()
    raise RuntimeError(f"Firefox ended before it listened:\n{''.join(said)}")
