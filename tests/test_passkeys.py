"""The passkeys of an account: naming and removing them, and signing in with an address typed beside one."""

import pytest

from app.models import Activity, Passkey
from authenticator import Authenticator
from tests.conftest import ADA, GRACE, Visitor, expect, parse, rows, text_of

# Names.


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("My phone", "My phone"),
        ("  two\n\tlines\0 ", "two lines"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("\u202eenohp", "\u202eenohp"),
        ("👩\u200d🚀", "👩\u200d🚀"),
        ("x" * 60, "x" * 60),
        ("Work: laptop / home", "Work: laptop / home"),
        ("www", "www"),
    ],
)
def test_passkey_is_renamed(ada, app, typed, stored):
    expect(ada.post("/account/passkeys/1/rename", {"name": typed}), 303)
    assert [passkey.name for passkey in rows(app, Passkey)] == [stored]
    page = ada.get("/account")
    assert stored in [text_of(element) for element in parse(page).iter("bdi")]
    assert "<script>alert" not in page.text
    assert stored in [row.detail for row in rows(app, Activity)]
    expect(ada.get("/account/activity"), 200)


# Notices contain the name, and mail programs would turn these into links.
WEB_ADDRESSES = ["https://evil.example/", "see evil://x", "WWW.evil.example", "(www.evil.example)"]


@pytest.mark.parametrize("name", ["", "   ", "\n", "\u200f", "x" * 61, *WEB_ADDRESSES])
def test_invalid_name_is_refused(ada, unchanged, reasons, name):
    with unchanged():
        response = expect(ada.post("/account/passkeys/1/rename", {"name": name}), 400)
    assert ada.alert(response) == "A name has 1 to 60 characters, and no web address. Nothing has changed."
    assert reasons == ["invalid_name"]


def test_passkey_gets_its_name_when_it_is_created(ada, app):
    expect(ada.register(Authenticator().create(ada.creation_options()), name=" My  key "), 303)
    assert rows(app, Passkey)[-1].name == "My key"


@pytest.mark.parametrize("name", ["x" * 61, "   ", "\u200f", *WEB_ADDRESSES])
def test_new_passkey_with_an_invalid_name_gets_the_usual_one(ada, app, name):
    device = Authenticator()
    expect(ada.register(device.create(ada.creation_options()), name=name), 303)
    assert rows(app, Passkey)[-1].name == rows(app, Passkey)[0].name


# Other accounts' passkeys.


@pytest.mark.parametrize("number", [2**31, 2**63, 2**64, 9**40])
def test_passkey_number_out_of_range_is_not_found(ada, unchanged, number):
    with unchanged():
        expect(ada.post(f"/account/passkeys/{number}/remove"), 404)


@pytest.mark.parametrize("action", ["rename", "remove"])
def test_another_accounts_passkey_is_not_found(ada, eve, unchanged, action):
    with unchanged():
        expect(eve.post(f"/account/passkeys/1/{action}", {"name": "mine"}), 404)


# Removing.


@pytest.mark.parametrize("ends", [True, False])
def test_removing_a_passkey_ends_its_sessions_if_asked(ada, phone, ends):
    other = Visitor(ada.app)
    other.sign_in_by_passkey(phone)
    expect(ada.post("/account/passkeys/1/remove", {"sessions": "end"} if ends else {}), 303)
    assert other.is_signed_in() is not ends
    assert ada.is_signed_in()


def test_removing_a_missing_passkey_keeps_other_sessions_proven(ada):
    other = Visitor(ada.app)
    other.sign_in_by_link(ADA)
    expect(ada.post("/account/passkeys/99/remove"), 404)
    expect(other.post("/account/recovery-codes"), 200)


# An address beside the passkey.


def test_passkey_of_the_typed_account_signs_in(ada, phone):
    ada.sign_out()
    expect(ada.authenticate(phone.get(ada.request_options()), email=" ADA@example.org"), 303)


@pytest.mark.parametrize("email", [GRACE, "eve@example.org", "nonsense", "\0"])
def test_passkey_of_another_account_than_the_typed_one_is_refused(ada, eve, phone, unchanged, reasons, email):
    ada.sign_out()
    credential = phone.get(ada.request_options())
    with unchanged(spent=1):
        response = expect(ada.authenticate(credential, email=email), 400)
    assert reasons == ["other_account"]
    assert ada.alert(response).startswith("That passkey doesn’t belong to the address you typed.")


@pytest.mark.parametrize("email", [ADA, GRACE])
def test_wrong_signature_does_not_reveal_the_owner_of_a_passkey(ada, phone, reasons, email):
    ada.sign_out()
    credential = phone.get(ada.request_options())
    credential["response"]["signature"] = "AAAA"
    response = expect(ada.authenticate(credential, email=email), 400)
    assert reasons == ["wrong_signature"]
    assert ada.alert(response).startswith("That didn’t sign you in")


# Password managers.


def test_password_managers_find_the_account(visitor):
    response = expect(visitor.get("/.well-known/passkey-endpoints"), 200)
    account = "http://localhost:8000/account"
    assert (response.mimetype, response.json) == ("application/json", {"enroll": account, "manage": account})
