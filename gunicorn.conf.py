"""Gunicorn's settings. On localhost it serves at the port of SITE_URL; elsewhere it serves behind a proxy.

This file runs in gunicorn's master process, which stays small because it doesn't load the app.
"""

import os
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit


def _loopback(port: int) -> list[str]:
    """Return every loopback address of this machine with the port. Browsers try the IPv6 address first."""
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
# In front of a public site, a proxy ends TLS and connects to port 8000. For a container, set FLASK_BIND.
bind = _loopback(_port) if _is_local else [os.environ.get("FLASK_BIND") or "127.0.0.1:8000"]
worker_class = "gthread"
workers = int(os.environ.get("WEB_CONCURRENCY") or "1")
threads = 8
# Seconds in which a worker finishes running requests before it stops.
graceful_timeout = 30
# Gunicorn would create this socket in the home directory.
control_socket_disable = True
# Gunicorn's warnings quote malformed requests, so log only errors.
loglevel = "error"
# Gunicorn would let any proxy on this machine change the path with the headers SCRIPT_NAME and PATH_INFO.
forwarder_headers = ""


def on_starting(server) -> None:
    """Exit if the port is in use, and migrate an SQLite database that is out of date."""
    server.log.error_log.addFilter(_is_news)
    if not (_is_local or _url.scheme == "https"):
        import wsgi  # noqa: F401 - it exits and says what is wrong with SITE_URL
    if "GUNICORN_PID" not in os.environ:  # else an earlier gunicorn passes the port on (SIGUSR2)
        _refuse_taken_port()
    uri = os.environ.get("FLASK_SQLALCHEMY_DATABASE_URI") or "sqlite:///latchkey.db"
    if uri.startswith("sqlite") and not _is_up_to_date(uri):
        # Run it in another process, because Alembic would stay in this one's memory.
        upgrade = subprocess.run([sys.executable, "-m", "flask", "--app", "wsgi", "db", "upgrade"])
        if upgrade.returncode:
            sys.exit(upgrade.returncode)


def post_worker_init(worker) -> None:
    """On localhost, print the site's address when the first worker is ready."""
    if _is_local and worker.age == 1:
        print(f"\nLatchkey is ready: {_site}\n", flush=True)


def _is_news(record) -> bool:
    """Return False for the three lines that gunicorn logs after wsgi.py has said why a worker can't start."""
    old = ("exited with code 4.", "Shutting down: Master", "Reason: App failed to load.")
    return not record.getMessage().endswith(old)


def _refuse_taken_port() -> None:
    """Exit with one sentence if a port can't be used. Gunicorn would try five times, and log each try."""
    for address in bind:
        host, _, port = address.rpartition(":")
        if not (port.isdecimal() and int(port) < 65536):
            continue  # a Unix socket, or an address that gunicorn itself refuses
        family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host.strip("[]"), int(port)))
            except OSError as error:
                import wsgi  # This exits if a setting is wrong, because that may be the reason for this port.

                sys.exit(wsgi.cannot_serve(address, error))


def _is_up_to_date(uri: str) -> bool:
    """Return True if the SQLite database has the newest migration. Asking Alembic would take most of a second."""
    # Their names begin with numbers.
    newest = max(path.name for path in Path("migrations/versions").glob("*.py"))
    file = Path("instance", uri.removeprefix("sqlite:///"))
    if not file.is_file():
        return False
    try:
        with closing(sqlite3.connect(file)) as connection:
            [(revision,)] = connection.execute("SELECT version_num FROM alembic_version")
    except (sqlite3.Error, ValueError):  # then Alembic makes the tables, or reports the error
        return False
    return newest.startswith(f"{revision}_")
