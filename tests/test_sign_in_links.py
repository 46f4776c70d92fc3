"""The sign-in mail: its link and its code work once, in the browser that asked for them."""

from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from html import unescape

import pytest
from itsdangerous import URLSafeTimedSerializer
from sqlalchemy import select, text

from app.database import db
from app.models import User
from app.sign_in_links import LINK_LIFETIME, SEND_AGAIN_AFTER
from authenticator import decode
from tests import mails
from tests.conftest import ADA, Mail, Visitor, expect, parse, text_of

FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
ONE_SECOND = timedelta(seconds=1)


@pytest.fixture
def mail(visitor) -> Mail:
    """Return the mail that the visitor asked for with Firefox on Windows."""
    expect(visitor.post("/sign-in", {"email": ADA}, headers={"User-Agent": FIREFOX}), 303)
    return visitor.read_mail()


@pytest.fixture
def known(visitor) -> Visitor:
    """Return a visitor who has an account and is signed out."""
    visitor.sign_in_by_link(ADA)
    visitor.sign_out()
    return visitor


# The link, in the browser that asked.


def test_opening_a_link_many_times_changes_nothing(visitor, mail, unchanged):
    with unchanged():
        for _ in range(5):
            expect(visitor.get(mail.link), 200)
            expect(visitor.client.head(mail.link, base_url=visitor.site_url), 200)
    assert not visitor.is_signed_in()
    expect(visitor.post(mail.link), 303)


def test_page_of_a_link_names_the_account(visitor, mail):
    assert ADA in text_of(parse(visitor.get(mail.link)).find(".//main"))


def test_first_sign_in_leads_to_the_offer_and_the_next_to_the_account(visitor):
    assert visitor.sign_in_by_link(ADA).location == "/account/welcome"
    visitor.sign_out()
    assert visitor.sign_in_by_link(ADA).location == "/account"


def test_account_is_created_only_when_its_address_is_proven(visitor, app, unchanged):
    with unchanged():
        visitor.ask(ADA)
        visitor.get("/sign-in/check-email")
        visitor.get(visitor.read_mail().link)
    visitor.post(visitor.read_mail().link)
    with app.app_context():
        assert db.session.scalars(select(User.email)).all() == [ADA]


# The link, in another browser.


def test_link_in_another_browser_shows_the_code_and_the_browser_that_asked(stranger, mail, unchanged):
    with unchanged():
        response = expect(stranger.get(mail.link), 200)
    text = text_of(parse(response).find(".//main"))
    assert mail.code in text
    assert "Firefox on Windows" in text
    assert "http://localhost:8000" in text
    assert ADA not in text


def test_link_does_not_sign_in_another_browser(visitor, stranger, mail, unchanged, reasons):
    with unchanged():
        response = expect(stranger.post(mail.link), 403)
    assert stranger.alert(response)
    assert reasons == ["other_browser"]
    assert not stranger.is_signed_in()
    expect(visitor.post(mail.link), 303)


# Dead links.


def test_link_works_until_the_last_second(visitor, mail, clock):
    clock.shift(LINK_LIFETIME - 2 * ONE_SECOND)
    expect(visitor.post(mail.link), 303)


def assert_dead(visitor: Visitor, link: str, reason: str, reasons: list[str]) -> None:
    """Assert that the link can't be opened and doesn't sign in, and that each page says so."""
    for send in (visitor.get, visitor.post):
        reasons.clear()
        assert visitor.alert(expect(send(link), 410))
        assert reasons == [reason]


def test_expired_link_is_refused(visitor, mail, clock, unchanged, reasons):
    clock.shift(LINK_LIFETIME)
    with unchanged():
        assert_dead(visitor, mail.link, "expired", reasons)


@pytest.mark.parametrize(
    "damage",
    [
        lambda token: token[:-5],
        lambda token: ("b" if token[0] == "a" else "a") + token[1:],
        lambda token: token.rpartition(".")[0],
        lambda token: "x",
        lambda token: "\0ü.\ud7ff.💌",
    ],
    ids=["cut off", "tampered with", "without its signature", "not a token", "not even text"],
)
def test_damaged_link_is_refused(visitor, mail, damage, unchanged, reasons):
    path, _, token = mail.link.rpartition("/")
    with unchanged():
        assert_dead(visitor, f"{path}/{damage(token)}", "malformed_token", reasons)


def test_token_for_another_purpose_is_not_a_link(visitor, mail, unchanged, reasons):
    challenge = decode(visitor.request_options()["challenge"]).decode()
    with unchanged():
        assert_dead(visitor, f"/sign-in/link/{challenge}", "malformed_token", reasons)


def test_used_link_is_refused(visitor, stranger, mail, unchanged, reasons):
    visitor.post(mail.link)
    with unchanged():
        assert_dead(stranger, mail.link, "already_used", reasons)


def test_used_link_shows_its_visitor_that_they_are_signed_in(visitor, mail, unchanged, reasons):
    visitor.post(mail.link)
    with unchanged():
        for send in (visitor.get, visitor.post):
            response = expect(send(mail.link), 200)
            assert f"signed in already This link was used already. You’re signed in as {ADA}" in text_of(
                parse(response)
            )
            assert not visitor.alert(response)
    assert reasons == []


# The code.


@pytest.mark.parametrize(
    "write",
    [
        str,
        str.lower,
        lambda code: code.replace("-", ""),
        lambda code: f"  {code.replace('-', ' ')}\n",
        lambda code: " ".join(code.replace("-", "\N{EN DASH}").lower()),
    ],
    ids=["as it is", "lower case", "without the dash", "with spaces", "all of it"],
)
def test_code_signs_in_in_any_spelling(visitor, mail, write):
    assert expect(visitor.type_code(write(mail.code)), 303).location == "/account/welcome"
    assert visitor.is_signed_in()


def test_wrong_code_is_refused_and_spends_nothing(visitor, mail, unchanged, reasons):
    for wrong in (mail.code[:-1], mail.code + "C", mail.code[::-1], "ÇÐ", ""):
        with unchanged():
            assert visitor.alert(expect(visitor.type_code(wrong), 400))
    assert reasons == ["wrong_code"] * 5
    expect(visitor.type_code(mail.code), 303)


def test_code_does_not_work_in_a_browser_that_did_not_ask(stranger, mail, unchanged, reasons):
    with unchanged():
        assert stranger.alert(expect(stranger.type_code(mail.code), 400))
    assert reasons == ["no_request"]


def test_code_does_not_work_for_another_request(stranger, mail, unchanged, reasons):
    stranger.ask("stranger@example.org")
    with unchanged():
        expect(stranger.type_code(mail.code), 400)
    assert reasons == ["wrong_code"]


def test_expired_code_is_refused(visitor, mail, clock, unchanged, reasons):
    clock.shift(LINK_LIFETIME)
    with unchanged():
        assert visitor.alert(expect(visitor.type_code(mail.code), 400))
    assert reasons == ["expired"]


def test_code_is_refused_after_its_link(visitor, mail, unchanged, reasons):
    other_tab = visitor.twin()
    visitor.post(mail.link)
    with unchanged():
        assert other_tab.alert(expect(other_tab.type_code(mail.code), 400))
    assert reasons == ["already_used"]


def test_link_is_refused_after_its_code(visitor, mail, unchanged, reasons):
    other_tab = visitor.twin()
    visitor.type_code(mail.code)
    with unchanged():
        assert_dead(other_tab, mail.link, "already_used", reasons)


def test_code_typed_again_in_a_second_tab_leads_to_the_account(visitor, mail):
    visitor.post(mail.link)
    assert expect(visitor.type_code(mail.code), 303).location == "/account"


# Sending again.


def test_sending_again_at_once_is_refused(visitor, mail, app, clock, reasons):
    expect(visitor.ask("grace@example.org"), 303)
    clock.shift(SEND_AGAIN_AFTER - ONE_SECOND)
    before = len(mails.outbox(app))
    response = expect(visitor.ask("grace@example.org"), 429)
    assert visitor.alert(response)
    assert 1 <= int(response.headers["Retry-After"]) <= 2
    assert reasons == ["too_soon"]
    assert len(mails.outbox(app)) == before


@pytest.mark.parametrize("used", ["first", "second"])
def test_sending_again_repeats_the_request(visitor, mail, clock, used, reasons):
    clock.shift(SEND_AGAIN_AFTER)
    expect(visitor.ask(ADA), 303)
    again = visitor.read_mail()
    assert again.code == mail.code
    assert again.link != mail.link

    other_tab = visitor.twin()
    used, late = (mail, again) if used == "first" else (again, mail)
    expect(visitor.post(used.link), 303)
    expect(other_tab.post(late.link), 410)
    assert reasons == ["already_used"]


def test_another_address_replaces_the_request(visitor, mail, reasons):
    expect(visitor.ask("grace@example.org"), 303)
    expect(visitor.type_code(mail.code), 400)
    # Not `other_browser`: this browser asked for that mail before it asked for the newer one.
    expect(visitor.post(mail.link), 410)
    assert reasons == ["wrong_code", "newer_mail"]
    expect(visitor.type_code(visitor.read_mail().code), 303)
    assert "grace@example.org" in visitor.get("/account").text


def test_link_and_code_expire_ten_minutes_after_the_first_mail(visitor, clock, mail, reasons):
    clock.shift(5 * 60)
    expect(visitor.ask(ADA), 303)
    again = visitor.read_mail()
    assert again.code == mail.code
    clock.shift(5 * 60 - 2)
    for link in (mail.link, again.link):
        expect(visitor.get(link), 200)
    clock.shift(2)
    for link in (mail.link, again.link):
        assert_dead(visitor, link, "expired", reasons)
    reasons.clear()
    expect(visitor.type_code(mail.code), 400)
    assert reasons == ["expired"]


def test_sending_again_with_less_than_five_minutes_left_makes_a_new_link_and_code(visitor, mail, clock):
    clock.shift(5 * 60 + 1)
    expect(visitor.ask(ADA), 303)
    again = visitor.read_mail()
    assert again.code != mail.code
    expect(visitor.type_code(mail.code), 400)
    # The new code has ten minutes of its own.
    clock.shift(10 * 60 - 2)
    expect(visitor.type_code(again.code), 303)


@pytest.mark.parametrize("email", [ADA, "grace@example.org"])
def test_older_link_in_the_browser_that_asked_says_use_the_newer_mail(visitor, mail, clock, unchanged, reasons, email):
    clock.shift(5 * 60 + 2)
    expect(visitor.ask(email), 303)
    newer = visitor.read_mail()
    with unchanged():
        assert_dead(visitor, mail.link, "newer_mail", reasons)
    page = parse(visitor.get(mail.link))
    assert text_of(page.find(".//h1")) == "Use the newer mail"
    assert "/sign-in/check-email" in [link.get("href") for link in page.iter("a")]
    assert mail.code not in text_of(page)
    assert not visitor.is_signed_in()
    expect(visitor.post(newer.link), 303)


def test_older_link_in_another_browser_still_shows_the_code(visitor, stranger, mail):
    expect(visitor.ask("grace@example.org"), 303)
    assert mail.code in text_of(parse(expect(stranger.get(mail.link), 200)))


@pytest.mark.parametrize("way", ["newer mail", "passkey"])
def test_older_link_shows_a_signed_in_visitor_that_they_are_signed_in(known, phone, clock, reasons, way):
    known.sign_in_by_link(ADA)
    known.make_passkey(phone)
    known.sign_out()
    clock.shift(31)
    known.ask(ADA)
    older = known.read_mail()
    if way == "passkey":
        known.sign_in_by_passkey(phone)
    else:
        clock.shift(5 * 60 + 2)
        known.sign_in_by_link(ADA)
    for send in (known.get, known.post):
        page = text_of(parse(expect(send(older.link), 200)))
        assert f"You’re signed in already You’re signed in as {ADA}" in page
    assert reasons == []


def cookie(visitor: Visitor) -> dict:
    """Return the content of the browser's cookie."""
    with visitor.client.session_transaction(base_url=visitor.site_url) as session:
        return dict(session)


def test_browser_forgets_its_request_after_an_hour(visitor, mail, clock):
    clock.shift(59 * 60)
    assert ADA in expect(visitor.get("/sign-in/check-email"), 200).text
    clock.shift(60)
    assert expect(visitor.get("/sign-in/check-email"), 303).location == "/sign-in"
    assert "request" not in cookie(visitor)


@pytest.mark.parametrize(
    "kept",
    [
        {"id": "A" * 22, "email": ADA, "next": "", "asked_at": 1, "sent_at": 1},
        {"id": "A" * 22, "email": ADA, "next": "", "asked_at": "1", "sent_at": "1"},
        {"id": "A" * 22, "email": ADA},
        "nonsense",
        None,
    ],
)
def test_request_that_is_old_or_has_other_fields_is_forgotten(visitor, mail, kept):
    with visitor.client.session_transaction(base_url=visitor.site_url) as session:
        session["request"] = kept
    expect(visitor.get(mail.link), 410)
    assert "request" not in cookie(visitor)
    visitor.sign_in_by_link("grace@example.org")


def test_request_from_the_future_is_forgotten(visitor, clock, reasons):
    """Otherwise its code would work longer than ten minutes."""
    clock.shift(3600)
    visitor.ask(ADA)
    code = visitor.read_mail().code
    clock.shift(-3600)
    expect(visitor.type_code(code), 400)
    assert reasons == ["no_request"]


def test_visitor_can_ask_again_at_once_without_limits(make_app):
    visitor = Visitor(make_app(FLASK_LIMITS_ENABLED="false"))
    expect(visitor.ask(ADA), 303)
    assert "seconds" not in visitor.get("/sign-in/check-email").text
    expect(visitor.ask(ADA), 303)


def test_check_email_page_without_a_request_leads_to_the_sign_in_page(visitor):
    assert expect(visitor.get("/sign-in/check-email"), 303).location == "/sign-in"


# The same answer for every address.


def test_known_and_an_unknown_address_get_the_same_answer(known, stranger, clock):
    # The clock stands still, because pages count seconds down, and page and mail name the time.
    clock.move_to(datetime(2026, 2, 3, 4, 5, tzinfo=UTC), tick=False)
    answers = []
    for visitor, address in ((known, ADA), (stranger, "eve@example.org")):
        clock.shift(1)
        visitor.client.delete_cookie("latchkey-8000")
        asked = visitor.ask(address)
        mail = visitor.read_mail()
        headers = {name: value for name, value in asked.headers.items() if name != "Set-Cookie"}
        text = mail.message.get_body(("plain",)).get_content().replace(mail.link, "LINK").replace(mail.code, "CODE")
        page = visitor.get("/sign-in/check-email").text.replace(address, "ADDRESS")
        answers.append((asked.status, headers, asked.text, page, mail.message["Subject"], text))
    assert answers[0] == answers[1]


# Failures half-way.


def test_next_mail_works_after_a_lost_answer(visitor, stranger):
    """The browser still has the used request in its cookie. Asking again must not repeat that request."""
    visitor.ask(ADA)
    before = visitor.twin()
    expect(visitor.post(visitor.read_mail().link), 303)
    before.app.config["LIMITS_ENABLED"] = False
    expect(before.ask(ADA), 303)
    expect(before.post(before.read_mail().link), 303)
    assert before.is_signed_in()


def test_link_works_again_after_a_failed_commit(visitor, app):
    visitor.ask(ADA)
    mail = visitor.read_mail()
    with app.app_context():
        db.session.execute(text("ALTER TABLE activities RENAME TO away"))
        db.session.commit()
    response = expect(visitor.post(mail.link), 503)
    assert "Set-Cookie" not in response.headers
    with app.app_context():
        db.session.execute(text("ALTER TABLE away RENAME TO activities"))
        db.session.commit()
    expect(visitor.post(mail.link), 303)


# The mail.


def body(message: EmailMessage, subtype: str) -> str:
    """Return the text of a part, with single spaces."""
    return " ".join(unescape(message.get_body((subtype,)).get_content()).split())


@pytest.mark.parametrize("subtype", ["plain", "html"])
def test_mail_names_link_code_browser_ip_address_and_expiry(clock, app, visitor, subtype):
    clock.move_to(datetime(2026, 2, 3, 4, 5, tzinfo=UTC), tick=False)
    visitor.post(
        "/sign-in",
        {"email": ADA},
        headers={"User-Agent": FIREFOX},
        environ_overrides={"REMOTE_ADDR": "203.0.113.7"},
    )
    mail = visitor.read_mail()
    text = body(mail.message, subtype)
    for said in (
        visitor.site_url + mail.link,
        mail.code,
        "Firefox on Windows",
        "203.0.113.7",
        "3 February 2026 at 04:05 UTC",
        "until 04:15 UTC (10 minutes)",
        "Not you? Ignore this mail",
        f"Type it only at {visitor.site_url}",
    ):
        assert said in text, f"the {subtype} part doesn't say {said!r}"
    assert mail.message["To"] == ADA


@pytest.mark.parametrize("subtype", ["plain", "html"])
def test_repeated_mail_says_how_long_it_still_works(clock, visitor, subtype):
    clock.move_to(datetime(2026, 2, 3, 4, 5, tzinfo=UTC), tick=False)
    visitor.ask(ADA)
    clock.shift(3 * 60)
    visitor.ask(ADA)
    assert "until 04:15 UTC (7 minutes)" in body(visitor.read_mail().message, subtype)
    clock.shift(6 * 60)
    assert "The code and the link work until 04:15 UTC (1 minute)." in visitor.get("/sign-in/check-email").text
    clock.shift(60)
    assert "The code and the link have expired. Send the mail again." in visitor.get("/sign-in/check-email").text


def test_link_contains_neither_the_address_nor_the_browsers_id(visitor, mail):
    """A token is signed but not encrypted: everybody who finds it in a browser's history can read it."""
    _, claims = URLSafeTimedSerializer("whatever").loads_unsafe(mail.link.rpartition("/")[2])
    assert "Firefox on Windows" in str(claims)
    assert "ada" not in str(claims)
    assert cookie(visitor)["browser"] not in str(claims)


@pytest.mark.parametrize("strange", ["", "<script>alert(1)</script>", 5000 * "x", "\t\x01ü💌"])
def test_browser_with_any_user_agent_can_sign_in(visitor, strange):
    """The mail, the link, a page and a row contain the name that is made from it."""
    expect(visitor.post("/sign-in", {"email": ADA}, headers={"User-Agent": strange}), 303)
    mail = visitor.read_mail()
    assert "an unknown browser" in body(mail.message, "html")
    expect(visitor.post(mail.link, headers={"User-Agent": strange}), 303)
