"""gunicorn with our configuration: malformed requests, the start, and messages when it can't start."""

import os
import re
import socket
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bench import server as servers
from bench.__main__ import free_port
from bench.server import Server
from tests import databases
from tests.conftest import PUBLIC, ROOT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(empty_database, tmp_path_factory) -> Iterator[Server]:
    """Yield a server that runs in its own processes."""
    folder = tmp_path_factory.mktemp("server")
    site = servers.site(folder / "site", free_port(), **databases.copy(empty_database, folder))
    with site.running():
        yield site
    databases.drop(folder)


@pytest.fixture
def send(site) -> Callable[[bytes], bytes]:
    """Return a function that sends bytes and returns everything that comes back."""

    def send(text: bytes) -> bytes:
        with socket.create_connection(("localhost", site.port), 10) as connection:
            connection.sendall(text.replace(b"HOST", f"localhost:{site.port}".encode()))
            connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(65536), b""))

    return send


def page(send) -> bytes:
    """Return the sign-in page up to its options, which differ each time."""
    return send(b"GET /sign-in HTTP/1.0\r\nHost: HOST\r\n\r\n").partition(b"\r\n\r\n")[2].partition(b"options=")[0]


@pytest.mark.parametrize("name", [b"SCRIPT_NAME", b"Script_name", b"Script-Name"])
def test_no_header_moves_the_site(send, name):
    before = page(send)
    assert b'action="/sign-in"' in before
    for prefix in (b"//evil.example", b"/x@evil.example", b"/zz"):
        request = b"GET %s/sign-in HTTP/1.0\r\nHost: HOST\r\n%s: %s\r\n\r\n" % (prefix, name, prefix)
        answer = send(request)
        assert b" 404 " in answer[:20]
        assert b"evil" not in answer
    assert page(send) == before


def test_health_check_says_how_the_request_came(send):
    request = b"GET /healthz HTTP/1.0\r\nHost: 10.0.0.7:8080\r\nX-Forwarded-For: 192.0.2.1\r\nVia: 1.1 cache\r\n\r\n"
    head, _, answer = send(request).partition(b"\r\n\r\n")
    assert b" 200 " in head[:20]
    assert b"\r\nCache-Control: no-store\r\n" in head
    assert answer == b"ok\nHost: 10.0.0.7:8080\nX-Forwarded-For: present\nVia: present\n"


HEAD = b"POST /sign-in HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\nSec-Fetch-Site: same-origin\r\n"
FORM = HEAD + b"Content-Type: application/x-www-form-urlencoded\r\n"


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /secret HTTP/9.9\r\n\r\n",
        b"GET /secret\r\n\r\n",
        b"secret\r\n\r\n",
        b"GET /secret HTTP/1.1\r\nHost: HOST\r\nHost: HOST\r\n\r\n",
        b"GET /secret HTTP/1.1\r\nHost : HOST\r\n\r\n",
        FORM + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nsecret",
        FORM + b"Transfer-Encoding: chunked\r\n\r\n-3\r\nsecret",
        FORM + b"Transfer-Encoding: chunked\r\n\r\n6\r\nsecret",
        FORM + b"Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\nsecret",
        FORM + b"Content-Length: 60\r\n\r\nsecret",
        FORM + b"Content-Length: -1\r\n\r\nsecret",
        FORM + b"Content-Length: 6\r\nContent-Length: 7\r\n\r\nsecret",
    ],
)
def test_malformed_request_is_refused_and_not_logged(site, send, request_):
    before = site.log.stat().st_size
    assert int(send(request_).split()[1]) == 400
    with site.log.open() as log:
        log.seek(before)
        said = log.read()
    assert "secret" not in said
    assert "Traceback" not in said


def test_site_that_cannot_run_is_not_restarted_again_and_again(tmp_path):
    """A start doesn't migrate PostgreSQL, so here a worker is the first to find the problem."""
    uri = f"postgresql://nobody@localhost:{free_port()}/none"
    site = servers.site(tmp_path / "site", free_port(), FLASK_SQLALCHEMY_DATABASE_URI=uri, FLASK_SITE_NAME=" ")
    with pytest.raises(SystemExit, match="Latchkey can't start: FLASK_SITE_NAME=' ' is not usable"), site.running():
        pass


# Starting.


def revision(folder: Path) -> str:
    """Return the migration that a server's SQLite database is at."""
    with closing(sqlite3.connect(folder / "site.db")) as connection:
        [(found,)] = connection.execute("SELECT version_num FROM alembic_version")
    return found


def test_start_brings_an_older_database_up_to_date(tmp_path):
    site = servers.site(tmp_path / "site", free_port())
    site.migrate()
    newest = revision(tmp_path / "site")
    downgrade = [sys.executable, "-m", "flask", "--app", "wsgi", "db", "downgrade", "0001"]
    uri = f"sqlite:///{tmp_path / 'site' / 'site.db'}"
    environ = os.environ | {"FLASK_SQLALCHEMY_DATABASE_URI": uri}
    subprocess.run(downgrade, cwd=tmp_path / "site", env=environ, check=True)
    assert revision(tmp_path / "site") == "0001"
    with site.running():
        assert revision(tmp_path / "site") == newest


def test_start_does_without_alembic_if_the_database_is_up_to_date(tmp_path):
    site = servers.site(tmp_path / "site", free_port())
    site.migrate()
    # Keep only the names of the migrations. Alembic couldn't run these files.
    (tmp_path / "site" / "migrations").unlink()
    (tmp_path / "site" / "migrations" / "versions").mkdir(parents=True)
    for migration in (ROOT / "migrations" / "versions").glob("*.py"):
        (tmp_path / "site" / "migrations" / "versions" / migration.name).touch()
    with site.running():
        pass


def test_only_the_sites_user_can_read_the_files_that_it_makes(tmp_path):
    folder = tmp_path / "site"
    site = servers.site(folder, free_port(), FLASK_SQLALCHEMY_DATABASE_URI="sqlite:///latchkey.db")
    (folder / "instance").mkdir(mode=0o755)
    with site.running(), socket.create_connection(("localhost", site.port), 10) as connection:
        form = b"email=ada@example.org"
        connection.sendall(FORM.replace(b"HOST", f"localhost:{site.port}".encode()))
        connection.sendall(b"Content-Length: %d\r\n\r\n%s" % (len(form), form))
        assert b" 303 " in connection.recv(65536)[:20]
        made = {path.name for path in (folder / "instance").iterdir()}
        assert {"latchkey.db", "latchkey.db-wal", "latchkey.db-shm", "mail", "secret-key"} <= made
        assert len([*(folder / "instance" / "mail").iterdir()]) == 1
        for path in (folder / "instance", *(folder / "instance").iterdir(), *(folder / "instance").glob("mail/*")):
            assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path


def test_log_is_readable_on_localhost_and_json_elsewhere(site, tmp_path):
    assert re.search(rf"\nLatchkey is ready: {site.url}\n\nGET / 200 \d+ ms\n", site.log.read_text())
    port = free_port()
    public = servers.site(tmp_path / "site", port, **PUBLIC, FLASK_MAIL_USE_TLS="true", FLASK_BIND=f"127.0.0.1:{port}")
    with public.running():
        assert '"event": "request", ' in public.log.read_text()
        assert "GET / " not in public.log.read_text()


# Servers that can't start.


def refusal(folder: Path, **environ: str) -> str:
    """Return the message of a server that doesn't start."""
    with pytest.raises(SystemExit) as refused, servers.site(folder / "site", free_port(), **environ).running():
        pass
    return str(refused.value)


@pytest.fixture
def taken_port() -> Iterator[int]:
    """Yield a port that another program uses."""
    with socket.create_server(("localhost", 0)) as listener:
        yield listener.getsockname()[1]


def suggested_port(said: str, command: str) -> int:
    """Return the port that a refusal suggests for this command."""
    [port] = re.findall(rf"Address already in use\. Try FLASK_SITE_URL=http://localhost:(\d+) {command}\.", said)
    return int(port)


def test_taken_port_is_refused_and_a_free_one_suggested(tmp_path_factory, taken_port):
    def said() -> str:
        return refusal(tmp_path_factory.mktemp("server"), FLASK_SITE_URL=f"http://localhost:{taken_port}")

    assert f"Latchkey can't serve at 127.0.0.1:{taken_port}: " in said()
    with socket.create_server(("localhost", suggested_port(said(), "make run"))) as other:
        assert suggested_port(said(), "make run") not in (taken_port, other.getsockname()[1])


def test_development_server_refuses_a_taken_port_alike(tmp_path, taken_port):
    # The server makes files, so it gets a folder of its own.
    servers.site(tmp_path / "site", taken_port)
    environ = os.environ | {"FLASK_DEBUG": "1", "FLASK_SITE_URL": f"http://localhost:{taken_port}"}
    run = subprocess.run(
        [sys.executable, "-m", "wsgi"], cwd=tmp_path / "site", env=environ, capture_output=True, text=True
    )
    assert run.stderr.startswith(f"Latchkey can't serve at localhost:{taken_port}: ")
    assert suggested_port(run.stderr, "make dev") != taken_port
    assert run.returncode == 1


def test_taken_address_behind_a_proxy_is_refused(tmp_path, taken_port):
    said = refusal(tmp_path, **PUBLIC, FLASK_MAIL_USE_TLS="true", FLASK_BIND=f"127.0.0.1:{taken_port}")
    assert "Stop the program that uses it, or set FLASK_BIND to another address." in said


@pytest.mark.parametrize(
    "site_url", ["nonsense", "localhost:8000", "http://127.0.0.1:8000", "https://example.org/path"]
)
def test_wrong_site_url_is_said_before_a_taken_port(tmp_path, taken_port, site_url):
    said = refusal(tmp_path, FLASK_SITE_URL=site_url, FLASK_BIND=f"127.0.0.1:{taken_port}")
    assert f"Latchkey can't start: FLASK_SITE_URL='{site_url}' is not usable: " in said
    assert "can't serve" not in said


def test_wrong_setting_is_said_in_one_line(tmp_path):
    """The server checks only some settings before it starts. A worker finds this one."""
    uri = f"postgresql://nobody@localhost:{free_port()}/none"
    said = refusal(tmp_path, FLASK_SQLALCHEMY_DATABASE_URI=uri, FLASK_SITE_NAME=" ")
    assert said.strip().splitlines()[1:] == [
        "Latchkey can't start: FLASK_SITE_NAME=' ' is not usable: use one line of printable text, or unset it."
    ]
