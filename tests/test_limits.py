"""Limits: a client that asks too often has to wait, and others don't."""

import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta

import pytest
import time_machine

from app import create_app, limits
from app.config import ConfigurationError
from app.database import db
from app.limits import Limit, TooMany
from app.models import Counter, now
from app.proof import PROOF_LIFETIME
from authenticator import Authenticator
from tests import mails
from tests.conftest import ADA, Visitor, as_text, database_uri, expect, parse, proof_in


def counters(app) -> dict[str, int]:
    with app.app_context():
        return {row.key: row.count for row in db.session.query(Counter)}


def at(app, address: str) -> Visitor:
    """Return a visitor with a new browser at this IP address."""
    visitor = Visitor(app)
    visitor.client.environ_base["REMOTE_ADDR"] = address
    return visitor


def ask(app, times: int, email: str = ADA, address: str = "127.0.0.1") -> None:
    """Ask for so many mails, each from a new browser at this IP address."""
    for _ in range(times):
        expect(at(app, address).ask(email), 303)


# Mails.


def test_one_client_gets_five_mails_to_one_address(app, clock, reasons):
    ask(app, 5)
    sent = len(mails.outbox(app))
    response = expect(at(app, "127.0.0.1").ask(ADA), 429)
    assert reasons == ["too_many_mails"]
    assert response.headers["Retry-After"] == "900"
    assert "You can ask again in 15 minutes." in Visitor.alert(response)
    assert len(mails.outbox(app)) == sent
    # Another address, another client, or a later time isn't limited.
    ask(app, 1, "bob@example.org")
    ask(app, 1, address="192.0.2.1")
    clock.shift(899)
    assert expect(at(app, "127.0.0.1").ask(ADA), 429).headers["Retry-After"] == "1"
    clock.shift(1)
    ask(app, 5)
    expect(at(app, "127.0.0.1").ask(ADA), 429)


def test_one_address_gets_twenty_mails_an_hour(app, clock, reasons):
    for number in range(4):
        ask(app, 5, address=f"192.0.2.{number}")
    response = expect(at(app, "192.0.2.9").ask(ADA), 429)
    assert reasons == ["too_many_mails_to_address"]
    assert response.headers["Retry-After"] == "3600"
    clock.shift(3600)
    ask(app, 1, address="192.0.2.9")


def test_one_client_gets_sixty_mails_an_hour(app, clock, reasons):
    for number in range(12):
        ask(app, 5, f"user{number}@example.org")
    expect(at(app, "127.0.0.1").ask("another@example.org"), 429)
    assert reasons == ["too_many_mails_of_client"]
    ask(app, 1, "another@example.org", address="192.0.2.1")


def test_refused_request_counts_towards_no_limit(app, clock):
    ask(app, 5)
    before = counters(app)
    for _ in range(30):
        expect(at(app, "127.0.0.1").ask(ADA), 429)
    assert counters(app) == before


def test_other_clients_do_not_use_up_the_count_of_a_known_browser(app, clock):
    owner = Visitor(app)
    owner.sign_in_by_link(ADA)
    owner.sign_out()
    ask(app, 4)
    for number in range(3):
        ask(app, 5, address=f"192.0.2.{number}")
    expect(at(app, "127.0.0.1").ask(ADA), 429)
    expect(at(app, "192.0.2.9").ask(ADA), 429)
    for _ in range(5):
        clock.shift(31)
        expect(owner.ask(ADA), 303)
    clock.shift(31)
    expect(owner.ask(ADA), 429)
    # The browser is known for that one address only.
    clock.shift(3600)
    ask(app, 5, "bob@example.org")
    expect(owner.ask("bob@example.org"), 429)


def test_copied_cookie_uses_up_only_the_browsers_own_count(app, clock):
    owner = Visitor(app)
    owner.sign_in_by_link(ADA)
    thief = owner.twin()
    owner.sign_out()
    while at(app, "192.0.2.1").ask(ADA).status_code == 303:
        clock.shift(1)
    thief.client.environ_base["REMOTE_ADDR"] = "192.0.2.1"
    while thief.ask(ADA).status_code == 303:
        clock.shift(31)
    expect(owner.ask(ADA), 303)


def test_owner_of_a_similar_address_does_not_use_up_a_known_browsers_count(app, clock, phone):
    """For many providers, j.smith and jsmith are two people."""
    owner = Visitor(app)
    owner.sign_in_by_link("jsmith@example.org")
    owner.sign_out()
    clock.shift(1)
    other = at(app, "192.0.2.1")
    other.sign_in_by_link("j.smith@example.org")
    other.make_passkey(phone)
    for _ in range(5):
        browser = at(app, "192.0.2.1")
        browser.sign_in_by_passkey(phone)
        browser.sign_out()
        for _ in range(5):
            browser.ask("j.smith@example.org")
            clock.shift(31)
        clock.shift(-155)
    expect(at(app, "127.0.0.1").ask("jsmith@example.org"), 303)
    expect(owner.ask("jsmith@example.org"), 303)


def test_browser_that_changed_the_address_is_known_by_the_new_one(app, clock):
    owner = Visitor(app)
    owner.sign_in_by_link("old@example.org")
    clock.shift(1)
    expect(owner.post("/account/email", {"email": ADA}), 303)
    clock.shift(1)
    expect(owner.post("/account/email", {"code": owner.read_code(ADA)}), 303)
    for number in range(4):
        while at(app, f"192.0.2.{number}").ask(ADA).status_code == 303:
            pass
    expect(at(app, "192.0.2.9").ask(ADA), 429)
    expect(owner.post("/account/confirm", {"mail": "code"}), 200)
    owner.sign_out()
    expect(owner.ask(ADA), 303)


def test_known_browsers_share_one_count(app, clock, phone):
    """Otherwise somebody who once had a passkey could make any number of known browsers."""
    owner = Visitor(app)
    owner.sign_in_by_link(ADA)
    owner.make_passkey(phone)
    sent = 0
    for _ in range(10):
        browser = at(app, "192.0.2.1")
        browser.sign_in_by_passkey(phone)
        browser.sign_out()
        for _ in range(5):
            sent += browser.ask(ADA).status_code == 303
            clock.shift(31)
        clock.shift(-155)
    assert sent == 25  # Twenty as known browsers, and five more as any browser.


@pytest.mark.parametrize(
    ("addresses", "another"),
    [
        (["ada@example.org", "ada+1@example.org", "ada+2+3@example.org", "ADA@example.org"], "ada+4@example.org"),
        (["ada@gmail.com", "a.d.a@gmail.com", "ada@googlemail.com", "a.da+1@googlemail.com"], "ad.a+2@gmail.com"),
    ],
    ids=["tags everywhere", "dots and two names at Gmail"],
)
def test_all_addresses_of_one_inbox_share_one_count(app, clock, reasons, addresses, another):
    for email in (*addresses, addresses[0]):
        ask(app, 1, email)
    expect(at(app, "127.0.0.1").ask(another), 429)
    assert reasons == ["too_many_mails"]
    # Each mail went to the address that was typed.
    assert {mail["To"] for mail in mails.outbox(app)} == {email.lower() for email in addresses}


def test_addresses_that_differ_in_dots_are_two_inboxes_except_at_gmail(app, clock):
    """Otherwise a stranger with a similar address could use up somebody's mails."""
    for email in ("ada.lovelace@example.org", "adalovelace@example.org", "a.dalovelace@notgmail.com"):
        ask(app, 5, email)
    expect(at(app, "127.0.0.1").ask("adalovelace@notgmail.com"), 303)


def test_ipv6_clients_are_counted_by_their_64(app, clock, reasons):
    ask(app, 3, address="2001:db8::1")
    ask(app, 2, address="2001:db8::ffff:1")
    expect(at(app, "2001:db8:0:0:1::").ask(ADA), 429)
    ask(app, 1, address="2001:db8:0:1::1")


@pytest.mark.parametrize(
    ("address", "stands_for"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("", ""),
        ("2001:db8::1", "2001:db8::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("192.0.2.1:5123", "192.0.2.1"),
        ("[2001:db8::1]:5123", "2001:db8::/64"),
        ("x:1", "x:1"),
    ],
)
def test_ip_address_stands_for_a_client(address, stands_for):
    assert limits.client_network(address) == stands_for


def test_forged_header_makes_no_other_client(app, clock):
    ask(app, 5)
    response = at(app, "127.0.0.1").post("/sign-in", {"email": ADA}, headers={"X-Forwarded-For": "203.0.113.9"})
    expect(response, 429)


def test_last_address_that_a_proxy_names_counts(make_app, clock):
    app = make_app(FLASK_PROXIES="1")
    for _ in range(5):
        expect(
            Visitor(app).post("/sign-in", {"email": ADA}, headers={"X-Forwarded-For": "198.51.100.1, 203.0.113.9"}), 303
        )
    expect(Visitor(app).post("/sign-in", {"email": ADA}, headers={"X-Forwarded-For": "198.51.100.2, 203.0.113.9"}), 429)
    expect(Visitor(app).post("/sign-in", {"email": ADA}, headers={"X-Forwarded-For": "198.51.100.2"}), 303)


def test_proxy_that_names_no_ip_address_breaks_nothing(make_app):
    visitor = Visitor(make_app(FLASK_PROXIES="1"))
    visitor.client.environ_base["HTTP_X_FORWARDED_FOR"] = 60 * "x"
    visitor.sign_in_by_link(ADA)
    assert visitor.is_signed_in()


def test_mail_that_could_not_be_sent_is_not_counted(make_app, reasons):
    app = make_app(FLASK_MAIL_SERVER="localhost", FLASK_MAIL_PORT="1", FLASK_MAIL_USE_TLS="false")
    for _ in range(7):
        response = expect(Visitor(app).ask(ADA), 503)
        assert "Retry-After" in response.headers
    assert reasons == ["mail_server_unreachable"] * 7
    # The alarm counts requests, sent or not.
    assert sorted(counters(app).values()) == [0, 0, 0, 7]


@pytest.mark.parametrize(
    ("path", "form", "status"),
    [("/account/confirm", {"mail": "code"}, 200), ("/account/email", {"email": "bob@example.org"}, 303)],
)
def test_session_cannot_flood_an_inbox(app, clock, visitor, reasons, path, form, status):
    visitor.sign_in_by_link(ADA)
    # At the own inbox, this known browser has a count of its own, too. Then come those of every client.
    while (response := visitor.post(path, form)).status_code != 429:
        expect(response, status)
    assert len(mails.outbox(app)) == (10 if path == "/account/confirm" else 6)
    before = counters(app)
    response = expect(visitor.post(path, form), 429)
    assert "You can ask again in" in visitor.alert(response)
    assert reasons == ["too_many_mails"] * 2
    # Only the change itself counts, once for the client and once for the session.
    assert sum(counters(app).values()) - sum(before.values()) == (2 if path == "/account/email" else 0)


def test_sudden_rise_of_mails_logs_an_alarm_and_refuses_nobody(make_app, events):
    app = make_app(FLASK_LIMIT_ALARM="3 per 60 minutes")
    ask(app, 5)
    assert [event.fields["count"] for event in events if event.name == "alarm"] == [4]


# Codes.


def test_wrong_codes_are_answered_with_a_pause_from_the_sixth_on(app, visitor, reasons):
    visitor.ask(ADA)
    code = visitor.read_mail().code
    for _ in range(5):
        expect(visitor.post("/sign-in/code", {"code": "CDFG-HJKM"}), 400)
    for _ in range(4):
        response = expect(visitor.post("/sign-in/code", {"code": "CDFG-HJKM"}), 429)
        assert 0 < int(response.headers["Retry-After"]) <= 600
        assert "After 10 wrong codes" in visitor.alert(response)
    assert reasons == ["wrong_code"] * 5 + ["too_many_wrong_codes"] * 4
    expect(visitor.post("/sign-in/code", {"code": code}), 303)


def test_link_and_code_stop_working_after_ten_wrong_codes(app, visitor, clock, reasons):
    visitor.ask(ADA)
    mail = visitor.read_mail()
    for _ in range(10):
        visitor.post("/sign-in/code", {"code": "CDFG-HJKM"})
    expect(visitor.post("/sign-in/code", {"code": mail.code}), 400)
    expect(visitor.post(mail.link), 410)
    assert reasons[-2:] == ["already_used"] * 2
    assert not visitor.is_signed_in()
    # A new mail has a new code.
    clock.shift(31)
    visitor.ask(ADA)
    again = visitor.read_mail().code
    assert again != mail.code
    expect(visitor.post("/sign-in/code", {"code": again}), 303)


def test_wrong_codes_in_another_browser_do_not_count(app, visitor, stranger):
    stranger.ask(ADA)
    visitor.ask(ADA)
    code = visitor.read_mail().code
    for _ in range(12):
        stranger.post("/sign-in/code", {"code": "CDFG-HJKM"})
    expect(visitor.post("/sign-in/code", {"code": code}), 303)


@pytest.mark.parametrize("path", ["/account/confirm", "/account/email"])
def test_codes_of_the_account_pages_stop_working_after_ten_wrong_codes(make_app, path, reasons):
    app = make_app(FLASK_LIMIT_PROOFS="100 per 15 minutes")
    visitor = Visitor(app)
    visitor.sign_in_by_link(ADA)
    if path == "/account/confirm":
        page = visitor.post(path, {"mail": "code"})
        form = {"proof": proof_in(page)}
    else:
        visitor.post(path, {"email": "bob@example.org"})
        form = {}
    code = mails.CODE.search(mails.text_of(mails.outbox(app)[0]))[0]
    for _ in range(9):
        response = visitor.post(path, form | {"code": "CDFG-HJKM"})
    expect(response, 429)
    # The page still takes the right one.
    assert parse(response).find(".//input[@name='code']") is not None
    visitor.post(path, form | {"code": "CDFG-HJKM"})
    visitor.post(path, form | {"code": code})
    assert reasons == ["wrong_code"] * 5 + ["too_many_wrong_codes"] * 5 + ["already_used"]


# Passkeys and proofs.


def test_passkey_answers_are_counted_per_client_only(make_app, reasons, phone):
    app = make_app(FLASK_LIMIT_PASSKEY_ANSWERS="3 per 15 minutes")
    owner = at(app, "192.0.2.1")
    owner.sign_in_by_link(ADA)
    owner.make_passkey(phone)
    owner.sign_out()
    stranger = at(app, "192.0.2.2")
    for _ in range(3):
        expect(stranger.authenticate("x"), 400)
    response = expect(stranger.authenticate(phone.get(stranger.request_options())), 429)
    assert "You can try again in 15 minutes." in stranger.alert(response)
    assert reasons[-1] == "too_many_passkey_answers"
    owner.sign_in_by_passkey(phone)


def test_limited_answer_does_not_spend_its_challenge(make_app, phone):
    app = make_app(FLASK_LIMIT_PASSKEY_ANSWERS="2 per 1 minute")
    visitor = Visitor(app)
    visitor.sign_in_by_link(ADA)
    visitor.make_passkey(phone)
    visitor.sign_out()
    credential = phone.get(visitor.request_options())
    expect(visitor.authenticate("x"), 400)
    expect(visitor.authenticate(credential), 429)
    with time_machine.travel(now() + timedelta(minutes=1)):
        expect(visitor.authenticate(credential), 303)


def test_recovery_codes_are_counted_per_account_and_client(make_app, phone, reasons):
    app = make_app(FLASK_LIMIT_PROOFS="3 per 15 minutes")
    owner = at(app, "192.0.2.1")
    owner.sign_in_by_link(ADA)
    owner.make_passkey(phone)
    codes = owner.require_passkey()
    thief, other = at(app, "192.0.2.2"), at(app, "192.0.2.3")
    token = thief.open_second_step(ADA)
    for _ in range(3):
        expect(thief.post("/sign-in/second-step", {"token": token, "code": "x"}), 400)
    expect(thief.post("/sign-in/second-step", {"token": token, "code": codes[0]}), 429)
    assert reasons[-1] == "too_many_proofs"
    expect(other.post("/sign-in/second-step", {"token": other.open_second_step(ADA), "code": codes[0]}), 303)
    # Proofs by passkey and by code share this count, and so do account changes.
    expect(owner.post("/account/confirm", {"credential": "x"}), 429)


# All of them.


def test_limits_can_be_turned_off_on_localhost(make_app):
    app = make_app(FLASK_LIMITS_ENABLED="false")
    visitor = Visitor(app)
    for _ in range(8):
        expect(visitor.ask(ADA), 303)
    for _ in range(12):
        expect(visitor.post("/sign-in/code", {"code": "CDFG-HJKM"}), 400)
    expect(visitor.post("/sign-in/code", {"code": visitor.read_mail().code}), 303)
    assert counters(app) == {}


def test_counters_contain_no_address(app, snapshot):
    ask(app, 1)
    assert snapshot()["counters"]
    assert ADA not in repr(snapshot())


def test_new_counters_delete_expired_ones(app):
    ask(app, 1)
    with time_machine.travel(now() + timedelta(hours=2)), app.app_context():
        # One in sixteen sweeps, by chance. It is practically impossible that none of 300 does.
        for number in range(300):
            limits.take(proofs=(str(number), "client"))
        db.session.commit()
    assert len(counters(app)) == 300


def test_limits_taken_at_once_in_another_order_cause_no_deadlock(app):
    """PostgreSQL would report a deadlock. SQLite has only one writer."""
    wanted = [("mails", ("a",)), ("proofs", ("b",))]

    def take(number: int) -> None:
        with app.app_context(), suppress(TooMany):
            limits.take(**dict(wanted if number % 2 else reversed(wanted)))
            db.session.commit()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(take, range(200)))
    assert sorted(counters(app).values()) == [5, 5]


def test_counter_from_the_future_starts_again(app):
    with time_machine.travel(now() + timedelta(days=365)):
        ask(app, 5)
    ask(app, 5)
    expect(at(app, "127.0.0.1").ask(ADA), 429)


def test_account_changes_are_limited_too(make_app, phone, reasons):
    owner = Visitor(make_app(FLASK_LIMIT_PROOFS="3 per 15 minutes"))
    owner.sign_in_by_link(ADA)
    owner.make_passkey(phone)
    expect(owner.post("/account/recovery-codes"), 200)
    expect(owner.post("/account/passkeys/1/rename", {"name": "phone"}), 303)
    for path in ("/account/passkeys/1/rename", "/account/recovery-codes"):
        response = expect(owner.post(path, {"name": "phone"}), 429)
        assert "You can try again in 15 minutes." in owner.alert(response)
    assert reasons == ["too_many_proofs"] * 2


def test_session_has_one_count_for_all_its_ip_addresses(make_app, reasons):
    """Each of these requests sends a mail to the owner."""
    owner = Visitor(make_app(FLASK_LIMIT_PROOFS="3 per 15 minutes"))
    owner.sign_in_by_link(ADA)
    for number in range(3):
        owner.client.environ_base["REMOTE_ADDR"] = f"2001:db8:0:{number}::1"
        expect(owner.post("/account/recovery-codes"), 200)
    owner.client.environ_base["REMOTE_ADDR"] = "2001:db8:0:3::1"
    expect(owner.post("/account/recovery-codes"), 429)
    assert reasons == ["too_many_proofs"]


@pytest.mark.parametrize(
    ("path", "form", "status"),
    [
        ("/account/delete", {}, 403),
        # A recovery code is no proof while email is enough.
        ("/account/recovery-codes", {"recovery_code": "CDFG-HJKM-CDFG-HJKM"}, 403),
        ("/account/passkeys", {}, 303),
        ("/account/passkeys", {"credential": "x"}, 400),
        ("/account/passkeys/1/rename", {"name": ""}, 400),
        ("/account/passkeys/99/rename", {"name": "phone"}, 404),
    ],
)
def test_old_cookie_without_proof_does_not_use_up_the_owners_limit(make_app, phone, path, form, status):
    owner = Visitor(make_app(FLASK_LIMIT_PROOFS="3 per 15 minutes"))
    owner.sign_in_by_link(ADA)
    owner.make_passkey(phone)
    with time_machine.travel(now() + 2 * PROOF_LIFETIME):
        thief = owner.twin()
        for _ in range(4):
            expect(thief.post(path, form), status)
        options = owner.confirmation_options()
        expect(owner.post("/account/delete", {"credential": as_text(phone.get(options))}), 303)


def test_wrong_proofs_count_before_they_are_checked(make_app, phone, reasons):
    owner = Visitor(make_app(FLASK_LIMIT_PROOFS="3 per 15 minutes"))
    owner.sign_in_by_link(ADA)
    page = owner.post("/account/confirm", {"mail": "code"})
    proof, code = proof_in(page), owner.read_code(ADA)
    with time_machine.travel(now() + timedelta(minutes=9)):
        for _ in range(3):
            expect(owner.post("/account/confirm", {"proof": proof, "code": "CDFG-HJKM"}), 403)
        expect(owner.post("/account/confirm", {"proof": proof, "code": code}), 429)
    assert reasons == ["wrong_code"] * 3 + ["too_many_proofs"]


def test_expired_counters_are_swept(app):
    ask(app, 1)
    with time_machine.travel(now() + timedelta(hours=2)), app.app_context():
        assert limits.sweep() == 4
        db.session.commit()
    assert counters(app) == {}


@pytest.mark.parametrize(
    "text", ["", "5", "5 per minute", "0 per 5 minutes", "5 per 0 minutes", "-1 per 5 minutes", "5/15m"]
)
def test_site_with_an_invalid_limit_does_not_start(tmp_path, text):
    with pytest.raises(ConfigurationError, match=r"FLASK_LIMIT_MAILS=.*say it like this: 5 per 15 minutes"):
        create_app({"FLASK_LIMIT_MAILS": text}, str(tmp_path))


def test_limit_is_read_from_its_text(make_app):
    assert make_app(FLASK_LIMIT_MAILS=" 1 per 1 minute ").config["LIMITS"]["mails"] == Limit(1, 1)


def _take(uri: str, instance: str) -> int:
    """Take one limit with four threads, in a process of its own. Return how often that succeeded."""
    app = create_app({"FLASK_SQLALCHEMY_DATABASE_URI": uri, "FLASK_LIMIT_PROOFS": "37 per 15 minutes"}, instance)

    def take(_: int) -> int:
        with app.app_context():
            try:
                limits.take(proofs=("1", "client"))
            except TooMany:
                return 0
            db.session.commit()
            return 1

    with ThreadPoolExecutor(4) as pool:
        return sum(pool.map(take, range(20)))


@pytest.mark.slow
def test_four_processes_of_four_threads_count_exactly(app):
    spawn = multiprocessing.get_context("spawn")
    uri = database_uri(app)
    with spawn.Pool(4) as pool:
        taken = pool.starmap(_take, [(uri, app.instance_path)] * 4)
    assert sum(taken) == 37


def test_answers_that_create_a_passkey_are_counted_too(make_app):
    app = make_app(FLASK_LIMIT_PASSKEY_ANSWERS="2 per 15 minutes")
    visitor = Visitor(app)
    visitor.sign_in_by_link(ADA)
    for _ in range(2):
        expect(visitor.register("x"), 400)
    expect(visitor.register(Authenticator().create(visitor.creation_options())), 429)
