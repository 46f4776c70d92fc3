"""Sending a response again, opening any site's ceremony, opening the link of a mail: none of these changes anything."""

import base64
import json

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import update

import learn
from app import mailer
from app.database import db
from app.models import Activity, Passkey
from authenticator import Authenticator, decode
from tests import mails
from tests.conftest import ADA, PUBLIC, Visitor, count, expect, parse, rows, text_of


@pytest.fixture
def app(app):
    """Return the site with its teaching parts."""
    learn.init_app(app, {})
    return app


def newest(visitor: Visitor) -> str:
    """Return the path of the newest ceremony."""
    return f"/inside/{rows(visitor.app, Activity)[-1].id}"


def verdicts(page) -> dict[str, str]:
    """Return the verdict of each check of the page by its step, without our own checks."""
    found = [element.attrib for element in parse(page).iter() if element.get("data-step")]
    return {each["data-step"]: each["data-verdict"] for each in found}


def reason(page) -> str:
    """Return the reason of the check that failed, or ""."""
    return next((each.get("data-reason") for each in parse(page).iter() if each.get("data-reason")), "")


@pytest.fixture
def sign_in(ada, phone) -> str:
    """Return the page of Ada's sign-in."""
    ada.sign_out()
    ada.sign_in_by_passkey(phone)
    return newest(ada)


# The same again.


def test_sign_in_sent_again_is_refused_and_changes_nothing(ada, sign_in, unchanged):
    with unchanged():
        page = expect(ada.post(sign_in), 200)
    assert reason(page) == "already_used"
    assert "You sent the same response again" in page.text


def test_registration_sent_again_adds_no_passkey(ada, unchanged):
    ada.make_passkey(Authenticator())
    path, passkeys = newest(ada), count(ada.app, Passkey)
    with unchanged():
        assert reason(expect(ada.post(path), 200)) == "already_used"
    assert count(ada.app, Passkey) == passkeys


def test_proof_sent_again_proves_nothing(ada, phone, unchanged):
    ada.prove_by_passkey(phone)
    path = newest(ada)
    with unchanged():
        assert reason(expect(ada.post(path), 200)) == "already_used"


def test_sign_in_sent_again_from_another_browser_is_refused_for_that(ada, phone, sign_in, app, unchanged):
    other = Visitor(app)
    other.sign_in_by_passkey(phone)
    with unchanged():
        assert reason(expect(other.post(sign_in), 200)) == "bound_to_another_browser"


def test_example_sent_again_is_not_ours(visitor, app, unchanged):
    with unchanged():
        assert reason(expect(visitor.post("/inside/example"), 200)) == "malformed_token"


@pytest.mark.parametrize("kind", ["authentication", "registration"])
def test_response_that_the_site_would_accept_changes_nothing(ada, phone, unchanged, kind):
    """No transcript has a challenge that still works. If one had, this page would still not be a way in."""
    ada.make_passkey(security_key := Authenticator(synced=False))
    options = ada.creation_options() if kind == "registration" else ada.post("/sign-in/passkey/options").get_json()
    answer = Authenticator().create(options) if kind == "registration" else security_key.get(options)
    row = rows(ada.app, Activity)[-1]
    transcript = json.loads(row.transcript) | {"ceremony": kind, "response": json.dumps(answer)}
    with ada.app.app_context():
        db.session.execute(update(Activity).where(Activity.id == row.id).values(transcript=json.dumps(transcript)))
        db.session.commit()
    with unchanged():
        expect(ada.post(newest(ada)), 200)


# With one thing changed.


@pytest.mark.parametrize(
    ("change", "expected"),
    [("origin", "wrong_origin"), ("rp_id", "wrong_rp_id"), ("signature", "wrong_signature"), ("type", "wrong_type")],
)
@pytest.mark.parametrize("where", ["own", "example"])
def test_change_fails_the_check_that_it_is_for(ada, sign_in, unchanged, where, change, expected):
    with unchanged():
        page = expect(ada.post("/inside/example" if where == "example" else sign_in, {"change": change}), 200)
    assert reason(page) == expected
    assert "You changed" in page.text


def test_unknown_change_is_not_found(ada, sign_in):
    expect(ada.post(sign_in, {"change": "everything"}), 404)


def test_change_of_anothers_ceremony_is_not_found(sign_in, eve):
    expect(eve.post(sign_in, {"change": "origin"}), 404)


def test_trying_without_end_is_limited(make_app):
    app = make_app(FLASK_LIMIT_PASSKEY_ANSWERS="2 per 15 minutes")
    learn.init_app(app, {})
    visitor = Visitor(app)
    assert [visitor.post("/inside/example").status_code for _ in range(3)] == [200, 200, 429]


# Any site's.


@pytest.fixture
def elsewhere() -> dict[str, str]:
    """Return the fields of a sign-in at another site."""
    key = Authenticator(origin="https://shop.example", rp_id="shop.example")
    user = {"id": "dXNlcg", "name": "grace", "displayName": "Grace"}
    parameters = [{"type": "public-key", "alg": -7}]
    made = key.create(
        {
            "rp": {"id": "shop.example", "name": "Shop"},
            "user": user,
            "challenge": "AAAA",
            "pubKeyCredParams": parameters,
        }
    )
    options = {"challenge": "c29tZXRoaW5n", "rpId": "shop.example", "userVerification": "required"}
    pem = base64.encodebytes(decode(made["response"]["publicKey"])).decode()
    return {
        "options": json.dumps({"publicKey": options}),
        "response": json.dumps(key.get(options)),
        "origin": "https://shop.example",
        "public_key": f"-----BEGIN PUBLIC KEY-----\n{pem}-----END PUBLIC KEY-----\n",
    }


def test_pasted_sign_in_passes_every_check_that_needs_no_database(visitor, elsewhere, unchanged):
    with unchanged():
        page = expect(visitor.post("/inside/paste", elsewhere), 200)
    found = verdicts(page)
    assert reason(page) == ""
    for step in ("7.2-10", "7.2-11", "7.2-12", "7.2-13", "7.2-15", "7.2-16", "7.2-17", "7.2-20"):
        assert found[step] == "passed", step
    assert "not-reached" in found.values()


@pytest.mark.parametrize(
    ("field", "old", "new", "expected"),
    [
        ("origin", "shop", "shopp", "wrong_origin"),
        ("options", "c29tZXRoaW5n", "c29tZXRoaW5l", "malformed_token"),
        ("options", "shop.example", "example", "wrong_rp_id"),
    ],
)
def test_pasted_sign_in_shows_the_first_thing_that_is_wrong(visitor, elsewhere, field, old, new, expected):
    elsewhere[field] = elsewhere[field].replace(old, new)
    assert reason(expect(visitor.post("/inside/paste", elsewhere), 200)) == expected


def test_pasted_sign_in_claims_nothing_about_this_site(visitor, elsewhere):
    page = expect(visitor.post("/inside/paste", elsewhere), 200)
    assert "A sign-in of another site" in page.text
    for claim in ("Signed in with a passkey", "Welcome back", "This site signed", "in the HTML", ">Message 6"):
        assert claim not in page.text, claim


def test_pasted_sign_in_names_the_number_of_the_check_that_failed(visitor, elsewhere):
    elsewhere["origin"] = "https://shopp.example"
    page = expect(visitor.post("/inside/paste", elsewhere), 200)
    [failed] = [each for each in parse(page).iter() if each.get("data-verdict") == "failed"]
    # The checks of the site's database come before it.
    number = failed.get("id").removeprefix("check-")
    assert f"check {number} of " in page.text
    assert number == "13"
    assert "not checked" in page.text
    assert "not reached" in page.text


def test_pasted_registration_of_another_site_is_opened(visitor):
    key = Authenticator(origin="https://shop.example", rp_id="shop.example")
    user = {"id": "dXNlcg", "name": "grace", "displayName": "Grace"}
    options = {
        "rp": {"id": "shop.example", "name": "Shop"},
        "user": user,
        "challenge": "c29tZXRoaW5n",
        "pubKeyCredParams": [{"type": "public-key", "alg": -7}],
    }
    fields = {
        "options": json.dumps(options),
        "response": json.dumps(key.create(options)),
        "origin": "",
        "public_key": "",
    }
    page = expect(visitor.post("/inside/paste", fields), 200)
    found = verdicts(page)
    assert reason(page) == ""
    # Without the origin, there is nothing to compare it with.
    assert (found["7.1-9"], found["7.1-14"]) == ("not-reached", "passed")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("options", ""),
        ("options", "[]"),
        ("options", "{"),
        ("options", "[" * 5000),
        ("options", '{"publicKey": 5}'),
        ("options", '{"rpId": "\\ud800"}'),
        ("origin", "shop.example"),
        ("origin", "https://shop.example/"),
        ("origin", "https://["),
        ("origin", "javascript://x"),
        ("public_key", "é"),
        ("public_key", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"),
        ("response", "x" * 20_000),
    ],
)
def test_pasted_nonsense_is_refused_in_the_page(visitor, elsewhere, field, value):
    page = expect(visitor.post("/inside/paste", elsewhere | {field: value}), 400)
    assert Visitor.alert(page)


@pytest.mark.parametrize(
    "response", ["", "null", "[]", "{}", '{"response": {"clientDataJSON": "AA"}}', "<b>", "[" * 9000]
)
def test_pasted_response_may_be_anything(visitor, elsewhere, response):
    expect(visitor.post("/inside/paste", elsewhere | {"response": response}), 200)


@pytest.mark.parametrize("path", ["/inside/paste", "/inside/mail/x"])
def test_page_for_developers_exists_on_this_machine_only(visitor, path):
    expect(visitor.get(path, environ_overrides={"REMOTE_ADDR": "192.0.2.1"}), 404)
    expect(visitor.get(path, headers={"X-Forwarded-For": "192.0.2.1"}), 404)


def test_public_site_has_no_page_for_developers(make_app):
    """To a site behind a proxy that adds no header, every request seems to come from this machine."""
    app = make_app(**PUBLIC)
    learn.init_app(app, {"FLASK_LEARN": "true"})
    visitor = Visitor(app)
    expect(visitor.get("/inside/example"), 200)
    expect(visitor.get("/inside/paste"), 404)
    expect(visitor.post("/inside/paste", {"options": "{}", "response": "{}"}), 404)
    # The folder may have mails of a time when the site was on localhost.
    outbox = mailer.outbox(app)
    outbox.mkdir(exist_ok=True)
    link = f"{app.config['SITE_URL']}/sign-in/link/x"
    (outbox / "old.eml").write_text(f"Subject: Sign in\nContent-Type: text/plain\n\n{link}\n")
    expect(visitor.get("/inside/mail/old"), 404)


@pytest.mark.parametrize(
    "options",
    [
        '{"pubKeyCredParams": [{"alg": []}]}',
        f'{{"pubKeyCredParams": [{{"alg": {"[" * 900}{"]" * 900}}}]}}',
        '{"rp": 5}',
        '{"rp": {"id": []}}',
        '{"rpId": 5}',
    ],
    ids=range(5),
)
def test_pasted_options_may_have_any_values(visitor, elsewhere, options):
    expect(visitor.post("/inside/paste", elsewhere | {"options": options}), 200)


def test_pasted_key_may_have_any_exponent(visitor, elsewhere):
    modulus = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key().public_numbers().n
    key = rsa.RSAPublicNumbers(2**64 + 1, modulus).public_key()
    elsewhere["public_key"] = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    expect(visitor.post("/inside/paste", elsewhere), 200)


# The link of a mail.


def mail_id(app) -> str:
    """Return the outbox's id of the newest mail."""
    return max(mailer.outbox(app).glob("*.eml")).stem


def test_link_of_a_mail_is_opened_without_using_it(visitor, app, unchanged):
    visitor.ask(ADA)
    link = visitor.read_mail().link
    with unchanged():
        page = expect(visitor.get(f"/inside/mail/{mail_id(app)}"), 200)
    assert "128 random bits" in text_of(parse(page))
    assert link.rpartition("/")[2] not in page.text
    assert ADA not in text_of(parse(page).find(".//main"))
    expect(visitor.post(link), 303)
    assert "It has been used" in visitor.get(f"/inside/mail/{mail_id(app)}").text


def test_mail_without_a_link_is_not_found(ada, app):
    mails.deliver_notices(app)
    expect(ada.get(f"/inside/mail/{mail_id(app)}"), 404)
    expect(ada.get("/inside/mail/none"), 404)


def test_mail_that_is_deleted_meanwhile_is_not_found(visitor, app):
    visitor.ask(ADA)
    # The folder lists it, but it can't be read.
    (mailer.outbox(app) / "deleted.eml").symlink_to("nowhere")
    expect(visitor.get("/inside/mail/deleted"), 404)


def test_mail_leads_to_what_is_in_its_link(visitor, app):
    visitor.ask(ADA)
    page = visitor.get(f"/dev/mail/{mail_id(app)}")
    assert f'href="/inside/mail/{mail_id(app)}"' in page.text


def test_mail_without_the_teaching_parts_leads_nowhere(make_app):
    app = make_app()
    visitor = Visitor(app)
    visitor.ask(ADA)
    assert "/inside/" not in expect(visitor.get(f"/dev/mail/{mail_id(app)}"), 200).text
