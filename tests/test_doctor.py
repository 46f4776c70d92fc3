"""The doctor finds problems, and says what each means for visitors and what to change. A healthy site has none."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection

import pytest
import trustme
from flask_migrate import Migrate, upgrade
from sqlalchemy import event
from werkzeug.serving import BaseWSGIServer, make_server

from app import create_app
from app.database import db
from app.operator import doctor
from bench.__main__ import free_port
from tests import databases, mails
from tests.conftest import PUBLIC, ROOT, Visitor, expect, parse
from tests.test_cli import make_desk

# The newest migration.
NEWEST = max(path.name for path in (ROOT / "migrations" / "versions").glob("*.py")).partition("_")[0]

# A site on the internet whose domain and mail server don't exist.
ELSEWHERE = PUBLIC | {
    "FLASK_SITE_URL": "https://latchkey.invalid",
    "FLASK_MAIL_SERVER": "localhost",
    "FLASK_MAIL_PORT": "1",
}


@contextmanager
def running(server: BaseWSGIServer) -> Iterator[BaseWSGIServer]:
    """Run the server until the block ends."""
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def served(make_app):
    """Return a site that really answers at its SITE_URL: `served(FLASK_LIMITS_ENABLED="false")`."""
    with ExitStack() as servers:

        def serve(**environ: str):
            server = make_server("localhost", 0, lambda *_: [], threaded=True)
            server.app = make_app(FLASK_SITE_URL=f"http://localhost:{server.port}", **environ)
            servers.enter_context(running(server))
            return server.app

        yield serve


def problem_at(app, url: str) -> doctor.Finding:
    """Return the one problem that the doctor finds at this address."""
    with app.app_context():
        [finding] = [each for each in doctor.examine(0) if not each.is_fine and each.what.startswith(url)]
        db.session.remove()
        return finding


def test_doctor_finds_no_problem_in_a_healthy_site(served):
    output = make_desk(served())("doctor")
    assert "BAD" not in output
    assert "ok   The database (" in output
    assert f" is up to date ({NEWEST}) and can be written\n" in output


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        ({"FLASK_LIMITS_ENABLED": "false"}, "BAD  Limits are off"),
        ({"FLASK_SECRET_KEY": "secret"}, "BAD  The secret key is short or easy to guess"),
        (
            {"FLASK_MAIL_SERVER": "mail.invalid"},
            "BAD  The mail server mail.invalid:587 can't be used: there is no machine of that name",
        ),
        (
            {"FLASK_MAIL_SERVER": "localhost", "FLASK_MAIL_PORT": "1"},
            "BAD  The mail server localhost:1 can't be used: nothing answers at that port",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_doctor_finds_each_problem(served, environ, found):
    output = make_desk(served(**environ))("doctor", fails=1)
    assert found in output
    assert output.count("BAD") == 1


@pytest.fixture
def make_bare(tmp_path):
    """Return a site whose database has no tables: `make_bare(FLASK_SITE_URL="http://localhost:9123")`."""
    apps = []

    def make(**environ: str):
        apps.append(create_app(databases.make(tmp_path) | environ, str(tmp_path)))
        return apps[0]

    yield make
    with apps[0].app_context():
        db.session.remove()
        db.engine.dispose()
    databases.drop(tmp_path)


@pytest.mark.parametrize(
    ("environ", "command"),
    [({}, ".venv/bin/flask db upgrade"), (ELSEWHERE, "latchkey db upgrade")],
    ids=["on localhost", "elsewhere"],
)
def test_database_without_tables_is_found_with_the_command_to_run(make_bare, environ, command):
    found = problem_at(make_bare(**environ), "The database")
    assert found.what.endswith(" is empty")
    assert found.change == command


def test_database_of_an_earlier_version_is_found(make_bare):
    app = make_bare()
    Migrate(app, db, directory=str(ROOT / "migrations"))
    with app.app_context():
        upgrade(revision="0001")
    assert problem_at(app, "The database").what.endswith(f" is at version 0001, but the site needs {NEWEST}")


def test_site_that_is_starting_is_waited_for(make_bare):
    """Right after a restart, a proxy answers 502 while the site makes its tables."""
    server = make_server("localhost", 0, lambda *_: [], threaded=True)
    app = make_bare(FLASK_SITE_URL=f"http://localhost:{server.port}")
    Migrate(app, db, directory=str(ROOT / "migrations"))

    def starting(_environ, start_response):
        with app.app_context():
            upgrade()
        server.app = app
        start_response("502 Bad Gateway", [])
        return []

    server.app = starting
    with running(server):
        assert "BAD" not in make_desk(app)("doctor")


def test_read_only_database_is_found(served):
    app = served()

    def read_only(connection, _record) -> None:
        sqlite = app.config["SQLALCHEMY_DATABASE_URI"].startswith("sqlite")
        connection.execute("PRAGMA query_only = ON" if sqlite else "SET default_transaction_read_only = on")
        connection.commit()

    with app.app_context():
        db.engine.dispose()
        event.listen(db.engine, "connect", read_only)
    output = make_desk(app)("doctor", fails=1)
    assert "can't be written: " in output
    assert output.count("BAD") == 1


def test_delayed_notices_are_found(served, clock):
    app = served()
    visitor = Visitor(app)
    visitor.sign_in_by_link("ada@example.org")
    expect(visitor.post("/account/recovery-codes"), 200)
    assert "BAD" not in make_desk(app)("doctor")
    clock.shift(300)
    assert "BAD  Notices that have waited for more than 5 minutes: 1" in make_desk(app)("doctor", fails=1)


def test_site_that_is_stopped_is_found(make_app):
    url = f"http://localhost:{free_port()}"
    found = problem_at(make_app(FLASK_SITE_URL=url), url)
    assert found == (f"{url} is not running", "Visitors can't open the site.", "Start it: make run")


def test_stopped_site_behind_a_proxy_is_found(make_app):
    def proxy(_environ, start_response):
        start_response("502 Bad Gateway", [])
        return []

    with running(make_server("localhost", 0, proxy)) as server:
        url = f"http://localhost:{server.port}"
        assert problem_at(make_app(FLASK_SITE_URL=url), url).what == f"{url} is not running"


def test_site_whose_name_is_unknown_is_found(make_app):
    url = ELSEWHERE["FLASK_SITE_URL"]
    found = problem_at(make_app(**ELSEWHERE), url)
    assert found.what == f"{url} can't be opened: there is no machine of that name"
    assert found.change == "Add a DNS record that points latchkey.invalid to this machine."


@pytest.mark.parametrize(
    ("speaks_tls", "reason"),
    [(True, "its certificate isn't valid for that name"), (False, "it doesn't speak TLS at that port")],
    ids=["wrong certificate", "no TLS"],
)
def test_site_without_good_tls_is_found(make_app, speaks_tls, reason):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # Nobody trusts this authority.
    trustme.CA().issue_cert("localhost").configure_cert(context)
    with running(make_server("localhost", 0, lambda *_: [], ssl_context=context if speaks_tls else None)) as server:
        url = f"https://localhost:{server.port}"
        assert problem_at(make_app(FLASK_SITE_URL=url), url).what == f"{url} can't be opened: {reason}"


def test_doctor_sends_a_mail_to_the_given_address(served):
    app = served()
    assert "A mail to ada@example.org was sent" in make_desk(app)("doctor", "--send-to", "ada@example.org")
    assert mails.notices(app) == [("ada@example.org", "A test of Latchkey")]
    assert "not a valid email address" in make_desk(app)("doctor", "--send-to", "nonsense", fails=1)


# How a visitor's request arrives.


def forwarding(port: int, **headers: str):
    """Return a proxy: it asks the site at this port of localhost, with these headers besides its own Host."""

    def proxy(environ, start_response):
        with closing(HTTPConnection("localhost", port, timeout=10)) as connection:
            connection.request(environ["REQUEST_METHOD"], environ["PATH_INFO"], headers=headers)
            answer = connection.getresponse()
            start_response(f"{answer.status} {answer.reason}", answer.getheaders())
            return [answer.read()]

    return proxy


@pytest.fixture
def behind_proxy(make_app):
    """Return a site that answers at its SITE_URL through a proxy that sends these headers."""
    with ExitStack() as servers:

        def serve(headers: dict[str, str], **environ: str):
            proxy, backend = (make_server("localhost", 0, lambda *_: [], threaded=True) for _ in range(2))
            backend.app = make_app(FLASK_SITE_URL=f"http://localhost:{proxy.port}", **environ)
            proxy.app = forwarding(backend.port, **{"Host": f"localhost:{proxy.port}"} | headers)
            for server in (proxy, backend):
                servers.enter_context(running(server))
            return backend.app

        yield serve


FORWARDED_FOR = {"X-Forwarded-For": "192.0.2.1"}


@pytest.mark.parametrize(
    ("proxies", "headers", "changes"),
    [
        ("0", {}, []),
        ("0", FORWARDED_FOR, ["FLASK_PROXIES=1"]),
        ("0", {"Via": "1.1 cache"}, ["FLASK_PROXIES=1"]),
        ("1", {}, ["FLASK_PROXIES=0"]),
        ("1", FORWARDED_FOR, []),
        ("1", FORWARDED_FOR | {"Host": "10.0.0.7:8000"}, ["Make the proxy pass on the Host header."]),
    ],
)
def test_doctor_sees_how_proxies_pass_requests_on(behind_proxy, proxies, headers, changes):
    app = behind_proxy(headers, FLASK_PROXIES=proxies)
    with app.app_context():
        assert [finding.change for finding in doctor.examine(0) if not finding.is_fine] == changes
        db.session.remove()


@pytest.mark.parametrize("answer", [b"ok\n", b"<!doctype html>\n<title>This domain is parked</title>\n", b""])
def test_another_program_at_the_sites_address_is_found(make_app, answer):
    def other(_environ, start_response):
        start_response("200 OK", [])
        return [answer]

    with running(make_server("localhost", 0, other)) as server:
        url = f"http://localhost:{server.port}"
        assert problem_at(make_app(FLASK_SITE_URL=url), url).what.startswith(f"{url} leads to another program")


def test_requests_of_visitors_start_no_examination(make_app, events):
    visitor = Visitor(make_app(FLASK_PROXIES="1"))
    visitor.get("/")
    assert [event.name for event in events] == ["request"]


# The page.


def test_the_page_says_the_same_and_asks_the_browser(served):
    app = served()
    page = expect(Visitor(app).get("/dev/doctor"), 200).text
    assert f"Requests arrive for {app.config['HOST']}" in page
    assert "Phone by QR code: no" in page


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "Via"])
def test_page_opens_on_this_machine_only(app, header):
    expect(Visitor(app).get("/dev/doctor", headers={header: "192.0.2.1"}), 404)
    elsewhere = Visitor(app)
    elsewhere.client.environ_base["REMOTE_ADDR"] = "192.0.2.1"
    expect(elsewhere.get("/dev/doctor"), 404)


def test_site_on_the_internet_has_no_pages_for_developers(make_app):
    public = Visitor(make_app(**PUBLIC))
    for path in ("/dev/doctor", "/dev/mail/"):
        expect(public.get(path), 404)


def links_to_doctor(page: str) -> int:
    return page.count('<a href="/dev/doctor">')


def test_every_failure_to_create_a_passkey_leads_to_the_doctor_on_localhost(make_app):
    visitor = Visitor(make_app())
    visitor.sign_in_by_link("ada@example.org")
    welcome = parse(visitor.get("/account/welcome"))
    failures = {each.attrib["data-failure"]: each for each in welcome.iterfind(".//*[@data-failure]")}
    lead = {name for name, failure in failures.items() if failure.find(".//a[@href='/dev/doctor']") is not None}
    assert lead == failures.keys() - {"already"}
    refused = parse(expect(visitor.post("/account/passkeys", {"credential": "nonsense"}), 400))
    assert refused.find(".//*[@role='alert']//a[@href='/dev/doctor']") is not None


def test_every_page_leads_to_the_doctor_on_localhost_only(visitor, make_app):
    assert links_to_doctor(visitor.get("/").text) == 1
    assert links_to_doctor(Visitor(make_app(**PUBLIC)).get("/").text) == 0
