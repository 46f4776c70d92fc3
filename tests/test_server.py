"""What stands between the network and the site: gunicorn, as it is configured, and requests that are none."""

import socket
from collections.abc import Callable, Iterator

import pytest

from bench import server as servers
from bench.__main__ import free_port
from bench.server import Server
from tests import databases

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(empty_database, tmp_path_factory) -> Iterator[Server]:
    """A server of its own."""
    folder = tmp_path_factory.mktemp("server")
    site = servers.site(folder / "site", free_port(), **databases.copy(empty_database, folder))
    with site.running():
        yield site
    databases.drop(folder)


@pytest.fixture
def send(site) -> Callable[[bytes], bytes]:
    """Send it as it is, and return all that comes back."""

    def send(text: bytes) -> bytes:
        with socket.create_connection(("localhost", site.port), 10) as connection:
            connection.sendall(text.replace(b"HOST", f"localhost:{site.port}".encode()))
            connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(65536), b""))

    return send


def page(send) -> bytes:
    """The sign-in page, without what differs each time."""
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
def test_what_is_no_request_is_refused_and_quoted_nowhere(site, send, request_):
    before = site.log.stat().st_size
    status = int(send(request_).split()[1])
    assert 400 <= status < 500 or status == 505
    with site.log.open() as log:
        log.seek(before)
        said = log.read()
    assert "secret" not in said
    assert "Traceback" not in said


def test_what_cannot_be_run_is_not_tried_again_and_again(tmp_path):
    """PostgreSQL is not brought up to date by the start, so that the first to see what is wrong is a worker."""
    uri = f"postgresql://nobody@localhost:{free_port()}/none"
    site = servers.site(tmp_path / "site", free_port(), FLASK_SQLALCHEMY_DATABASE_URI=uri, FLASK_SITE_NAME=" ")
    with pytest.raises(SystemExit, match="Latchkey can't start: FLASK_SITE_NAME is not usable"), site.running():
        pass
