"""What the Firefox tests share: one Firefox, and for each test the site with an empty database and a visitor.

An error in one of the site's scripts, or a violation of its Content-Security-Policy, fails the test that met it.
"""

from collections.abc import Iterator

import pytest
from flask import Flask

from tests import browsers
from tests.firefox.marionette import Marionette, running
from tests.firefox.visitor import Visitor

# The browser's console has errors in scripts, and what the policy forbade. It also has scripts that were still waiting
# when we left their page: Firefox ends those, and calls that a timeout.
PROBLEMS = """
  const [origin] = arguments;
  const messages = Services.console.getMessageArray();
  Services.console.reset();
  return messages
    .filter((message) => message instanceof Ci.nsIScriptError && message.sourceName.startsWith(origin))
    .filter((message) => !message.errorMessage.startsWith("Script terminated by timeout"))
    .map((message) => `${message.sourceName}: ${message.errorMessage}`);
"""


@pytest.fixture(scope="session")
def firefox(tmp_path_factory) -> Iterator[Marionette]:
    """A running Firefox."""
    with running(browsers.find(browsers.FIREFOX)[0], tmp_path_factory.mktemp("firefox")) as marionette:
        yield marionette


@pytest.fixture
def app(live_app) -> Flask:
    """The site with an empty database, in the place of the one of the HTTP tests."""
    return live_app


@pytest.fixture
def visitor(firefox, app) -> Iterator[Visitor]:
    """Somebody at Firefox, in the place of the one of the HTTP tests."""
    visitor = Visitor(firefox, app)
    yield visitor
    firefox.send("WebDriver:DeleteAllCookies")
    firefox.goto("about:blank")
    visitor.device.remove()
    assert firefox.run_in_browser(PROBLEMS, app.config["SITE_URL"]) == []
