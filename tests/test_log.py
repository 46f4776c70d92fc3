"""The log says what happened and why. Neither the log nor the database contains anything that signs in."""

import io
import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import text

from app import log, user_agents
from app.database import db
from authenticator import Authenticator, decode
from tests.conftest import ADA, Visitor, expect, proof_in


@contextmanager
def written_by(formatter: logging.Formatter) -> Iterator[io.StringIO]:
    """Yield the log as text, written by this formatter."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(formatter)
    log.logger.addHandler(handler)
    yield written
    log.logger.removeHandler(handler)


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """Yield the log as text, in JSON lines."""
    with written_by(log.JsonFormatter()) as written:
        yield written


@pytest.fixture
def plain_lines() -> Iterator[io.StringIO]:
    """Yield the log as text, as it is written on localhost."""
    with written_by(log.PlainFormatter()) as written:
        yield written


def read(lines: io.StringIO) -> list[dict]:
    """Return the objects of the JSON lines."""
    return [json.loads(line) for line in lines.getvalue().splitlines()]


def dump(app) -> str:
    """Return all rows of the database as text."""
    with app.app_context():
        return repr([[*db.session.execute(table.select())] for table in db.metadata.sorted_tables])


def cookie(visitor: Visitor) -> str:
    """Return the value of the browser's cookie."""
    return visitor.client.get_cookie("latchkey-8000").value


def test_log_and_database_contain_nothing_that_signs_in(visitor, lines):
    # The database keeps transcripts of ceremonies, whose challenges are spent. The log contains none of it.
    phone, secrets, spent = Authenticator(), [], []

    visitor.ask(ADA)
    mail = visitor.read_mail()
    secrets += [mail.link.rpartition("/")[2], mail.code, cookie(visitor)]
    for elsewhere in (Visitor(visitor.app), visitor):
        elsewhere.get(mail.link)
        elsewhere.post(mail.link)
    secrets.append(cookie(visitor))
    visitor.make_passkey(phone)
    visitor.sign_out()

    visitor.ask(ADA)
    mail = visitor.read_mail()
    secrets += [mail.link.rpartition("/")[2], mail.code, mail.code.replace("-", "")]
    expect(visitor.post("/sign-in/code", {"code": "CDFG-HJKM"}), 400)
    expect(visitor.post("/sign-in/code", {"code": mail.code}), 303)
    secrets.append(cookie(visitor))
    visitor.sign_out()

    options = visitor.request_options()
    spent.append(decode(options["challenge"]).decode())
    response = phone.get(options)
    spent += [response["response"]["signature"], response["response"]["clientDataJSON"]]
    expect(visitor.authenticate(response), 303)
    expect(visitor.authenticate(response), 400)
    secrets.append(cookie(visitor))

    page = visitor.post("/account/confirm", {"mail": "code"})
    proof, code = proof_in(page), visitor.read_code(ADA)
    secrets += [proof, code]
    expect(visitor.post("/account/confirm", {"proof": proof, "code": code}), 303)
    visitor.post("/account/email", {"email": "new@example.org"})
    secrets.append(visitor.read_code("new@example.org"))
    expect(visitor.post("/account/email", {"code": secrets[-1]}), 303)
    codes = visitor.require_passkey()
    secrets += [*codes, *(each.replace("-", "") for each in codes)]
    visitor.sign_out()
    token = visitor.open_second_step("new@example.org")
    secrets.append(token)
    expect(visitor.post("/sign-in/second-step", {"token": token, "code": codes[0]}), 303)
    secrets.append(cookie(visitor))
    activity = visitor.get("/account/activity").text

    ways = ["link", "code", "passkey", "recovery code"]
    assert [line["detail"] for line in read(lines) if line["event"] == "signed_in"] == ways
    database = dump(visitor.app)
    assert "new@example.org" in database
    for secret in secrets:
        assert secret not in database
        assert secret not in activity
    for secret in secrets + spent:
        assert secret not in lines.getvalue()


def test_request_is_logged_by_its_route(visitor, lines):
    visitor.get("/sign-in/link/secret?next=secret")
    visitor.get("/nowhere/secret")
    requests = [line for line in read(lines) if line["event"] == "request"]
    assert [line["route"] for line in requests] == ["/sign-in/link/<token>", "none"]
    assert [line["status"] for line in requests] == [410, 404]
    assert "secret" not in lines.getvalue()


def test_refusal_is_logged_with_its_reason(visitor, lines):
    visitor.post("/sign-in/code", {"code": "CDFG-HJKM"})
    [refused] = [line for line in read(lines) if line["event"] == "refused"]
    assert len(refused.pop("request")) == 16
    assert re.fullmatch("[0-9a-f]{12}", refused.pop("client"))
    assert refused | {"time": ""} == {
        "time": "",
        "level": "info",
        "event": "refused",
        "reason": "no_request",
        "detail": "",
        "route": "/sign-in/code",
    }


def test_unhandled_exception_is_logged_by_its_route(app, lines):
    @app.post("/broken/<token>")
    def break_down(token):
        raise RuntimeError("out of order")

    visitor = Visitor(app)
    response = expect(visitor.post("/broken/secret", {"code": "secret"}), 500)
    assert visitor.alert(response)
    assert "out of order" not in response.text
    [failure] = [line for line in read(lines) if line["event"] == "unhandled_exception"]
    assert failure["route"] == "/broken/<token>"
    assert failure["level"] == "error"
    assert failure["traceback"].endswith("RuntimeError: out of order")
    assert "secret" not in lines.getvalue()


def test_error_of_the_database_leaves_address_and_link_out_of_the_log(app, lines):
    visitor = Visitor(app)
    visitor.ask(ADA)
    link = visitor.read_mail().link
    with app.app_context():
        db.drop_all()
        db.engine.dispose()
    response = expect(visitor.post(link), 503)
    assert visitor.alert(response)
    assert int(response.headers["Retry-After"]) > 0
    assert ADA not in lines.getvalue()
    assert link.rpartition("/")[2] not in lines.getvalue()


def test_failed_query_is_logged_without_its_address(make_app, lines):
    app = make_app(FLASK_SIGN_UP="invite")
    with app.app_context():
        db.session.execute(text("DROP TABLE invitations"))
        db.session.commit()
    expect(Visitor(app).ask(ADA), 503)
    assert "SELECT" in lines.getvalue()
    assert ADA not in lines.getvalue()


def test_detail_of_a_refusal_is_cut(visitor, lines):
    """The library's messages quote the response, so a visitor could fill the disk with them."""
    phone = Authenticator()
    visitor.sign_in_by_link(ADA)
    expect(visitor.register(phone.create(visitor.creation_options(), client_data={"type": 5000 * "x"})), 400)
    [refused] = [line for line in read(lines) if line.get("reason") == "wrong_type"]
    assert 200 < len(refused["detail"]) <= 300


def test_only_the_beginning_of_a_user_agent_is_read(visitor):
    user_agents.describe.cache_clear()
    for more in "ab":
        visitor.post("/sign-in", {"email": ADA}, headers={"User-Agent": 300 * "x" + more})
    assert user_agents.describe.cache_info().currsize == 1


def test_error_page_without_a_database_works_for_a_signed_in_visitor(app, lines):
    visitor = Visitor(app)
    visitor.sign_in_by_link(ADA)
    with app.app_context():
        db.drop_all()
        db.engine.dispose()
    response = expect(visitor.get("/sign-in/link/secret"), 503)
    assert visitor.alert(response)
    assert "Content-Security-Policy" in response.headers
    assert "secret" not in lines.getvalue()


def test_lines_of_one_request_have_the_same_id(visitor, lines):
    visitor.post("/sign-in/code", {"code": "CDFG-HJKM"})
    visitor.get("/")
    first, second, third = [line["request"] for line in read(lines)]
    assert first == second != third


def client_at(app, lines: io.StringIO, address: str) -> str:
    """Sign in and be refused at this IP address. Return the name that the log has for this client."""
    earlier, visitor = len(read(lines)), Visitor(app)
    visitor.client.environ_base["REMOTE_ADDR"] = address
    visitor.sign_in_by_link(ADA)
    visitor.post("/sign-in/code", {"code": "CDFG-HJKM"})
    [name] = {line["client"] for line in read(lines)[earlier:]}
    return name


def test_log_tells_clients_apart_and_contains_no_ip_address(app, make_app, lines):
    name = client_at(app, lines, "192.0.2.77")
    assert client_at(app, lines, "192.0.2.77") == name
    assert client_at(app, lines, "192.0.2.78") != name
    # With IPv6, each customer has at least a /64.
    six = client_at(app, lines, "2001:db8::77")
    assert client_at(app, lines, "2001:db8::ffff:78") == six != name
    assert client_at(app, lines, "2001:db8:0:1::77") != six
    # The name depends on the secret key, so another site has another name.
    assert client_at(make_app(FLASK_SECRET_KEY="k" * 32), lines, "192.0.2.77") != name
    assert not re.search("192.0.2.7|2001:db8", lines.getvalue())


# On localhost.


def test_log_on_localhost_has_a_readable_line_per_request_and_event(visitor, plain_lines):
    visitor.get("/sign-in/link/secret?next=secret")
    visitor.post("/sign-in/code", {"code": "CDFG-HJKM"})
    text = re.sub(r"\d+ ms$", "N ms", plain_lines.getvalue(), flags=re.MULTILINE)
    assert text.splitlines() == [
        "refused: reason malformed_token, detail sign-in-link: BadSignature, route /sign-in/link/<token>",
        "GET /sign-in/link/<token> 410 N ms",
        "refused: reason no_request, route /sign-in/code",
        "POST /sign-in/code 400 N ms",
    ]


def test_log_on_localhost_names_an_event_without_details(plain_lines):
    log.event("mail_unanswered")
    assert plain_lines.getvalue() == "mail unanswered\n"


def test_log_on_localhost_escapes_control_characters(plain_lines):
    log.event("refused", detail="one\nGET /forged 200 3 ms\x1b[2J")
    [line] = plain_lines.getvalue().splitlines()
    assert line == r"'refused: detail one\nGET /forged 200 3 ms\x1b[2J'"


def test_log_on_localhost_shows_a_traceback_as_it_is(app, plain_lines):
    @app.get("/broken/<token>")
    def break_down(token):
        raise RuntimeError("out of order")

    expect(Visitor(app).get("/broken/secret"), 500)
    first, second, *_, last, request = plain_lines.getvalue().splitlines()
    assert first == "unhandled exception: route /broken/<token>"
    assert second == "Traceback (most recent call last):"
    assert last == "RuntimeError: out of order"
    assert request.startswith("GET /broken/<token> 500 ")
    assert "secret" not in plain_lines.getvalue()
