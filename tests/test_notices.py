"""Notices to owners: none is lost, no request waits for one, and one account's mail doesn't delay another's."""

import asyncio
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from threading import Event

import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, select, text, update

from app import mailer, notices
from app.activity import Client
from app.database import db
from app.models import Activity, Notice, User, now
from bench import server as servers
from bench.server import Server
from bench.visitor import Browser, open_mail
from tests import mails
from tests.conftest import ADA, EVE, ROOT, Visitor, at_once, database_uri, expect
from tests.smtp import Mailbox, free_port, smtp_server
from tests.test_mailer import Choosy, strange_server, take_all_but_the_last_word, until_they_hang_up

CODES_MADE = "New recovery codes were made for your account"
SOMEBODY = Client("Chrome on Linux", "192.0.2.1")


@pytest.fixture
def mailbox() -> Mailbox:
    """Return an empty mailbox."""
    return Mailbox()


@pytest.fixture
def ada(visitor) -> Visitor:
    """Return Ada, who has signed in by email and has no passkey."""
    visitor.sign_in_by_link(ADA)
    return visitor


@contextmanager
def mail_server(app: Flask, port: int) -> Iterator[None]:
    """Make the site use the mail server at this port of localhost instead of its outbox."""
    app.config.update(MAIL_SERVER="127.0.0.1", MAIL_PORT=port, MAIL_USE_TLS=False)
    yield
    app.config.update(MAIL_SERVER="")


def add(app: Flask, user_id: int, recipient: str, count: int = 1) -> None:
    """Store so many notices."""
    with app.app_context():
        for _ in range(count):
            notices.add(user_id, recipient, "recovery_codes_made", SOMEBODY)
        db.session.commit()


def waiting(app: Flask) -> list[Notice]:
    """Return the notices that were not sent yet."""
    with app.app_context():
        return list(db.session.scalars(select(Notice).order_by(Notice.id)))


def named(events: list, name: str) -> list[dict]:
    """Return the fields of the events with this name."""
    return [event.fields for event in events if event.name == name]


# The events that send a notice.


def test_passkey_that_is_added_or_removed_sends_a_notice(ada, app, phone):
    ada.make_passkey(phone)
    ada.post("/account/passkeys/1/remove")
    assert mails.notices(app) == [
        (ADA, "A passkey was removed from your account"),
        (ADA, "A passkey was added to your account"),
    ]


def test_notice_that_cannot_be_sent_is_logged_and_stops_nothing(make_app, site_log, phone):
    visitor = Visitor(make_app())
    visitor.sign_in_by_link(ADA)
    visitor.app.config["MAIL_SERVER"], visitor.app.config["MAIL_PORT"] = "localhost", 1
    visitor.app.extensions["mail"].server, visitor.app.extensions["mail"].port = "localhost", 1
    visitor.make_passkey(phone)
    mails.deliver_notices(visitor.app)
    assert "notice_not_sent" in [event.name for event in site_log.events]


# The stored notice.


def test_event_and_notice_are_committed_together_or_not_at_all(ada, app, snapshot):
    with app.app_context():
        db.session.execute(text("DROP TABLE notices"))
        db.session.execute(text("CREATE TABLE notices (id INTEGER)"))
        db.session.commit()
    expect(ada.post("/account/recovery-codes"), 503)
    with app.app_context():
        assert db.session.scalars(select(Activity.kind)).all() == ["signed_in"]
        assert db.session.scalar(text("SELECT count(*) FROM recovery_codes")) == 0


def test_notice_that_is_sent_late_names_the_time_and_browser_of_its_event(ada, app, clock):
    happened = now()
    expect(ada.post("/account/recovery-codes", headers={"User-Agent": "Mozilla/5.0 (X11; Linux) Firefox/140.0"}), 200)
    clock.shift(timedelta(hours=5))
    [mail, _] = mails.outbox(app)
    assert mail["Subject"] == CODES_MADE
    [who] = [line for line in mails.text_of(mail).splitlines() if line.startswith("Who did it")]
    assert who == f"Who did it: Firefox on Linux, from 127.0.0.1, on {happened:%-d %B %Y at %H:%M} UTC."


def test_notice_of_a_deletion_arrives_when_the_account_is_gone(ada, app):
    expect(ada.post("/account/delete"), 303)
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(User)) == 0
    [notice] = waiting(app)
    assert (notice.user_id, notice.recipient, notice.kind) == (1, ADA, "account_deleted")
    assert mails.notices(app) == [(ADA, "Your account is deleted")]
    assert not waiting(app)


# A mail server that fails.


def test_notice_waits_for_a_mail_server_that_is_down_and_comes_back(ada, app, mailbox, events, clock):
    with mail_server(app, free_port()):
        expect(ada.post("/account/recovery-codes"), 200)
        mails.deliver_notices(app)
    [failed] = named(events, "notice_not_sent")
    assert failed["user"] == 1
    assert (failed["kind"], failed["reason"]) == ("recovery_codes_made", "mail_server_unreachable")
    with smtp_server(mailbox) as port, mail_server(app, port):
        mails.deliver_notices(app)
        assert not mailbox.messages
        clock.shift(timedelta(minutes=1))
        mails.deliver_notices(app)
    [mail] = mailbox.messages
    assert (mail["To"], mail["Subject"]) == (ADA, CODES_MADE)
    assert not waiting(app)


def test_pauses_between_tries_grow_up_to_an_hour(app, events, clock):
    """Checked for all tries of three days."""
    add(app, 1, ADA)
    with mail_server(app, free_port()):
        mails.deliver_notices(app)
        for tries, minutes in enumerate([1, 2, 4, 8, 16, 32] + 70 * [60], 1):
            clock.shift(timedelta(minutes=minutes, seconds=-1))
            mails.deliver_notices(app)
            assert len(named(events, "notice_not_sent")) == tries
            clock.shift(1)
            mails.deliver_notices(app)
            assert len(named(events, "notice_not_sent")) == tries + 1


def test_notice_is_tried_every_hour_of_the_three_days(app, events, clock):
    add(app, 1, ADA)
    with mail_server(app, free_port()):
        for _ in range(3 * 24):
            mails.deliver_notices(app)
            clock.shift(timedelta(hours=1))
    assert len(named(events, "notice_not_sent")) == 3 * 24


def test_notice_is_given_up_after_three_days_and_logged_without_its_address(app, events, clock):
    add(app, 1, ADA)
    with mail_server(app, free_port()):
        clock.shift(timedelta(days=3, seconds=-1))
        mails.deliver_notices(app)
        assert waiting(app)
        clock.shift(timedelta(hours=1))
        mails.deliver_notices(app)
    assert not waiting(app)
    [given_up] = named(events, "notice_given_up")
    assert (given_up["kind"], given_up["reason"]) == ("recovery_codes_made", "mail_server_unreachable")
    assert ADA not in repr(events)


def test_site_that_was_off_for_four_days_sends_its_notices(app, clock):
    add(app, 1, ADA)
    clock.shift(timedelta(days=4))
    assert mails.notices(app) == [(ADA, CODES_MADE)]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [("550 sending quota exceeded", "recipient_refused"), ("451 greylisted, come back later", "mail_refused")],
)
def test_notice_is_kept_when_the_mail_server_refuses_it(app, events, answer, reason):
    """A server may answer 5xx while a quota is used up, and a thief can use it up."""
    add(app, 1, ADA)
    with smtp_server(Choosy(answer)) as port, mail_server(app, port):
        mails.deliver_notices(app)
    assert len(waiting(app)) == 1
    [event] = named(events, "notice_not_sent")
    assert event["reason"] == reason


def test_broken_rows_do_not_keep_other_accounts_notices_waiting(app, events):
    for user_id in (1, 2):
        add(app, user_id, EVE)
    with app.app_context():
        db.session.execute(update(Notice).values(context="broken"))
        db.session.commit()
    add(app, 3, ADA)
    assert mails.notices(app) == [(ADA, CODES_MADE)]
    assert [event["reason"] for event in named(events, "notice_not_sent")] == ["broken_notice"] * 2
    assert [notice.recipient for notice in waiting(app)] == [EVE, EVE]


def test_notice_of_a_clock_that_was_ahead_is_sent_now(app):
    with time_machine.travel(now() + timedelta(days=30)):
        add(app, 1, ADA)
    assert mails.notices(app) == [(ADA, CODES_MADE)]


def test_notice_that_the_server_took_without_answering_counts_as_sent(app, events, monkeypatch):
    monkeypatch.setattr(mailer, "SECONDS_PER_ANSWER", 0.5)
    add(app, 1, ADA)

    def talk(line) -> None:
        take_all_but_the_last_word(line)
        until_they_hang_up(line)

    with strange_server(talk) as port, mail_server(app, port):
        mails.deliver_notices(app)
    assert len(named(events, "mail_unanswered")) == 1
    assert not waiting(app)


def test_notice_waits_for_a_free_connection_and_is_not_claimed_meanwhile(app):
    add(app, 1, ADA)
    with ThreadPoolExecutor(1) as thread:
        with ExitStack() as others:
            for _ in range(4):
                others.enter_context(mailer.connection_slot())
            sending = thread.submit(mails.deliver_notices, app)
            with pytest.raises(TimeoutError):
                sending.result(2 * mailer.SECONDS_FOR_A_SLOT)
            assert [notice.tries for notice in waiting(app)] == [0]
        sending.result()
    assert not waiting(app)


def test_page_says_that_mail_is_delayed_once_a_notice_has_waited_for_five_minutes(ada, stranger, app, clock):
    stranger.sign_in_by_link(EVE)
    expect(ada.post("/account/recovery-codes"), 200)
    clock.shift(timedelta(minutes=4, seconds=59))
    assert "Mail about your account is delayed" not in ada.get("/account").text
    clock.shift(1)
    assert "Mail about your account is delayed" in ada.get("/account").text
    assert "Mail about your account is delayed" not in stranger.get("/account").text
    mails.deliver_notices(app)
    assert "Mail about your account is delayed" not in ada.get("/account").text


# The order.


class Interrupted(Mailbox):
    """A mailbox that calls a function when the third mail has arrived, before the server answers."""

    def __init__(self, happens: Callable[[], None]):
        super().__init__()
        self.happens = happens

    async def handle_DATA(self, *args) -> str:  # noqa: N802
        answer = await super().handle_DATA(*args)
        if len(self.envelopes) == 3:
            await asyncio.to_thread(self.happens)
        return answer


@pytest.mark.parametrize("user_id", [1, 3])
def test_account_with_many_notices_delays_anothers_by_one_mail(app, user_id):
    add(app, 2, EVE, 20)
    mailbox = Interrupted(lambda: add(app, user_id, ADA, 2))
    with smtp_server(mailbox) as port, mail_server(app, port):
        mails.deliver_notices(app)
    assert [mail["To"] for mail in mailbox.messages] == [EVE] * 3 + [ADA, EVE, ADA] + [EVE] * 16


def test_notices_of_an_account_come_in_the_order_of_events(ada, app, phone):
    ada.make_passkey(phone)
    ada.require_passkey()
    expect(ada.post("/account/require-passkey", {"require": "no"}), 303)
    assert [subject for _, subject in reversed(mails.notices(app))] == [
        "A passkey was added to your account",
        CODES_MADE,
        "Your account requires a passkey now",
        "Your account no longer requires a passkey",
    ]


def test_each_notice_is_sent_once_by_many_threads(app):
    for user_id in range(1, 11):
        add(app, user_id, f"user{user_id}@example.org", 10)
    at_once(mails.deliver_notices, [app] * 16)
    assert not waiting(app)
    assert [*Counter(mail["Message-ID"] for mail in mails.outbox(app)).values()] == [1] * 100


# Processes.


class Gated(Mailbox):
    """A mailbox that accepts a mail at once, but answers only while its gate is open."""

    def __init__(self):
        super().__init__()
        self.gate = Event()
        self.gate.set()

    async def handle_DATA(self, *args) -> str:  # noqa: N802
        answer = await super().handle_DATA(*args)
        await asyncio.to_thread(self.gate.wait)
        return answer


@pytest.fixture
def gated() -> Iterator[Gated]:
    """Yield an empty mailbox with an open gate."""
    mailbox = Gated()
    yield mailbox
    mailbox.gate.set()


@pytest.fixture
def serve(app, tmp_path) -> Callable[..., Server]:
    """Return a site that runs in its own processes, with the database of `app`: `serve(mailbox, workers=2)`."""

    def site(mailbox: Mailbox, workers: int = 1) -> Server:
        environ = {"FLASK_SQLALCHEMY_DATABASE_URI": database_uri(app)}
        return servers.site(tmp_path / "site", free_port(), workers, mailbox, **environ)

    return site


def signed_in(site: Server, email: str) -> Browser:
    """Return a browser that is signed in."""
    browser = Browser(site)
    open_mail(browser, site, email)
    # The server would hang up on a browser that does nothing for two seconds.
    browser.close()
    return browser


def make_codes(browser: Browser) -> None:
    """Make recovery codes. That stores a notice."""
    assert browser.post_and_stay("/account/recovery-codes") == 200


def test_request_on_the_same_connection_does_not_wait_for_a_notice(serve, gated):
    site = serve(gated)
    with site.running(), signed_in(site, ADA) as browser:
        gated.gate.clear()
        make_codes(browser)
        gated.wait_for(1)
        # Now the notice's thread waits for the mail server, and no request does.
        assert "Your account" in browser.get("/account")
        make_codes(browser)
        assert len(gated.messages) == 1
        gated.gate.set()
        assert [mail["Subject"] for mail in gated.wait_for(2)] == [CODES_MADE] * 2


def test_slow_mail_server_and_other_accounts_mail_do_not_lose_or_delay_a_notice(serve, gated):
    site = serve(gated)
    with site.running(), signed_in(site, EVE) as eve, signed_in(site, ADA) as ada:
        gated.gate.clear()
        for _ in range(12):
            make_codes(eve)
        gated.wait_for(1)
        for _ in range(5):
            make_codes(ada)
        gated.gate.set()
        recipients = [mail["To"] for mail in gated.wait_for(17)]
    assert recipients == [EVE, ADA] * 5 + [EVE] * 7


def test_each_notice_is_sent_once_by_many_processes(app, serve, mailbox):
    for user_id in range(1, 6):
        add(app, user_id, f"user{user_id}@example.org", 8)
    with serve(mailbox, workers=3).running():
        mailbox.wait_for(40)
    assert [*Counter(mail["Message-ID"] for mail in mailbox.messages).values()] == [1] * 40
    assert not waiting(app)


def test_kill_loses_no_notice(app, serve, gated):
    """Kill the server (SIGKILL) while one mail is sent but not answered, and others are stored but not sent."""
    site = serve(gated)
    with site.running():
        people = [signed_in(site, f"user{number}@example.org") for number in range(8)]
        gated.gate.clear()
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(make_codes, people))
        gated.wait_for(1)
        site.kill()
        for browser in people:
            browser.close()
        gated.gate.set()
    assert len(gated.messages) == 1
    with app.app_context():
        made = db.session.scalar(select(func.count()).where(Activity.kind == "recovery_codes_made"))
        assert made == 8
        # After a minute, the claims of the killed process have expired.
        db.session.execute(update(Notice).values(next_try=now()))
        db.session.commit()
    with site.running():
        sent = Counter(mail["Message-ID"] for mail in gated.wait_for(9))
    assert sorted(sent.values()) == [1] * 7 + [2]
    assert sent[gated.messages[0]["Message-ID"]] == 2
    assert not waiting(app)


def test_process_that_stops_finishes_the_notice_in_hand_and_begins_no_other(app, serve, gated):
    """Stop the server (SIGTERM) while one mail is sent but not answered."""
    site = serve(gated)
    with ThreadPoolExecutor(1) as pool, site.running(), signed_in(site, ADA) as ada:
        gated.gate.clear()
        make_codes(ada)
        gated.wait_for(1)
        make_codes(ada)
        ada.close()
        stopping = pool.submit(site.stop)
        # A process that doesn't wait would stop within three seconds.
        with pytest.raises(TimeoutError):
            stopping.result(3)
        gated.gate.set()
        stopping.result()
    assert len(gated.messages) == 1
    assert [notice.tries for notice in waiting(app)] == [0]


def test_claim_of_a_killed_process_ends_after_a_minute(app, clock):
    add(app, 1, ADA)
    with app.app_context():
        assert notices._claim(0, None)
    clock.shift(59)
    assert mails.notices(app) == []
    clock.shift(1)
    assert mails.notices(app) == [(ADA, CODES_MADE)]


def test_thread_survives_a_notice_that_breaks_it(app, serve, mailbox):
    add(app, 1, ADA)
    with app.app_context():
        db.session.execute(update(Notice).values(context="broken"))
        db.session.commit()
    site = serve(mailbox)
    with site.running(), signed_in(site, EVE) as eve:
        make_codes(eve)
        mailbox.wait_for(1)
    logged = [line for line in site.log.read_text().splitlines() if line.startswith("unhandled exception")]
    assert logged == ["unhandled exception: route notices"]
    assert [notice.recipient for notice in waiting(app)] == [ADA]


@pytest.mark.parametrize(("environ", "count"), [({}, 1), ({"FLASK_RUN_FROM_CLI": "true"}, 0)])
def test_thread_runs_where_the_site_is_served_and_not_in_commands(app, environ, count):
    environ = os.environ | {"FLASK_SQLALCHEMY_DATABASE_URI": database_uri(app)} | environ
    command = "import threading, wsgi; print(*[thread.name for thread in threading.enumerate()])"
    printed = subprocess.run([sys.executable, "-c", command], cwd=ROOT, env=environ, check=True, capture_output=True)
    assert printed.stdout.split().count(b"notices") == count


def test_notice_that_is_claimed_again_has_the_values_of_its_row(app, clock):
    """An object of the first claim may still be in use. Another process may have tried meanwhile."""
    add(app, 1, ADA)
    with app.app_context():
        first = notices._claim(0, None)
        assert first.tries == 1
        with db.engine.begin() as other_process:
            other_process.execute(update(Notice).values(tries=5))
        clock.shift(notices.CLAIM_LIFETIME)
        assert notices._claim(0, None).tries == 6
        assert first.tries == 6
