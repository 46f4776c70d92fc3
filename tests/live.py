"""The site at a real port of localhost, for browsers."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask
from werkzeug.serving import make_server


class Server:
    """A port of localhost, and the site that answers there. Each test has another site, and all have the same origin.

    The server runs in this process, so a test that moves the clock (time_machine) moves the site's clock, too.
    """

    def __init__(self):
        self.app: Flask | None = None
        self.tolerated: set[tuple[str, str, int]] = set()
        self.listener = make_server("127.0.0.1", 0, self, threaded=True)
        self.url = f"http://localhost:{self.listener.port}"

    def __call__(self, environ, start_response):
        assert self.app, "a page asked for something between two tests"
        return self.app(environ, start_response)


@contextmanager
def serving() -> Iterator[Server]:
    """Serve until the block ends."""
    server = Server()
    thread = threading.Thread(target=server.listener.serve_forever)
    thread.start()
    yield server
    server.listener.shutdown()
    thread.join()
    server.listener.server_close()
