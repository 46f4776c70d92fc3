"""The site, for gunicorn and the `flask` command. `make dev` runs this file itself, and reloads on changes."""

import os
import socket
import sys
from contextlib import suppress
from urllib.parse import urlsplit

from werkzeug.serving import is_running_from_reloader, run_simple

import learn
from app import create_app, notices
from app.config import ConfigurationError

# Only the site's own user can read the files that it makes: mails, the database, the secret key.
os.umask(0o077)

try:
    app = create_app()
    learn.init_app(app)
except (ConfigurationError, OSError) as error:
    print(f"Latchkey can't start: {error}", file=sys.stderr)
    # Gunicorn doesn't retry after this exit code.
    sys.exit(4)

# Send notices in the background, but only if this process serves pages. A command and the reloader's watcher don't.
is_watcher = __name__ == "__main__" and app.debug and not is_running_from_reloader()
if not (app.config["IS_COMMAND"] or is_watcher):
    notices.start_thread(app)


def cannot_serve(address: str, error: OSError) -> str:
    """Return why the site can't listen at an address, and how to choose another."""
    advice = "Stop the program that uses it, or set FLASK_BIND to another address."
    if app.config["LOCAL"]:
        port = next(port for port in range(8000, 65536) if not _answers(port))
        advice = f"Try FLASK_SITE_URL=http://localhost:{port} make {'dev' if app.debug else 'run'}."
    return f"Latchkey can't serve at {address}: {os.strerror(error.errno or 0)}. {advice}"


def _answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("localhost", port), timeout=1):
        return True
    return False


if __name__ == "__main__":
    port = urlsplit(app.config["SITE_URL"]).port or 80
    if not is_running_from_reloader():
        try:
            socket.create_server(("localhost", port)).close()
        except OSError as error:
            sys.exit(cannot_serve(f"localhost:{port}", error))
        print(f"\nLatchkey is ready, and reloads on changes: {app.config['SITE_URL']}\n", flush=True)
    run_simple("localhost", port, app, use_reloader=app.debug, use_debugger=app.debug, threaded=True)
