"""How gunicorn serves the site: on localhost at the port of SITE_URL, elsewhere behind a proxy.

This runs in gunicorn's master process, which does without the app and its memory.
"""

import os
import socket
import subprocess
import sys
from urllib.parse import urlsplit


def _loopback(port: int) -> list[str]:
    """Return every address of this machine's that "localhost" may mean: browsers try the IPv6 one first."""
    addresses = []
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        try:
            with socket.socket(family) as probe:
                probe.bind((address, 0))
        except OSError:
            continue
        addresses.append(f"[{address}]:{port}" if ":" in address else f"{address}:{port}")
    return addresses


_site = os.environ.get("FLASK_SITE_URL", "http://localhost:8000").strip()
try:
    _url = urlsplit(_site)
    _port = _url.port or {"https": 443}.get(_url.scheme, 80)
except ValueError as error:
    sys.exit(f"Latchkey can't start: FLASK_SITE_URL={_site!r} is not usable: {error}.")
_is_local = (_url.hostname or "").rstrip(".") == "localhost"
# Elsewhere than on localhost, a proxy ends TLS and comes to port 8000; in a container, from another address.
bind = _loopback(_port) if _is_local else [os.environ.get("FLASK_BIND") or "127.0.0.1:8000"]
worker_class = "gthread"
workers = int(os.environ.get("WEB_CONCURRENCY") or "1")
threads = 8
# What was begun is finished before a worker stops.
graceful_timeout = 30
# Gunicorn would put that socket into the home directory.
control_socket_disable = True
# Its warnings quote malformed requests.
loglevel = "error"
# It would take a path's beginning from any proxy on this machine that passes it on.
forwarder_headers = ""


def on_starting(server) -> None:
    """Bring an SQLite database up to date, in a process of its own: Alembic would stay in memory."""
    if "GUNICORN_PID" not in os.environ:  # or the port is handed on by an earlier gunicorn (SIGUSR2)
        _refuse_taken_port()
    if (os.environ.get("FLASK_SQLALCHEMY_DATABASE_URI") or "sqlite").startswith("sqlite"):
        upgrade = subprocess.run([sys.executable, "-m", "flask", "--app", "wsgi", "db", "upgrade"])
        if upgrade.returncode:
            sys.exit(upgrade.returncode)


def _refuse_taken_port() -> None:
    """Say it in a sentence, not in five rounds of errors."""
    for address in bind:
        host, _, port = address.rpartition(":")
        if not (port.isdecimal() and int(port) < 65536):
            continue  # a Unix socket, or what gunicorn will say something about
        family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host.strip("[]"), int(port)))
            except OSError as error:
                sys.exit(
                    f"Latchkey can't serve at {address}: {error.strerror}. "
                    "Try FLASK_SITE_URL=http://localhost:9123 make run."
                )


def when_ready(server) -> None:
    """Say where to look."""
    print(f"Latchkey is ready: {_site}", flush=True)
