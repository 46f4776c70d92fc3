"""Every page is watched: an error in a script, a violation of the Content-Security-Policy, a request to anybody else or
an answer that should not be fails the test that met it.
"""

from collections.abc import Collection

from playwright.sync_api import BrowserContext, ConsoleMessage, Request, Response, WebError, expect

# Everything is on this machine: what takes longer won't come.
PATIENCE_MS = 10_000
expect.set_options(timeout=PATIENCE_MS)


class Watcher:
    """Watches browsers that visit the site at `url`, and keeps what should not be.

    `tolerated` are the answers that a page's script may be refused with: method, URL and status.
    """

    def __init__(self, url: str, tolerated: Collection[tuple[str, str, int]] = ()):
        self.url = url
        self.tolerated = tolerated
        self.problems: list[str] = []

    def watch(self, context: BrowserContext) -> BrowserContext:
        """Watch all pages of this browser, from here on. Returns the browser."""
        context.set_default_timeout(PATIENCE_MS)
        context.on("weberror", self._failed_script)
        context.on("console", self._said)
        context.on("request", self._asked)
        context.on("response", self._answered)
        return context

    def has_seen_no_problem(self) -> None:
        """Assert that all was as it should be."""
        assert not self.problems, "\n".join(self.problems)

    def _failed_script(self, error: WebError) -> None:
        self.problems.append(f"{error.page.url if error.page else 'a page'}: {error.error}")

    def _said(self, message: ConsoleMessage) -> None:
        # What is answered with a refusal is an error in Chromium's eyes; `_answered` knows which are meant.
        if message.type in ("error", "warning") and not message.text.startswith("Failed to load resource"):
            self.problems.append(f"{message.page.url if message.page else 'a page'}: {message.text}")

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((f"{self.url}/", "data:")):
            self.problems.append(f"{request.frame.url} asked {request.url}")

    def _answered(self, response: Response) -> None:
        if (response.request.method, response.url, response.status) in self.tolerated:
            return
        # A page may refuse, and say so. Nothing that a page loads may be missing.
        if response.status >= 500 or (response.status >= 400 and not response.request.is_navigation_request()):
            self.problems.append(f"{response.request.method} {response.url} was answered {response.status}")
