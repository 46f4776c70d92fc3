"""Static files: compressed, cached by browsers for good, and only those of the site."""

import gzip
import re
from pathlib import Path

import pytest

from app import create_app
from tests.conftest import PUBLIC, ROOT, Visitor, expect

SOURCES = sorted(path.name for path in (ROOT / "static").iterdir())


@pytest.fixture
def stylesheet(visitor) -> str:
    """Return the path of the stylesheet, as the pages have it."""
    return re.search(r'href="(/static/[^"]+css)"', visitor.get("/").text)[1]


def test_address_changes_with_the_files_and_is_cached_for_good(visitor, stylesheet):
    assert re.fullmatch(r"/static/[0-9a-f]{12}/latchkey.css", stylesheet)
    response = expect(visitor.get(stylesheet), 200)
    assert response.headers["Cache-Control"] == "max-age=315360000, public, immutable"
    assert response.mimetype == "text/css"


@pytest.mark.parametrize("name", SOURCES)
def test_each_file_is_compressed_for_browsers_that_accept_it(visitor, stylesheet, name):
    path = stylesheet.replace("latchkey.css", name)
    plain = expect(visitor.get(path), 200)
    assert plain.data == (ROOT / "static" / name).read_bytes()
    assert plain.headers["Vary"] == "Accept-Encoding"
    packed = expect(visitor.get(path, headers={"Accept-Encoding": "gzip"}), 200)
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.data) == plain.data
    assert len(packed.data) < len(plain.data)


def test_head_request_describes_the_same_file(visitor, stylesheet):
    headers = visitor.client.head(stylesheet, base_url=visitor.site_url).headers
    assert headers["Content-Length"] == visitor.get(stylesheet).headers["Content-Length"] != "0"


def test_unchanged_file_is_not_sent_again(visitor, stylesheet):
    modified = visitor.get(stylesheet).headers["Last-Modified"]
    response = expect(visitor.get(stylesheet, headers={"If-Modified-Since": modified}), 304)
    assert response.data == b""


@pytest.mark.parametrize(
    "path", ["/static/", "/static/latchkey.css", "/static/../app/config.py", "/static/%2e%2e/wsgi.py", "/static/.x"]
)
def test_other_paths_are_not_found(visitor, path):
    expect(visitor.get(path), 404)


def test_static_files_have_the_headers_of_every_answer(visitor, stylesheet):
    headers = visitor.get(stylesheet).headers
    page = visitor.get("/").headers
    assert {name: headers[name] for name in visitor.app.config["HEADERS"]} == {
        name: page[name] for name in visitor.app.config["HEADERS"]
    }
    assert "Access-Control-Allow-Origin" not in headers
    assert "Set-Cookie" not in headers


def test_another_host_may_read_static_files(visitor, stylesheet):
    expect(visitor.client.get(stylesheet, base_url="http://another.example", buffered=True), 200)


def test_static_files_of_an_https_site_have_hsts(make_app):
    visitor = Visitor(make_app(**PUBLIC))
    path = re.search(r'href="(/static/[^"]+css)"', visitor.get("/").text)[1]
    assert (
        visitor.get(path).headers["Strict-Transport-Security"] == visitor.get("/").headers["Strict-Transport-Security"]
    )


def test_static_files_are_current_while_debugging(make_app):
    visitor = Visitor(make_app(FLASK_DEBUG="true"))
    path = re.search(r'href="(/static/[^"]+css)"', visitor.get("/").text)[1]
    assert path == "/static/dev/latchkey.css"
    assert "immutable" not in expect(visitor.get(path), 200).headers["Cache-Control"]


def test_files_of_an_earlier_version_stay(visitor):
    """A page that was opened before an update still finds its scripts."""
    earlier = Path(visitor.app.instance_path, "static", "0123456789ab")
    earlier.mkdir()
    (earlier / "old.js").write_text("// old")
    again = Visitor(create_app({}, visitor.app.instance_path))
    assert expect(again.get("/static/0123456789ab/old.js"), 200).data == b"// old"
