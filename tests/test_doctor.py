"""The doctor: finds what is wrong, says why it matters and what to change, and finds nothing where nothing is."""

import threading

import pytest
from sqlalchemy import event
from werkzeug.serving import make_server

from app import create_app
from app.extensions import db
from bench.__main__ import free_port
from tests import databases, mails
from tests.conftest import Visitor, expect
from tests.test_cli import make_desk
from tests.test_config import PUBLIC


@pytest.fixture
def served(make_app):
    """Return a site that really answers at its SITE_URL: `served(FLASK_LIMITS_ENABLED="false")`."""
    servers = []

    def serve(**environ: str):
        server = make_server("localhost", 0, lambda *_: [], threaded=True)
        app = make_app(FLASK_SITE_URL=f"http://localhost:{server.port}", **environ)
        server.app = app
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        servers.append((server, thread))
        return app

    yield serve
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


def test_where_all_is_well_it_finds_nothing(served):
    output = make_desk(served())("doctor")
    assert "BAD" not in output
    assert "answers 200" in output
    assert "up to date (0005)" in output


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        ({"FLASK_LIMITS_ENABLED": "false"}, "BAD  Limits are off"),
        ({"FLASK_SECRET_KEY": "secret"}, "BAD  The secret key is short, or no random one"),
        (
            {"FLASK_MAIL_SERVER": "localhost", "FLASK_MAIL_PORT": "1"},
            "BAD  The mail server localhost:1 doesn't let us in",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_is_found(served, environ, found):
    output = make_desk(served(**environ))("doctor", fails=1)
    assert found in output
    assert output.count("BAD") == 1


def test_a_database_without_tables_is_found(served, tmp_path):
    app = served()
    databases.make(tmp_path)
    bare = create_app({"FLASK_SITE_URL": app.config["SITE_URL"], **databases.at(tmp_path)}, str(tmp_path))
    output = make_desk(bare)("doctor", fails=1)
    assert "is at None, not at 0005" in output
    assert "flask db upgrade" in output
    with bare.app_context():
        db.engine.dispose()
    databases.drop(tmp_path)


def test_a_database_that_takes_no_writes_is_found(served):
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


def test_notices_that_have_waited_are_found(served, clock):
    app = served()
    visitor = Visitor(app)
    visitor.sign_in_by_link("ada@example.org")
    expect(visitor.post("/account/recovery-codes"), 200)
    assert "BAD" not in make_desk(app)("doctor")
    clock.shift(300)
    assert "BAD  Notices that have waited for more than 5 minutes: 1" in make_desk(app)("doctor", fails=1)


def test_a_site_that_does_not_answer_is_found(make_app):
    url = f"http://localhost:{free_port()}"
    assert f"BAD  {url} doesn't answer" in make_desk(make_app(FLASK_SITE_URL=url))("doctor", fails=1)


def test_a_mail_is_sent_to_whom_one_wants(served):
    app = served()
    assert "A mail to ada@example.org was handed over" in make_desk(app)("doctor", "--send-to", "ada@example.org")
    assert mails.notices(app) == [("ada@example.org", "A test of Latchkey")]
    assert "no email address" in make_desk(app)("doctor", "--send-to", "nonsense", fails=1)


# What a request shows.


def test_the_page_says_the_same_and_asks_the_browser(visitor):
    page = expect(visitor.get("/dev/doctor"), 200).text
    assert "The browser asked for localhost:8000, as it should" in page
    assert "signalUnknownCredential" in page


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "Via"])
def test_the_page_is_for_this_machine_only(app, header):
    expect(Visitor(app).get("/dev/doctor", headers={header: "192.0.2.1"}), 404)
    elsewhere = Visitor(app)
    elsewhere.client.environ_base["REMOTE_ADDR"] = "192.0.2.1"
    expect(elsewhere.get("/dev/doctor"), 404)


def test_elsewhere_there_is_no_such_page(make_app):
    public = Visitor(make_app(**PUBLIC))
    for path in ("/dev/doctor", "/dev/mail/"):
        expect(public.get(path), 404)


@pytest.mark.parametrize(
    ("environ", "headers", "found"),
    [
        ({}, {"X-Forwarded-For": "192.0.2.1"}, ["FLASK_PROXIES=1"]),
        ({"FLASK_PROXIES": "1"}, {}, ["FLASK_PROXIES=0"]),
        ({"FLASK_PROXIES": "1"}, {"X-Forwarded-For": "192.0.2.1"}, []),
        ({}, {}, []),
    ],
)
def test_the_first_visitor_shows_whether_the_proxies_are_as_said(make_app, events, environ, headers, found):
    visitor = Visitor(make_app(**PUBLIC, **environ))
    for _ in range(2):
        visitor.get("/", headers=headers)
    assert [event.fields["change"] for event in events if event.name == "doctor"] == found
