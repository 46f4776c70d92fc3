"""The pages of "Look inside": whose they are, what they show, and that no ceremony breaks them."""

import gzip
import json
import re
from collections.abc import Callable
from typing import Any

import html5lib
import pytest
from flask import Flask
from html5lib.constants import E
from sqlalchemy import update
from werkzeug.test import TestResponse

import learn
from app.activity import TRANSCRIPTS_PER_HOUR
from app.ceremonies.attempts import LONGEST_TRANSCRIPT, Attempt
from app.ceremonies.options import AUTHENTICATION
from app.database import db
from app.models import Activity
from authenticator import EDDSA, ES256, MISSING, RS256, UP, Authenticator, changed, encode
from learn.inside import checks, examples, sources, story
from learn.inside.ceremonies import read
from learn.inside.views import CHECKS
from tests.conftest import ADA, ROOT, Visitor, expect, parse, rows, text_of
from tests.inside import example

# On the wire, compressed as every server and proxy does it.
HEAVIEST = 60_000


@pytest.fixture
def app(app) -> Flask:
    """The site with its teaching parts."""
    learn.init_app(app, {})
    return app


def ceremonies(app: Flask) -> list[Activity]:
    """Return the rows of the activity that can be opened: the passkeys' ceremonies, and the sign-ins by mail."""
    return [row for row in rows(app, Activity) if row.transcript]


def opened(visitor: Visitor) -> TestResponse:
    """Open the visitor's newest ceremony."""
    return expect(visitor.get(f"/inside/{ceremonies(visitor.app)[-1].id}"), 200)


def results(page: TestResponse) -> list[tuple[str, str, str | None]]:
    """Return step, verdict and reason of each check of the page."""
    found = [element.attrib for element in parse(page).iter() if "data-step" in element.attrib]
    return [(each["data-step"], each["data-verdict"], each.get("data-reason")) for each in found]


def is_valid(page: TestResponse) -> bool:
    parser = html5lib.HTMLParser()
    parser.parse(page.text)
    problems = [f"{E[code] % values} (line {line})" for (line, _), code, values in parser.errors]
    assert not problems, problems
    return True


def headline(page: TestResponse) -> str:
    return text_of(parse(page).find(".//h1"))


# What a page shows.


def test_accepted_sign_in_has_passed_every_check(ada, phone):
    ada.sign_out()
    expect(ada.authenticate(phone.get(ada.request_options())), 303)
    page = opened(ada)
    assert headline(page) == "Signed in with a passkey"
    assert {verdict for _, verdict, _ in results(page)} == {"passed"}
    assert f"{len(results(page))} of {len(results(page))} checks passed" in page.text
    assert ("7.2-12", "passed", None) in results(page)
    assert is_valid(page)


@pytest.mark.parametrize("algorithm", [EDDSA, ES256, RS256])
def test_new_passkey_is_opened_to_its_key(visitor, algorithm):
    visitor.sign_in_by_link(ADA)
    visitor.make_passkey(Authenticator(algorithm=algorithm), attestation="packed")
    page = opened(visitor)
    assert headline(page) == "Created a passkey"
    assert {verdict for _, verdict, _ in results(page)} == {"passed"}
    ids = {element.get("id") for element in parse(page).iter()}
    assert {"b-rp_id_hash", "b-flags", "b-counter", "b-aaguid", "b-credential_id", "b-public_key", "s-s"} <= ids
    assert "-----BEGIN PUBLIC KEY-----" in page.text
    assert is_valid(page)


def test_fresh_proof_can_be_opened(ada, phone, proof_expired):
    page = ada.get("/account/confirm")
    options = json.loads(parse(page).find(".//passkey-sign-in").attrib["options"])
    expect(ada.post("/account/confirm", {"credential": json.dumps(phone.get(options))}), 303)
    page = opened(ada)
    assert headline(page) == "Confirmed with a passkey"
    assert {verdict for _, verdict, _ in results(page)} == {"passed"}


def test_refused_sign_in_shows_the_check_that_failed(ada, phone):
    ada.sign_out()
    expect(ada.authenticate(phone.get(ada.request_options(), client_data={"origin": "http://localhost:6660"})), 400)
    ada.authenticate(phone.get(ada.request_options()))
    page = expect(ada.get(f"/inside/{ceremonies(ada.app)[-2].id}"), 200)
    assert headline(page) == "Refused: made on another page"
    verdicts = results(page)
    failed = ("7.2-12", "failed", "wrong_origin")
    place = verdicts.index(failed)
    assert {verdict for _, verdict, _ in verdicts[:place]} == {"passed"}
    assert {verdict for _, verdict, _ in verdicts[place + 1 :]} == {"not-reached"}
    [element] = [each for each in parse(page).iter("details") if each.get("data-verdict") == "failed"]
    assert "open" in element.attrib
    assert [text_of(each) for each in element.iter("u")] == ["8000", "6660"]
    assert is_valid(page)


def test_message_of_the_failed_check_is_open(ada, phone):
    ada.sign_out()
    for knobs, message in (({"client_data": {"origin": "http://localhost:6660"}}, "m2"), ({"flags": UP}, "m4")):
        ada.authenticate(phone.get(ada.request_options(), **knobs))
        ada.sign_in_by_link(ADA)
        page = expect(ada.get(f"/inside/{ceremonies(ada.app)[-2].id}"), 200)
        [panel] = [each for each in parse(page).iter("section") if "open" in each.get("class", "").split()]
        assert panel.get("id") == message
        ada.sign_out()


def test_page_says_that_options_have_changed_since(app, ada, phone):
    options = ada.creation_options()
    ada.make_passkey(Authenticator())
    expect(ada.register(Authenticator().create(options)), 303)
    assert "Something has changed since this page was opened" in opened(ada).text


def test_page_links_each_check_to_its_code_and_specification(ada):
    page = opened(ada)
    links = {element.get("href") for element in parse(page).iter("a")}
    assert "https://www.w3.org/TR/webauthn-3/#sctn-registering-a-new-credential" in links
    for link in links:
        if link and link.startswith("/"):
            assert ada.get(link).status_code in (200, 303), link


def test_code_of_each_check_can_be_read(app, visitor):
    for kind, all in CHECKS.items():
        for check in all:
            page = expect(visitor.get(f"/inside/code/{kind}/{check.key}"), 200)
            [line] = [each for each in parse(page).iter("span") if each.get("id") == "line"]
            assert check.line in "".join(line.itertext())
            assert sources.function_of(check).line == checks.line_of(check)


@pytest.mark.parametrize("path", ["authentication/nothing", "nothing/origin", "authentication/..%2Fconfig.py"])
def test_code_of_nothing_else_can_be_read(app, visitor, path):
    assert visitor.get(f"/inside/code/{path}").status_code == 404


def test_page_shows_neither_the_session_nor_a_token_that_works(ada, phone):
    ada.sign_out()
    expect(ada.authenticate(phone.get(ada.request_options())), 303)
    page, cookie = opened(ada), ada.client.get_cookie(ada.app.config["SESSION_COOKIE_NAME"], domain="localhost")
    assert cookie.value not in page.text
    with ada.client.session_transaction(base_url=ada.site_url) as session:
        secrets = [value for value in session.values() if isinstance(value, str) and len(value) > 10]
    assert secrets
    assert not [value for value in secrets if value in page.text]
    # The challenge in it has been spent.
    credential = json.loads(ceremonies(ada.app)[-1].transcript)["response"]
    assert ada.authenticate(credential).status_code == 400


def test_page_is_light(ada, phone):
    ada.make_passkey(Authenticator(algorithm=RS256), attestation="packed", credential_id=b"\x07" * 1023)
    page = opened(ada)
    assert len(gzip.compress(page.get_data())) < HEAVIEST
    for name in ("learn.css", "inside.css", "copy.js"):
        assert len(gzip.compress((ROOT / "learn/static" / name).read_bytes())) < HEAVIEST / 4


@pytest.mark.parametrize("by", ["link", "code"])
def test_sign_in_by_mail_shows_neither_link_nor_code(visitor, by):
    visitor.ask(ADA)
    mail = visitor.read_mail()
    expect(visitor.post(mail.link) if by == "link" else visitor.type_code(mail.code), 303)
    page = opened(visitor)
    assert headline(page) == f"Signed in by {by}"
    assert [verdict for _, verdict, _ in results(page)] == ["passed"] * 5
    assert mail.code not in page.text
    assert mail.link.rpartition("/")[2] not in page.text
    assert ("asked_with" in page.text) == (by == "link")
    assert is_valid(page)


def test_second_step_by_mail_can_be_opened(ada, stranger):
    ada.require_passkey()
    stranger.open_second_step(ADA)
    page = opened(ada)
    assert headline(page) == "Email link used"
    assert "303, and no session yet" in page.text


# Whose it is.


def test_another_account_finds_nothing(ada, eve):
    for row in ceremonies(ada.app)[:2]:
        expect(ada.get(f"/inside/{row.id}"), 200)
        assert eve.get(f"/inside/{row.id}").status_code == 404


@pytest.mark.parametrize("id", ["3", "999", "2147483647", "2147483648", "0", "-1", "x"])
def test_unknown_ceremony_and_row_without_a_transcript_are_not_found(ada, id):
    ada.sign_out()
    ada.sign_in_by_link(ADA)
    assert not rows(ada.app, Activity)[2].transcript
    assert ada.get(f"/inside/{id}").status_code == 404


def test_signed_out_visitor_is_led_to_sign_in_and_back(ada, stranger):
    response = expect(stranger.get("/inside/2"), 303)
    assert response.location == "/sign-in?next=/inside/2"
    assert expect(stranger.get("/inside/newest"), 303).location == "/sign-in?next=/inside/newest"


def test_old_ceremony_is_no_longer_shown(ada, clock):
    row = ceremonies(ada.app)[-1]
    with ada.app.app_context():
        db.session.execute(update(Activity).values(at=row.at.replace(year=row.at.year - 1)))
        db.session.commit()
    assert ada.get(f"/inside/{row.id}").status_code == 404
    assert "nothing to open" in ada.get("/inside/").text


# The list, and the doors.


def test_list_has_the_newest_first(ada, phone):
    ada.sign_out()
    ada.authenticate(phone.get(ada.request_options()))
    page = expect(ada.get("/inside/"), 200)
    links = [each.get("href") for each in parse(page).iter("a")]
    ids = [int(link.rpartition("/")[2]) for link in links if re.fullmatch(r"/inside/\d+", link or "")]
    assert ids == [row.id for row in reversed(ceremonies(ada.app))]
    assert is_valid(page)


def test_list_has_pages(ada, app):
    row = ceremonies(app)[-1]
    columns = {column.name: getattr(row, column.name) for column in Activity.__table__.columns if column.name != "id"}
    with app.app_context():
        db.session.execute(Activity.__table__.insert(), [columns] * 60)
        db.session.commit()
    seen: list[str] = []
    path: str | None = "/inside/"
    while path:
        links = [each.get("href") or "" for each in parse(expect(ada.get(path), 200)).iter("a")]
        seen += [link for link in links if re.fullmatch(r"/inside/\d+", link)]
        path = next((link for link in links if "before=" in link), None)
    assert len(seen) == len(set(seen)) == 62


@pytest.mark.parametrize("before", ["-1", "x", "99999999999999999999"])
def test_list_ignores_a_page_that_cannot_be(ada, before):
    expect(ada.get(f"/inside/?before={before}"), 200)


def test_visitor_without_ceremonies_is_led_to_making_a_passkey(visitor):
    visitor.sign_in_by_link(ADA)
    with visitor.app.app_context():
        db.session.execute(update(Activity).values(transcript=""))
        db.session.commit()
    links = {each.get("href") for each in parse(visitor.get("/inside/")).iter("a")}
    assert {"/account", "/inside/example"} <= links
    assert expect(visitor.get("/inside/newest"), 303).location == "/inside/"


def test_signed_out_visitor_can_open_the_example(app, visitor):
    page = expect(visitor.get("/inside/"), 200)
    links = {each.get("href") for each in parse(page).iter("a")}
    assert {"/inside/example", "/inside/example/refused", "/sign-in?next=/inside/"} <= links
    assert is_valid(page)


def test_activity_opens_each_ceremony_and_nothing_else(ada, phone):
    ada.sign_out()
    ada.authenticate(phone.get(ada.request_options()))
    page = parse(ada.get("/account/activity"))
    links = [each.get("href") for each in page.iter("a") if text_of(each) == "Open"]
    assert links == [f"/inside/{row.id}" for row in reversed(ceremonies(ada.app))]


def test_notices_lead_to_what_happened(visitor, phone):
    visitor.sign_in_by_link(ADA)
    visitor.make_passkey(phone)
    for _ in range(2):
        links = {text_of(each): each.get("href") for each in parse(visitor.get("/account")).iter("a")}
        newest = expect(visitor.get(links["See what happened"]), 303).location
        assert newest == f"/inside/{ceremonies(visitor.app)[-1].id}"
        visitor.sign_out()
        visitor.authenticate(phone.get(visitor.request_options()))


def test_front_page_leads_here_and_account_pages_load_nothing_of_it(ada):
    assert ">Look inside</a>" in ada.get("/").text
    for path in ("/account", "/account/activity"):
        assert "/learn/" not in ada.get(path).text


def test_site_without_the_teaching_parts_has_no_doors(make_app, phone):
    visitor = Visitor(make_app())
    visitor.sign_in_by_link(ADA)
    visitor.make_passkey(phone)
    for path in ("/account", "/account/activity", "/"):
        assert "inside" not in visitor.get(path).text


# Ceremonies that are not kept whole.


def test_transcript_that_was_too_long_leaves_the_verdict(ada, phone):
    ada.sign_out()
    answer = phone.get(ada.request_options()) | {"padding": "x" * LONGEST_TRANSCRIPT}
    expect(ada.authenticate(answer), 303)
    page = opened(ada)
    assert "too long to keep" in page.text
    assert headline(page) == "Signed in with a passkey"
    assert not results(page)
    assert is_valid(page)


def test_refusals_over_the_limit_have_no_link(ada, phone):
    ada.sign_out()
    for _ in range(TRANSCRIPTS_PER_HOUR + 2):
        expect(ada.authenticate(phone.get(ada.request_options(), flags=UP)), 400)
    ada.sign_in_by_link(ADA)
    page = parse(ada.get("/account/activity"))
    shown = [text_of(each) for each in page.iter("li")]
    refused = [text for text in shown if text.startswith("Not signed in")]
    assert len(refused) == TRANSCRIPTS_PER_HOUR + 2
    assert sum(text.endswith("Open") for text in refused) == TRANSCRIPTS_PER_HOUR


# Hostile ceremonies.

HTML = "<script>alert(1)</script>\"'><img src=x>"
NASTY = [
    HTML,
    "\x00\x1b[31m\u202e\ud800",
    "A" * 3000,
    "",
    None,
    True,
    -1,
    1e308,
    [],
    {},
    [[[[]]]],
    {"a": {"b": {"c": [HTML]}}},
]

MEMBERS = {
    "registration": [
        "id",
        "rawId",
        "type",
        "response",
        "clientExtensionResults",
        "clientDataJSON",
        "attestationObject",
    ],
    "authentication": [
        "id",
        "rawId",
        "type",
        "response",
        "clientDataJSON",
        "authenticatorData",
        "signature",
        "userHandle",
    ],
}


@pytest.fixture
def shows(ada) -> Callable[[str, str], None]:
    """Assert that Ada can open a ceremony with this response, whatever it is."""
    templates = {row.kind: json.loads(row.transcript) for row in ceremonies(ada.app)}

    def check(kind: str, response: str) -> None:
        base = templates["passkey_added"] | {"ceremony": kind, "refused": "malformed_response", "response": response}
        with ada.app.app_context():
            db.session.execute(update(Activity).where(Activity.id == 2).values(transcript=json.dumps(base)))
            db.session.commit()
        page = ada.get("/inside/2")
        assert page.status_code == 200, response[:200]
        assert "<script>alert" not in page.text
        assert "<img src=x" not in page.text
        # Parsing takes longer than everything else.
        assert "script" not in response or is_valid(page)
        assert len(gzip.compress(page.get_data())) < HEAVIEST

    return check


def response_of(kind: str, phone: Authenticator, visitor: Visitor) -> dict[str, Any]:
    if kind == "registration":
        return Authenticator().create(visitor.creation_options())
    return phone.get({"challenge": encode(b"c" * 16)})


@pytest.mark.parametrize("kind", ["registration", "authentication", "confirmation"])
def test_response_with_any_member_wrong_has_a_page(ada, phone, shows, kind):
    members = MEMBERS["registration" if kind == "registration" else "authentication"]
    good = response_of(kind, phone, ada)
    for name in members:
        for value in [*NASTY, MISSING]:
            shows(kind, json.dumps(changed(good, name, value)))


@pytest.mark.parametrize("kind", ["registration", "authentication", "confirmation"])
def test_client_data_with_any_member_wrong_has_a_page(ada, phone, shows, kind):
    good = response_of(kind, phone, ada)
    for name in ("type", "challenge", "origin", "crossOrigin", "topOrigin", HTML):
        for value in NASTY:
            client_data = {"type": "x", "challenge": "eHg", "origin": "https://x.example"} | {name: value}
            shows(kind, json.dumps(changed(good, "clientDataJSON", encode(json.dumps(client_data).encode()))))


@pytest.mark.parametrize("parameters", [[{"alg": []}], [{"alg": {}}], [5], [None, {}]])
def test_response_with_a_member_of_options_has_a_page(ada, phone, parameters):
    ada.sign_out()
    answer = phone.get(ada.request_options(), client_data={"pubKeyCredParams": parameters})
    answer["response"]["pubKeyCredParams"] = answer["pubKeyCredParams"] = parameters
    expect(ada.authenticate(answer), 303)
    opened(ada)


def test_origin_that_is_not_text_has_a_page(ada, phone):
    ada.sign_out()
    expect(
        ada.authenticate(
            phone.get(ada.request_options(), rp_id="evil.example", client_data={"origin": "https://\ud800"})
        ),
        400,
    )
    ada.sign_in_by_link(ADA)
    expect(ada.get(f"/inside/{ceremonies(ada.app)[-2].id}"), 200)


@pytest.mark.parametrize("kind", ["registration", "authentication", "confirmation"])
@pytest.mark.parametrize(
    "response",
    [
        "",
        "{",
        "null",
        "[" * 10_000,
        '{"a":' * 3000,
        "9" * 5000,
        f'"{HTML}"',
        '{"response": 1}',
        '{"response": {"clientDataJSON": 1}}',
        "\x00",
    ],
    ids=range(10),
)
def test_text_that_is_no_response_has_a_page(shows, kind, response):
    shows(kind, response)


@pytest.mark.parametrize("kind", ["registration", "authentication"])
def test_bytes_cut_anywhere_have_a_page(ada, phone, shows, kind):
    name = "attestationObject" if kind == "registration" else "authenticatorData"
    good = response_of(kind, phone, ada)
    whole = good["response"][name]
    for size in range(0, len(whole), 23):
        shows(kind, json.dumps(changed(good, name, whole[:size])))


def test_longest_response_that_is_kept_has_a_page(shows):
    noise = encode(bytes(byte * 7919 % 251 for byte in range(LONGEST_TRANSCRIPT // 2)))
    shows("authentication", json.dumps({"id": "x", "response": {"authenticatorData": noise, "signature": noise[:99]}}))


def test_transcript_that_cannot_be_read_is_not_found(ada):
    nested = "[" * 100_000 + "]" * 100_000
    for transcript in ("nonsense", "{}", "[]", '{"ceremony": 1, "refused": ""}{', '{"a":' * 20_000, nested):
        with ada.app.app_context():
            db.session.execute(update(Activity).where(Activity.id == 2).values(transcript=transcript))
            db.session.commit()
        assert ada.get("/inside/2").status_code == 404


@pytest.mark.parametrize(
    "value", [None, 5, 1e308, 10**30, float("nan"), "\ud800", "x", [], {}, [[]], {"challenge": 1, "email": []}, True]
)
def test_transcript_with_any_value_is_opened_or_not_found(ada, phone, value, watched):
    ada.app.config["LIMITS_ENABLED"] = False
    ada.prove_by_passkey(phone)
    for row in ceremonies(ada.app):
        transcript = json.loads(row.transcript)
        for name in transcript:
            with ada.app.app_context():
                text = json.dumps(transcript | {name: value})
                db.session.execute(update(Activity).where(Activity.id == row.id).values(transcript=text))
                db.session.commit()
            path = f"/inside/{row.id}"
            for page in (ada.get(path), ada.post(path), ada.post(path, {"change": "origin"})):
                assert page.status_code in (200, 404), (name, value)
    # The site never recorded these facts, so there is no verdict to agree with.
    watched.clear()


def test_attempt_without_facts_has_a_page(ada):
    attempt = Attempt(AUTHENTICATION, "{}", challenge="spent")
    with ada.app.app_context():
        values = {"transcript": attempt.transcript("expired"), "kind": "sign_in_refused", "detail": "expired"}
        db.session.execute(update(Activity).where(Activity.id == 2).values(**values))
        db.session.commit()
    page = expect(ada.get("/inside/2"), 200)
    assert headline(page) == "Refused: it came too late"
    assert is_valid(page)


# The example.


@pytest.mark.parametrize("path", ["/inside/example", "/inside/example/refused"])
def test_example_needs_no_account(app, visitor, path):
    page = expect(visitor.get(path), 200)
    assert is_valid(page)
    failed = [reason for _, verdict, reason in results(page) if verdict == "failed"]
    assert failed == (["wrong_origin"] if "refused" in path else [])
    assert visitor.get("/inside/example/other").status_code == 404


def shape(value: Any) -> Any:
    """Return names and types, without values."""
    if isinstance(value, dict):
        return {name: shape(each) for name, each in value.items()}
    return [shape(each) for each in value] if isinstance(value, list) else type(value)


def test_example_is_as_the_site_records_it(app):
    recorded, kept = example.record(app), json.loads(examples.FILE.read_text())
    assert shape(recorded) == shape(kept)
    for name in ("accepted", "refused"):
        verdicts = []
        for each in (recorded[name], kept[name]):
            transcript = each["transcript"]
            assert shape(json.loads(transcript["response"])) == shape(json.loads(kept[name]["transcript"]["response"]))
            ceremony = read(json.dumps(transcript))
            assert ceremony
            verdicts.append([(result.check.key, result.verdict, result.reason) for result in checks.judge(ceremony)])
        assert verdicts[0] == verdicts[1]
        assert {key: recorded[name][key] for key in ("kind", "browser", "detail")} == {
            key: kept[name][key] for key in ("kind", "browser", "detail")
        }


# The words.


def test_every_term_is_in_the_glossary(app, visitor):
    page = expect(visitor.get("/tutorial/glossary"), 200)
    ids = {element.get("id") for element in parse(page).iter()}
    terms = set()
    for file in (ROOT / "learn/templates/inside").glob("*.html"):
        terms |= set(re.findall(r'term\("([^"]+)"', file.read_text()))
    assert len(terms) >= 20
    assert terms <= ids


def test_texts_that_no_page_can_show_are_replaced():
    assert story.printable("a\x00b\ud800\u202ec") == "a\ufffdb\ufffd\ufffdc"
    assert story.printable("x" * 500) == "x" * 400 + "…"


@pytest.mark.parametrize(
    ("one", "other", "differ"),
    [
        ("http://localhost:8000", "http://localhost:6660", ["8000", "6660"]),
        ("same", "same", ["", ""]),
        ("", "x", ["", "x"]),
        ("a a", "a", [" a", ""]),
        ("UP: 1", "UP: 0", ["1", "0"]),
    ],
)
def test_words_that_differ_are_marked(one, other, differ):
    found = story.differing(one, other)
    assert ["".join(each) for each in found] == [one, other]
    assert [middle for _, middle, _ in found] == differ
