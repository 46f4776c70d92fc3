"""What the tests of the tutorial share: Chromium, and a port for the reader's program."""

import pytest

from tests.browser.conftest import browser_type_launch_args  # noqa: F401
from tests.tutorial import readers_folder


@pytest.fixture(scope="session")
def base_url() -> str:
    """Where the reader's program is served: on a port that was free a moment ago."""
    return f"http://localhost:{readers_folder.free_port()}"


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args, base_url) -> dict:
    # The plugin keeps the first `base_url` of the process, but the tests of the site have another.
    return browser_context_args | {"base_url": base_url}
