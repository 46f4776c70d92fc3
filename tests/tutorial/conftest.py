"""What the tests of the tutorial share: Chromium, and a port for the reader's program."""

import socket

import pytest

from tests import browsers
from tests.browser.conftest import CHROMIUM_ARGS


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args) -> dict:
    return browser_type_launch_args | {"executable_path": browsers.find(browsers.CHROME)[0], "args": CHROMIUM_ARGS}


@pytest.fixture(scope="session")
def base_url() -> str:
    """Where the reader's program is served: on a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://localhost:{probe.getsockname()[1]}"
