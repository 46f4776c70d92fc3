"""The sign-in mail: a link and a code, for the browser that asked, once."""

from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from html import unescape

import pytest
from itsdangerous import URLSafeTimedSerializer
from sqlalchemy import select, text

from app import mailer
from app.database import db
from app.models import Session, User
from app.sign_in_links import LINK_LIFETIME, SEND_AGAIN_AFTER
from tests.authenticator import decode
from tests.conftest import Mail, Visitor, expect, parse, text_of

ADDRESS = "ada@example.org"
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
ONE_SECOND = timedelta(seconds=1)


@pytest.fixture
def mail(visitor) -> Mail:
    """The mail that the visitor asked for, with Firefox on Windows."""
    expect(visitor.post("/sign-in", {"email": ADDRESS}, headers={"User-Agent": FIREFOX}), 303)
    return visitor.read_mail()


@pytest.fixture
def known(visitor) -> Visitor:
    """A visitor who has an account, and is signed out."""
    visitor.sign_in_by_link(ADDRESS)
    visitor.sign_out()
    return visitor


def type_code(visitor: Visitor, code: str):
    """Type the code on the page that waits for it."""
    return visitor.post("/sign-in/code", {"code": code})


def sent(app) -> int:
    """How many messages lie in the outbox."""
    return len(list(mailer.outbox(app).iterdir()))


# The link, in the browser that asked.


def test_opening_a_link_changes_nothing_however_often(visitor, mail, unchanged):
    with unchanged():
        for _ in range(5):
            expect(visitor.get(mail.link), 200)
            expect(visitor.client.head(mail.link, base_url=visitor.site_url), 200)
    assert not visitor.is_signed_in()
    expect(visitor.post(mail.link), 303)


def test_the_page_of_a_link_names_the_account(visitor, mail):
    assert ADDRESS in text_of(parse(visitor.get(mail.link)).find(".//main"))


def test_the_first_sign_in_leads_to_the_offer_and_the_next_to_the_account(visitor):
    assert visitor.sign_in_by_link(ADDRESS).location == "/account/welcome"
    visitor.sign_out()
    assert visitor.sign_in_by_link(ADDRESS).location == "/account"


def test_an_account_is_made_when_its_address_is_proven_and_not_before(visitor, app, unchanged):
    with unchanged():
        visitor.ask(ADDRESS)
        visitor.get("/sign-in/check-email")
        visitor.get(visitor.read_mail().link)
    visitor.post(visitor.read_mail().link)
    with app.app_context():
        assert db.session.scalars(select(User.email)).all() == [ADDRESS]


# The link, in another browser.


def test_a_link_in_another_browser_shows_the_code_and_who_asked(stranger, mail, unchanged):
    with unchanged():
        response = expect(stranger.get(mail.link), 200)
    text = text_of(parse(response).find(".//main"))
    assert mail.code in text
    assert "Firefox on Windows" in text
    assert "http://localhost:8000" in text
    assert ADDRESS not in text


def test_a_link_from_another_browser_signs_nobody_in(visitor, stranger, mail, unchanged, reasons):
    with unchanged():
        response = expect(stranger.post(mail.link), 403)
    assert stranger.alert(response)
    assert reasons == ["other_browser"]
    assert not stranger.is_signed_in()
    expect(visitor.post(mail.link), 303)


# Links that are dead.


def test_a_link_works_until_the_last_second(visitor, mail, clock):
    clock.shift(LINK_LIFETIME - 2 * ONE_SECOND)
    expect(visitor.post(mail.link), 303)


def assert_dead(visitor: Visitor, link: str, reason: str, reasons: list[str]) -> None:
    """Assert that the link neither opens nor signs in, and that both say so."""
    for send in (visitor.get, visitor.post):
        reasons.clear()
        assert visitor.alert(expect(send(link), 410))
        assert reasons == [reason]


def test_an_expired_link_is_refused(visitor, mail, clock, unchanged, reasons):
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
def test_a_damaged_link_is_refused(visitor, mail, damage, unchanged, reasons):
    path, _, token = mail.link.rpartition("/")
    with unchanged():
        assert_dead(visitor, f"{path}/{damage(token)}", "malformed_token", reasons)


def test_a_token_for_another_purpose_is_no_link(visitor, mail, unchanged, reasons):
    challenge = decode(visitor.request_options()["challenge"]).decode()
    with unchanged():
        assert_dead(visitor, f"/sign-in/link/{challenge}", "malformed_token", reasons)


def test_a_used_link_is_refused(visitor, stranger, mail, unchanged, reasons):
    visitor.post(mail.link)
    with unchanged():
        assert_dead(stranger, mail.link, "already_used", reasons)


def test_a_used_link_says_so_to_whom_it_signed_in(visitor, mail, unchanged, reasons):
    visitor.post(mail.link)
    with unchanged():
        for send in (visitor.get, visitor.post):
            response = expect(send(mail.link), 200)
            assert f"signed in already This link was used already. You’re signed in as {ADDRESS}" in text_of(
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
def test_a_code_signs_in_however_it_is_written(visitor, mail, write):
    assert expect(type_code(visitor, write(mail.code)), 303).location == "/account/welcome"
    assert visitor.is_signed_in()


def test_a_wrong_code_is_refused_and_spends_nothing(visitor, mail, unchanged, reasons):
    for wrong in (mail.code[:-1], mail.code + "C", mail.code[::-1], "ÇÐ", ""):
        with unchanged():
            assert visitor.alert(expect(type_code(visitor, wrong), 400))
    assert reasons == ["wrong_code"] * 5
    expect(type_code(visitor, mail.code), 303)


def test_a_code_is_worth_nothing_in_a_browser_that_did_not_ask(stranger, mail, unchanged, reasons):
    with unchanged():
        assert stranger.alert(expect(type_code(stranger, mail.code), 400))
    assert reasons == ["no_request"]


def test_a_code_is_worth_nothing_to_another_request(stranger, mail, unchanged, reasons):
    stranger.ask("stranger@example.org")
    with unchanged():
        expect(type_code(stranger, mail.code), 400)
    assert reasons == ["wrong_code"]


def test_an_expired_code_is_refused(visitor, mail, clock, unchanged, reasons):
    clock.shift(LINK_LIFETIME)
    with unchanged():
        assert visitor.alert(expect(type_code(visitor, mail.code), 400))
    assert reasons == ["expired"]


def test_a_code_after_its_link_is_refused(visitor, mail, unchanged, reasons):
    other_tab = visitor.twin()
    visitor.post(mail.link)
    with unchanged():
        assert other_tab.alert(expect(type_code(other_tab, mail.code), 400))
    assert reasons == ["already_used"]


def test_a_link_after_its_code_is_refused(visitor, mail, unchanged, reasons):
    other_tab = visitor.twin()
    type_code(visitor, mail.code)
    with unchanged():
        assert_dead(other_tab, mail.link, "already_used", reasons)


def test_a_code_typed_again_in_a_second_tab_leads_to_the_account(visitor, mail):
    visitor.post(mail.link)
    assert expect(type_code(visitor, mail.code), 303).location == "/account"


# Sending again.


def test_sending_again_at_once_is_refused(visitor, mail, app, clock, reasons):
    expect(visitor.ask("grace@example.org"), 303)
    clock.shift(SEND_AGAIN_AFTER - ONE_SECOND)
    before = sent(app)
    response = expect(visitor.ask("grace@example.org"), 429)
    assert visitor.alert(response)
    assert 1 <= int(response.headers["Retry-After"]) <= 2
    assert reasons == ["too_soon"]
    assert sent(app) == before


@pytest.mark.parametrize("used", ["first", "second"])
def test_sending_again_repeats_the_request(visitor, mail, clock, used, reasons):
    clock.shift(SEND_AGAIN_AFTER)
    expect(visitor.ask(ADDRESS), 303)
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
    expect(type_code(visitor, mail.code), 400)
    # Not `other_browser`: this browser did ask for it, before it asked for the newer mail.
    expect(visitor.post(mail.link), 410)
    assert reasons == ["wrong_code", "newer_mail"]
    expect(type_code(visitor, visitor.read_mail().code), 303)
    assert "grace@example.org" in visitor.get("/account").text


def test_link_and_code_expire_ten_minutes_after_the_first_mail(visitor, clock, mail, reasons):
    clock.shift(5 * 60)
    expect(visitor.ask(ADDRESS), 303)
    again = visitor.read_mail()
    assert again.code == mail.code
    clock.shift(5 * 60 - 2)
    for link in (mail.link, again.link):
        expect(visitor.get(link), 200)
    clock.shift(2)
    for link in (mail.link, again.link):
        assert_dead(visitor, link, "expired", reasons)
    reasons.clear()
    expect(type_code(visitor, mail.code), 400)
    assert reasons == ["expired"]


def test_sending_again_with_less_than_five_minutes_left_makes_a_new_link_and_code(visitor, mail, clock):
    clock.shift(5 * 60 + 1)
    expect(visitor.ask(ADDRESS), 303)
    again = visitor.read_mail()
    assert again.code != mail.code
    expect(type_code(visitor, mail.code), 400)
    # Ten minutes of its own.
    clock.shift(10 * 60 - 2)
    expect(type_code(visitor, again.code), 303)


@pytest.mark.parametrize("email", [ADDRESS, "grace@example.org"])
def test_an_older_link_in_the_browser_that_asked_says_use_the_newer_mail(
    visitor, mail, clock, unchanged, reasons, email
):
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


def test_an_older_link_in_another_browser_still_shows_the_code(visitor, stranger, mail):
    expect(visitor.ask("grace@example.org"), 303)
    assert mail.code in text_of(parse(expect(stranger.get(mail.link), 200)))


@pytest.mark.parametrize("way", ["newer mail", "passkey"])
def test_a_signed_in_visitor_who_opens_an_older_link_is_told_so(known, phone, clock, reasons, way):
    known.sign_in_by_link(ADDRESS)
    known.make_passkey(phone)
    known.sign_out()
    clock.shift(31)
    known.ask(ADDRESS)
    older = known.read_mail()
    if way == "passkey":
        known.sign_in_by_passkey(phone)
    else:
        clock.shift(5 * 60 + 2)
        known.sign_in_by_link(ADDRESS)
    for send in (known.get, known.post):
        page = text_of(parse(expect(send(older.link), 200)))
        assert f"You’re signed in already You’re signed in as {ADDRESS}" in page
    assert reasons == []


def cookie(visitor: Visitor) -> dict:
    """What the browser's cookie holds."""
    with visitor.client.session_transaction(base_url=visitor.site_url) as session:
        return dict(session)


def test_a_browser_forgets_its_request_after_an_hour(visitor, mail, clock):
    clock.shift(59 * 60)
    assert ADDRESS in expect(visitor.get("/sign-in/check-email"), 200).text
    clock.shift(60)
    assert expect(visitor.get("/sign-in/check-email"), 303).location == "/sign-in"
    assert "request" not in cookie(visitor)


@pytest.mark.parametrize(
    "kept",
    [
        {"id": "A" * 22, "email": ADDRESS, "next": "", "asked_at": 1, "sent_at": 1},
        {"id": "A" * 22, "email": ADDRESS, "next": "", "asked_at": "1", "sent_at": "1"},
        {"id": "A" * 22, "email": ADDRESS},
        "nonsense",
        None,
    ],
)
def test_a_request_that_is_old_or_has_other_fields_is_forgotten(visitor, mail, kept):
    with visitor.client.session_transaction(base_url=visitor.site_url) as session:
        session["pending"] = kept
    expect(visitor.get(mail.link), 410)
    assert "request" not in cookie(visitor)
    visitor.sign_in_by_link("grace@example.org")


def test_a_request_of_a_clock_that_was_ahead_is_forgotten(visitor, clock, reasons):
    """Or its code would live longer than ten minutes."""
    clock.shift(3600)
    visitor.ask(ADDRESS)
    code = visitor.read_mail().code
    clock.shift(-3600)
    expect(type_code(visitor, code), 400)
    assert reasons == ["no_request"]


def test_without_limits_nobody_waits(make_app):
    visitor = Visitor(make_app(FLASK_LIMITS_ENABLED="false"))
    expect(visitor.ask(ADDRESS), 303)
    assert "seconds" not in visitor.get("/sign-in/check-email").text
    expect(visitor.ask(ADDRESS), 303)


def test_without_a_request_there_is_no_mail_to_wait_for(visitor):
    assert expect(visitor.get("/sign-in/check-email"), 303).location == "/sign-in"


# Where to go next.


@pytest.mark.parametrize("way", ["link", "code"])
def test_the_page_that_was_wanted_is_kept(known, way):
    wanted = "/account?tab=passkeys&sort=name#top"
    page = known.get("/sign-in", query_string={"next": wanted})
    assert [field.get("value") for field in parse(page).findall(".//input[@name='next']")] == [wanted, wanted]
    known.ask(ADDRESS, next=wanted)
    mail = known.read_mail()
    response = known.post(mail.link) if way == "link" else type_code(known, mail.code)
    assert response.location == wanted


def test_the_page_that_was_wanted_is_kept_behind_the_offer(visitor):
    visitor.ask(ADDRESS, next="/account?tab=passkeys")
    offer = visitor.post(visitor.read_mail().link).location
    assert offer == "/account/welcome?next=/account?tab%3Dpasskeys"
    [field] = parse(visitor.get(offer)).findall(".//form[@action='/account/welcome']/input[@name='next']")
    assert visitor.post("/account/welcome", {"next": field.get("value")}).location == "/account?tab=passkeys"


def test_the_page_that_was_wanted_is_kept_when_sending_again(known, clock):
    known.ask(ADDRESS, next="/account?tab=passkeys")
    clock.shift(SEND_AGAIN_AFTER)
    known.ask(ADDRESS)
    assert known.post(known.read_mail().link).location == "/account?tab=passkeys"


@pytest.mark.parametrize(
    "bad",
    [
        "https://evil.example/",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "\t//evil.example",
        "/\n/evil.example",
        "/\r\nSet-Cookie: a=b",
        "\x01//evil.example",
        "/\x00/evil.example",
        "/\x7f/evil.example",
        "/\u2028/evil.example",
        "/\u200b/evil.example",
        " //evil.example",
        "javascript:alert(1)",
        "data:text/html,x",
        "http:/account",
        "http:account",
        "evil.example",
        "?next=//evil.example",
        "//[",
        "//user@evil.example/account",
        "/account/" + 992 * "a",
        "/account/" + 400 * "帳",
        "/sign-in?next=/sign-in",
        "/sign-out",
    ],
)
def test_a_bad_next_is_dropped(known, bad):
    known.ask(ADDRESS, next=bad)
    assert known.post(known.read_mail().link).location == "/account"


def test_a_page_whose_address_is_too_long_is_not_kept(visitor):
    assert expect(visitor.get("/account?x=" + 1200 * "%e5%b8%b3"), 303).location == "/sign-in"


# What asking tells.


def test_a_known_and_an_unknown_address_get_the_same_answer(known, stranger, clock):
    # Pages count seconds down, both say until when, and mails are found by their time.
    clock.move_to(datetime(2026, 2, 3, 4, 5, tzinfo=UTC), tick=False)
    answers = []
    for visitor, address in ((known, ADDRESS), (stranger, "eve@example.org")):
        clock.shift(1)
        visitor.client.delete_cookie("latchkey-8000")
        asked = visitor.ask(address)
        mail = visitor.read_mail()
        headers = {name: value for name, value in asked.headers.items() if name != "Set-Cookie"}
        text = mail.message.get_body(("plain",)).get_content().replace(mail.link, "LINK").replace(mail.code, "CODE")
        page = visitor.get("/sign-in/check-email").text.replace(address, "ADDRESS")
        answers.append((asked.status, headers, asked.text, page, mail.message["Subject"], text))
    assert answers[0] == answers[1]


# Sessions.


def test_signing_in_again_replaces_the_session_of_this_browser(visitor, app):
    visitor.sign_in_by_link(ADDRESS)
    before = visitor.twin()
    visitor.sign_in_by_link("grace@example.org")
    assert visitor.is_signed_in()
    assert not before.is_signed_in()
    with app.app_context():
        assert len(db.session.scalars(select(Session)).all()) == 1


def test_a_cookie_kept_from_before_signing_out_is_worth_nothing(visitor):
    visitor.sign_in_by_link(ADDRESS)
    kept = visitor.twin()
    assert visitor.sign_out().location == "/"
    assert kept.get("/account").location == "/sign-in?next=/account"


# What goes wrong half-way.


def test_when_the_answer_got_lost_the_next_mail_works(visitor, stranger):
    """The browser still holds a request that is used up: asking again must not repeat it."""
    visitor.ask(ADDRESS)
    before = visitor.twin()
    expect(visitor.post(visitor.read_mail().link), 303)
    before.app.config["LIMITS_ENABLED"] = False
    expect(before.ask(ADDRESS), 303)
    expect(before.post(before.read_mail().link), 303)
    assert before.is_signed_in()


def test_when_the_commit_fails_the_request_can_be_tried_again(visitor, app):
    visitor.ask(ADDRESS)
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
    """The text of a part, its line ends evened out."""
    return " ".join(unescape(message.get_body((subtype,)).get_content()).split())


@pytest.mark.parametrize("subtype", ["plain", "html"])
def test_the_mail_says_all_there_is_to_know(clock, app, visitor, subtype):
    clock.move_to(datetime(2026, 2, 3, 4, 5, tzinfo=UTC), tick=False)
    visitor.post(
        "/sign-in",
        {"email": ADDRESS},
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
    assert mail.message["To"] == ADDRESS


@pytest.mark.parametrize("subtype", ["plain", "html"])
def test_a_mail_that_is_sent_again_says_how_long_it_still_works(clock, visitor, subtype):
    clock.move_to(datetime(2026, 2, 3, 4, 5, tzinfo=UTC), tick=False)
    visitor.ask(ADDRESS)
    clock.shift(3 * 60)
    visitor.ask(ADDRESS)
    assert "until 04:15 UTC (7 minutes)" in body(visitor.read_mail().message, subtype)
    clock.shift(6 * 60)
    assert "The code and the link work until 04:15 UTC (1 minute)." in visitor.get("/sign-in/check-email").text
    clock.shift(60)
    assert "The code and the link have expired. Send the mail again." in visitor.get("/sign-in/check-email").text


def test_the_link_holds_neither_the_address_nor_the_browsers_id(visitor, mail):
    """A token is signed and not encrypted: whoever finds it in a history can read it."""
    _, claims = URLSafeTimedSerializer("whatever").loads_unsafe(mail.link.rpartition("/")[2])
    assert "Firefox on Windows" in str(claims)
    assert "ada" not in str(claims)
    assert cookie(visitor)["browser"] not in str(claims)


# Addresses.


@pytest.mark.parametrize(
    ("typed", "canonical"),
    [
        ("Ada@Example.ORG", "ada@example.org"),
        ("  ada@example.org\r\n", "ada@example.org"),
        ("ada+news@example.org", "ada+news@example.org"),
        ("ada@bücher.example", "ada@xn--bcher-kva.example"),
        ("ada@XN--BCHER-KVA.example", "ada@xn--bcher-kva.example"),
        ("ada@example.test", "ada@example.test"),
        ("ada=x?y@example.org", "ada=x?y@example.org"),
        ("ada@BÜCHER.example", "ada@xn--bcher-kva.example"),
        ("ada@bu\N{COMBINING DIAERESIS}cher.example", "ada@xn--bcher-kva.example"),
        ("ada@straße.example", "ada@xn--strae-oqa.example"),
        ("ada@ΕΛΛΆΣ.example", "ada@xn--hxarsa5b.example"),
        ("ada@ελλάς.example", "ada@xn--hxarsa0b.example"),
        ("ada@Пример.example", "ada@xn--e1afmkfd.example"),
        ("ada@例え.example", "ada@xn--r8jz45g.example"),
        ("ada@한국.example", "ada@xn--3e0b707e.example"),
        ("ada@ไทย.example", "ada@xn--o3cw4h.example"),
        ("ada@भारत.example", "ada@xn--h2brj9c.example"),
        ("ada@بيت.example", "ada@xn--ngbe9g.example"),
    ],
)
def test_an_address_is_brought_to_one_form(visitor, typed, canonical):
    expect(visitor.ask(typed), 303)
    assert visitor.read_mail().message["To"] == canonical


@pytest.mark.parametrize(
    "typed",
    {
        "missing": None,
        "empty": "",
        "spaces": "   ",
        "no at": "ada.example.org",
        "no local part": "@example.org",
        "no domain": "ada@",
        "no dot": "ada@localhost",
        "two": "ada@example.org, eve@evil.example",
        "two, without a space": "ada@example.org,eve@evil.example",
        "a display name": "Ada <ada@example.org>",
        "quoted": '"ada eve"@example.org',
        "a comment": "ada(eve)@example.org",
        "an IP address": "ada@[127.0.0.1]",
        "Kelvin sign": "\N{KELVIN SIGN}ada@example.org",
        "long s": "\N{LATIN SMALL LETTER LONG S}am@example.org",
        "dotless i": "ad\N{LATIN SMALL LETTER DOTLESS I}@example.org",
        "full width": "\N{FULLWIDTH LATIN SMALL LETTER A}da@example.org",
        "full width at": "ada\N{FULLWIDTH COMMERCIAL AT}example.org",
        "zero width space": "a\N{ZERO WIDTH SPACE}da@example.org",
        "zero width space in the domain": "ada@exam\N{ZERO WIDTH SPACE}ple.org",
        "right to left": "\N{RIGHT-TO-LEFT OVERRIDE}ada@example.org",
        "new line": "ada@example.org\r\nBcc: eve@evil.example",
        "new line before the at": "ada\n@example.org",
        "NUL": "ada\0@example.org",
        "NUL in the domain": "ada@example\0.org",
        "Kelvin sign in the domain": "ada@\N{KELVIN SIGN}elvin.example",
        "long s in the domain": "ada@\N{LATIN SMALL LETTER LONG S}ite.example",
        "full width in the domain": "ada@ex\N{FULLWIDTH LATIN SMALL LETTER A}mple.org",
        "full width full stop": "ada@example\N{FULLWIDTH FULL STOP}org",
        "ideographic full stop": "ada@example\N{IDEOGRAPHIC FULL STOP}org",
        "half width ideographic full stop": "ada@example\N{HALFWIDTH IDEOGRAPHIC FULL STOP}org",
        "ligature in the domain": "ada@\N{LATIN SMALL LIGATURE FI}ne.example",
        "circled letter in the domain": "ada@\N{CIRCLED LATIN SMALL LETTER A}.example",
        "superscript in the domain": "ada@example\N{SUPERSCRIPT TWO}.org",
        "double-struck letter in the domain": "ada@\N{DOUBLE-STRUCK CAPITAL C}.example",
        "angstrom sign in the domain": "ada@\N{ANGSTROM SIGN}ngstrom.example",
        "soft hyphen in the domain": "ada@exam\N{SOFT HYPHEN}ple.org",
        "variation selector in the domain": "ada@exam\N{VARIATION SELECTOR-16}ple.org",
        "account of in the domain": "ada@\N{ACCOUNT OF}.example",
        "snowman in the domain": "ada@\N{SNOWMAN}.example",
        "encoded word": "=?utf-8?q?ada?=@example.org",
        "beginning of an encoded word": "ada=?x@example.org",
        "255 characters": "ada@" + ".".join(4 * [61 * "b"]) + ".exa",
        "254 characters until the domain is ASCII": "ada@" + ".".join(40 * ["üüüü"]) + ".example",
        "endless": 100_000 * "a",
    }.items(),
    ids=lambda item: item[0],
)
def test_what_is_no_address_is_refused(visitor, app, typed, unchanged, reasons):
    _, address = typed
    with unchanged():
        response = expect(visitor.post("/sign-in", {} if address is None else {"email": address}), 400)
    assert visitor.alert(response)
    assert reasons == ["invalid_email"]
    assert sent(app) == 0


@pytest.mark.parametrize("strange", ["", "<script>alert(1)</script>", 5000 * "x", "\t\x01ü💌"])
def test_whatever_a_browser_calls_itself_it_can_sign_in(visitor, strange):
    """What it says ends up in the mail, in the link, on a page and in a row."""
    expect(visitor.post("/sign-in", {"email": ADDRESS}, headers={"User-Agent": strange}), 303)
    mail = visitor.read_mail()
    assert "an unknown browser" in body(mail.message, "html")
    expect(visitor.post(mail.link, headers={"User-Agent": strange}), 303)
