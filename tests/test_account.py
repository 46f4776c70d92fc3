"""What an owner does with their account: names, fresh proof, sessions, the address, leaving, and the activity."""

import json
import re
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import select, text

from app import activity, proof
from app.activity import Kind
from app.ceremonies import attempts
from app.database import db
from app.models import Activity, Passkey, Session, User, now
from tests import mails
from tests.authenticator import Authenticator, encode
from tests.conftest import Visitor, expect, options_of, parse, text_of

ADA, GRACE = "ada@example.org", "grace@example.org"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1"  # noqa: E501
STALE = proof.PROOF_LIFETIME + timedelta(seconds=1)


@pytest.fixture
def ada(visitor, phone):
    """A visitor who is signed in, and has a passkey on their phone."""
    visitor.sign_in_by_link(ADA)
    visitor.make_passkey(phone)
    return visitor


@pytest.fixture
def eve(stranger):
    """Somebody else, with an account and a passkey of their own."""
    stranger.sign_in_by_link("eve@example.org")
    stranger.key = Authenticator()
    stranger.make_passkey(stranger.key)
    return stranger


@pytest.fixture
def later():
    """So much later that no proof is fresh any more."""
    with time_machine.travel(now() + STALE):
        yield


def rows(app, table):
    with app.app_context():
        return db.session.scalars(select(table).order_by(table.id)).all()


def kinds(app, user=1) -> list[str]:
    return [row.kind for row in rows(app, Activity) if row.user_id == user]


def carried(response) -> dict[str, str]:
    """The fields of the first form of the page that asks for proof."""
    form = parse(response).find(".//main//form")
    return {field.attrib["name"]: field.attrib.get("value", "") for field in form.iter("input")}


def signals(response) -> list[dict]:
    """What the page has the authenticator told."""
    return [json.loads(element.attrib["details"]) for element in parse(response).iter("passkey-signal")]


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
def test_a_passkey_is_renamed(ada, app, typed, stored):
    expect(ada.post("/account/passkeys/1/rename", {"name": typed}), 303)
    assert [passkey.name for passkey in rows(app, Passkey)] == [stored]
    page = ada.get("/account")
    assert stored in [text_of(element) for element in parse(page).iter("bdi")]
    assert "<script>alert" not in page.text
    assert stored in [row.detail for row in rows(app, Activity)]
    expect(ada.get("/account/activity"), 200)


# Mail programs would make links of these, in the notices that name the passkey.
WEB_ADDRESSES = ["https://evil.example/", "see evil://x", "WWW.evil.example", "(www.evil.example)"]


@pytest.mark.parametrize("name", ["", "   ", "\n", "\u200f", "x" * 61, *WEB_ADDRESSES])
def test_a_name_that_is_none_is_refused(ada, unchanged, reasons, name):
    with unchanged():
        response = expect(ada.post("/account/passkeys/1/rename", {"name": name}), 400)
    assert ada.alert(response) == "A name has 1 to 60 characters, and no web address. Nothing has changed."
    assert reasons == ["invalid_name"]


def test_a_passkey_is_named_when_it_is_made(ada, app):
    expect(ada.register(Authenticator().create(ada.creation_options()), name=" My  key "), 303)
    assert rows(app, Passkey)[-1].name == "My key"


@pytest.mark.parametrize("name", ["x" * 61, "   ", "\u200f", *WEB_ADDRESSES])
def test_a_passkey_that_was_made_is_not_refused_for_its_name(ada, app, name):
    device = Authenticator()
    expect(ada.register(device.create(ada.creation_options()), name=name), 303)
    assert rows(app, Passkey)[-1].name == rows(app, Passkey)[0].name


@pytest.mark.parametrize("number", [2**31, 2**63, 2**64, 9**40])
def test_a_number_that_no_passkey_has_is_not_there(ada, unchanged, number):
    with unchanged():
        expect(ada.post(f"/account/passkeys/{number}/remove"), 404)


@pytest.mark.parametrize("action", ["rename", "remove"])
def test_somebody_elses_passkey_is_not_there(ada, eve, unchanged, action):
    with unchanged():
        expect(eve.post(f"/account/passkeys/1/{action}", {"name": "mine"}), 404)


# What the authenticator is told.


def test_a_removal_signals_that_one_id(ada, phone):
    ada.post("/account/passkeys/1/remove")
    told = {"method": "signalUnknownCredential", "rpId": "localhost", "credentialId": encode(phone.credentials[0].id)}
    assert signals(ada.get("/account")) == [told]
    assert signals(ada.get("/account")) == []


def test_a_removed_passkey_is_signalled_and_no_other(ada, phone, eve):
    ada.post("/account/passkeys/1/remove")
    ada.sign_out()
    removed = ada.authenticate(phone.get(ada.request_options()))
    assert [signal["credentialId"] for signal in signals(removed)] == [encode(phone.credentials[0].id)]
    # A site on another port has made this one: it is nobody's here, and may be somebody's only way in there.
    for device in (phone, eve.key):
        response = ada.authenticate(device.get(ada.request_options(), user_handle=bytes(64)))
        assert (response.status_code, signals(response)) == (400, [])


def test_a_refused_registration_signals_the_id_that_was_made(ada, phone):
    device = Authenticator()
    response = ada.register(device.create(ada.creation_options(), client_data={"origin": "https://evil.example"}))
    assert [signal["credentialId"] for signal in signals(response)] == [encode(device.credentials[0].id)]


def test_a_registration_that_came_too_late_signals_its_id(ada):
    device = Authenticator()
    credential = device.create(ada.creation_options())
    with time_machine.travel(now() + STALE):
        response = expect(ada.register(credential), 400)
    assert [signal["credentialId"] for signal in signals(response)] == [encode(device.credentials[0].id)]


def test_a_passkey_that_is_registered_already_is_not_signalled(ada, phone):
    again = Authenticator().create(ada.creation_options(), credential_id=phone.credentials[0].id)
    assert signals(expect(ada.register(again), 400)) == []


# An address beside the passkey.


def test_a_passkey_of_the_typed_account_signs_in(ada, phone):
    ada.sign_out()
    expect(ada.authenticate(phone.get(ada.request_options()), email=" ADA@example.org"), 303)


@pytest.mark.parametrize("email", [GRACE, "eve@example.org", "nonsense", "\0"])
def test_a_passkey_of_another_account_than_the_typed_one_is_refused(ada, eve, phone, unchanged, reasons, email):
    ada.sign_out()
    credential = phone.get(ada.request_options())
    with unchanged(spent=1):
        response = expect(ada.authenticate(credential, email=email), 400)
    assert reasons == ["other_account"]
    assert ada.alert(response).startswith("That passkey doesn’t belong to the address you typed.")


@pytest.mark.parametrize("email", [ADA, GRACE])
def test_who_cannot_sign_is_not_told_whose_a_passkey_is(ada, phone, reasons, email):
    ada.sign_out()
    credential = phone.get(ada.request_options())
    credential["response"]["signature"] = "AAAA"
    response = expect(ada.authenticate(credential, email=email), 400)
    assert reasons == ["wrong_signature"]
    assert ada.alert(response).startswith("That didn’t sign you in")


# Fresh proof.

GUARDED = [
    ("/account/passkeys/1/remove", {"sessions": "end"}),
    ("/account/email", {"email": "countess@example.org"}),
    ("/account/delete", {}),
]


@pytest.mark.parametrize(("path", "form"), GUARDED)
def test_without_fresh_proof_nothing_changes_and_the_form_is_kept(ada, later, unchanged, reasons, path, form):
    ada.get("/account")
    with unchanged():
        response = expect(ada.post(path, form), 403)
    assert reasons == ["not_proven"]
    assert ada.alert(response).endswith("Nothing has been changed yet.")
    assert carried(response) == form | {"credential": ""}


@pytest.mark.parametrize(("path", "form"), GUARDED)
def test_proof_by_passkey_carries_on(ada, phone, later, path, form):
    page = ada.post(path, form)
    credential = phone.get(options_of_refusal(page))
    expect(ada.post(path, carried(page) | {"credential": json.dumps(credential)}), 303)


@pytest.mark.parametrize(("path", "form"), GUARDED)
def test_proof_by_code_carries_on(ada, later, path, form):
    page = expect(ada.post(path, form | {"mail": "code"}), 200)
    proof = re.search(r'name="proof" value="([^"]+)"', page.text)[1]
    wrong = expect(ada.post(path, form | {"proof": proof, "code": "CDFG-HJKM"}), 403)
    assert ada.alert(wrong) == "That isn’t the code from the mail. Check it and type it again."
    code = ada.read_code(ADA)
    expect(ada.post(path, form | {"proof": proof, "code": code.lower()}), 303)


def test_a_code_proves_once(ada, later, reasons):
    page = ada.post("/account/confirm", {"mail": "code"})
    form = {"proof": re.search(r'name="proof" value="([^"]+)"', page.text)[1], "code": ada.read_code(ADA)}
    expect(ada.post("/account/confirm", form), 303)
    expect(ada.post("/account/confirm", form), 403)
    assert reasons == ["already_used"]


def test_a_code_in_the_old_mailbox_proves_nothing_once_the_address_has_changed(ada, later, unchanged, reasons):
    page = ada.post("/account/confirm", {"mail": "code"})
    old = {"proof": re.search(r'name="proof" value="([^"]+)"', page.text)[1], "code": ada.read_code(ADA)}
    other = Visitor(ada.app)
    other.sign_in_by_link(ADA)
    expect(other.post("/account/email", {"email": GRACE}), 303)
    expect(other.post("/account/email", {"code": other.read_code(GRACE)}), 303)
    # The session ended with the old address; should it come back, its code would still be worth nothing.
    with unchanged():
        expect(ada.post("/account/confirm", old), 401)
    assert reasons == ["not_signed_in"]


def test_a_code_in_the_old_mailbox_proves_nothing_in_the_session_that_changed_the_address(ada, reasons):
    page = ada.post("/account/confirm", {"mail": "code"})
    old = {"proof": re.search(r'name="proof" value="([^"]+)"', page.text)[1], "code": ada.read_code(ADA)}
    expect(ada.post("/account/email", {"email": GRACE}), 303)
    expect(ada.post("/account/email", {"code": ada.read_code(GRACE)}), 303)
    expect(ada.post("/account/confirm", old), 403)
    assert reasons == ["bound_to_another_email"]


def test_what_the_old_mailbox_opened_ends_with_it(ada):
    thief = Visitor(ada.app)
    thief.sign_in_by_link(ADA)
    expect(ada.post("/account/email", {"email": GRACE}), 303)
    expect(ada.post("/account/email", {"code": ada.read_code(GRACE)}), 303)
    assert ada.is_signed_in()
    assert not thief.is_signed_in()


def test_what_a_removed_passkey_began_it_does_not_finish(ada, phone, reasons):
    """A thief with the phone has begun to move the account to their own address."""
    thief = Visitor(ada.app)
    thief.sign_in_by_passkey(phone)
    expect(thief.post("/account/email", {"email": "eve@example.org"}), 303)
    code = thief.read_code("eve@example.org")
    expect(ada.post("/account/passkeys/1/remove"), 303)
    expect(thief.post("/account/email", {"code": code}), 400)
    assert reasons == ["not_proven"]
    assert ada.is_signed_in()


def test_removing_what_is_not_there_changes_nothing_elsewhere(ada):
    other = Visitor(ada.app)
    other.sign_in_by_link(ADA)
    expect(ada.post("/account/passkeys/99/remove"), 404)
    expect(other.post("/account/recovery-codes"), 200)


@pytest.mark.parametrize("page", ["/account/delete", "/account/recovery-codes", "/account/email"])
def test_a_page_that_was_left_open_does_nothing_to_the_next_account(ada, unchanged, reasons, page):
    form = carried(ada.get(page)) | {"email": GRACE}
    ada.sign_in_by_link("eve@example.org")
    with unchanged():
        response = expect(ada.post(page, form), 409)
    assert reasons == ["another_account"]
    assert "You’ve signed in as eve@example.org since" in ada.alert(response)
    assert expect(
        ada.post(page, carried(ada.get(page)) | {"email": GRACE}), 303 if page != "/account/recovery-codes" else 200
    )


def test_what_a_removed_passkey_proved_it_proves_no_more(ada, phone, later, reasons):
    """Ada's phone is stolen, and so is a session that it didn't open."""
    thief, spare = ada.twin(), Authenticator()
    owner = Visitor(ada.app)
    owner.sign_in_by_link(ADA)
    owner.make_passkey(spare)
    options = options_of(thief.get("/account/confirm"), "passkey-sign-in")
    expect(thief.post("/account/confirm", {"credential": json.dumps(phone.get(options))}), 303)
    begun = thief.creation_options()
    expect(owner.post("/account/passkeys/1/remove"), 303)
    assert thief.is_signed_in()
    expect(thief.post("/account/recovery-codes"), 403)
    expect(thief.register(Authenticator().create(begun)), 400)
    assert reasons == ["not_proven"] * 2
    assert owner.post("/account/recovery-codes").status_code == 200


def test_creation_options_are_for_fresh_proof_only(ada, later, reasons):
    assert "passkey-registration" not in {element.tag for element in parse(ada.get("/account")).iter()}
    response = expect(ada.post("/account/passkeys/options"), 403)
    assert response.mimetype == "application/problem+json"
    assert reasons == ["not_proven"]
    assert expect(ada.post("/account/passkeys"), 303).location == "/account/confirm?next=/account"


def test_proof_leads_back_to_making_a_passkey(ada, phone, later):
    options = options_of(ada.get("/account/confirm?next=/account"), "passkey-sign-in")
    assert [each["id"] for each in options["allowCredentials"]] == [encode(phone.credentials[0].id)]
    form = {"credential": json.dumps(phone.get(options)), "next": "/account"}
    assert expect(ada.post("/account/confirm", form), 303).location == "/account"
    ada.make_passkey(Authenticator())


def test_another_users_passkey_is_no_proof(ada, eve, later, unchanged, reasons):
    ada.get("/account")
    options = options_of(ada.get("/account/confirm"), "passkey-sign-in") | {"allowCredentials": []}
    with unchanged(spent=1):
        response = expect(ada.post("/account/confirm", {"credential": json.dumps(eve.key.get(options))}), 403)
    assert reasons == ["other_account"]
    assert ada.alert(response) == "That passkey belongs to another account. Pick a passkey of this account."
    # Nothing about it may be read here.
    assert rows(ada.app, Activity)[-1].user_id == 1
    assert json.loads(rows(ada.app, Activity)[-1].transcript)["found"] == {}


def test_another_sessions_challenge_is_no_proof(ada, phone, later, reasons):
    tab = Visitor(ada.app)
    tab.sign_in_by_link(ADA)
    options = options_of(tab.get("/account/confirm"), "passkey-sign-in")
    expect(ada.post("/account/confirm", {"credential": json.dumps(phone.get(options))}), 403)
    assert reasons == ["bound_to_another_session"]


def test_a_challenge_to_sign_in_is_no_proof_and_the_reverse(ada, phone, reasons):
    to_sign_in = Visitor(ada.app).request_options()
    expect(ada.post("/account/confirm", {"credential": json.dumps(phone.get(to_sign_in))}), 403)
    to_confirm = options_of(ada.get("/account/confirm"), "passkey-sign-in")
    ada.sign_out()
    expect(ada.authenticate(phone.get(to_confirm)), 400)
    assert reasons == ["malformed_token"] * 2


def options_of_refusal(response):
    return json.loads(parse(response).find(".//passkey-sign-in").attrib["options"])


def test_a_proof_is_used_up_where_nothing_is_found_to_do(ada, later, reasons):
    page = ada.post("/account/confirm", {"mail": "code"})
    form = {"proof": re.search(r'name="proof" value="([^"]+)"', page.text)[1], "code": ada.read_code(ADA)}
    expect(ada.post("/account/passkeys/999/remove", form), 404)
    expect(ada.post("/account/confirm", form), 403)
    assert reasons == ["not_found", "already_used"]


def test_the_page_repeats_no_more_than_a_form_has(ada, later):
    response = ada.post("/account/delete", {f"field{number}": "" for number in range(1000)})
    assert len(expect(response, 403).data) < 20_000


# Sessions.


def test_sessions_are_listed_and_ended(ada, phone):
    other = Visitor(ada.app)
    other.client.environ_base["HTTP_USER_AGENT"] = IPHONE
    other.sign_in_by_passkey(phone)
    page = text_of(parse(ada.get("/account")))
    assert "Safari on iOS Signed in just now by passkey · last seen just now" in page
    [id] = [row.id for row in rows(ada.app, Session) if row.method == "passkey"]
    expect(ada.post(f"/account/sessions/{id}/revoke"), 303)
    assert not other.is_signed_in()
    assert ada.is_signed_in()


def test_all_others_are_ended(ada):
    others = [Visitor(ada.app) for _ in range(3)]
    for other in others:
        other.sign_in_by_link(ADA)
    expect(ada.post("/account/sessions/revoke-all"), 303)
    assert [other.is_signed_in() for other in others] == [False] * 3
    assert ada.is_signed_in()


def test_a_session_without_fresh_proof_ends_no_other(ada, later, unchanged, reasons):
    """Or whoever has copied a cookie signs its owner out before they have found the button."""
    owner = Visitor(ada.app)
    owner.sign_in_by_link(ADA)
    ada.get("/account")
    [id] = [row.id for row in rows(ada.app, Session) if row.method == "link" and row.proved_at > now() - STALE]
    with unchanged():
        for path, deed in (("revoke-all", "sign out all other browsers"), (f"{id}/revoke", "sign out another browser")):
            page = expect(ada.post(f"/account/sessions/{path}"), 403)
            assert deed in text_of(parse(page))
    assert reasons == ["not_proven"] * 2
    assert owner.is_signed_in()


def test_somebody_elses_session_is_not_there(ada, eve, unchanged):
    [id] = [row.id for row in rows(ada.app, Session) if row.user_id == 1]
    with unchanged():
        expect(eve.post(f"/account/sessions/{id}/revoke"), 404)
        eve.post("/account/sessions/revoke-all")
    assert ada.is_signed_in()


@pytest.mark.parametrize("ends", [True, False])
def test_removing_a_passkey_ends_what_it_opened_where_asked(ada, phone, ends):
    other = Visitor(ada.app)
    other.sign_in_by_passkey(phone)
    expect(ada.post("/account/passkeys/1/remove", {"sessions": "end"} if ends else {}), 303)
    assert other.is_signed_in() is not ends
    assert ada.is_signed_in()


def test_a_session_ends_after_fourteen_days_without_use(ada, app):
    began = now()
    with time_machine.travel(began + timedelta(days=13)):
        assert ada.is_signed_in()
    with time_machine.travel(began + timedelta(days=26)):
        assert ada.is_signed_in()
    with time_machine.travel(began + timedelta(days=41)):
        assert not ada.is_signed_in()


def test_a_session_ends_after_ninety_days_in_any_case(ada):
    began = now()
    for days in range(10, 90, 10):
        with time_machine.travel(began + timedelta(days=days)):
            assert ada.is_signed_in()
    with time_machine.travel(began + timedelta(days=90, seconds=1)):
        assert not ada.is_signed_in()


def test_being_seen_is_written_every_five_minutes(ada, app, snapshot):
    seen = rows(app, Session)[0].seen_at
    with time_machine.travel(now() + timedelta(minutes=4)):
        ada.get("/account")
        assert rows(app, Session)[0].seen_at == seen
    with time_machine.travel(now() + timedelta(minutes=6)):
        ada.get("/account")
        assert rows(app, Session)[0].seen_at > seen


# The address.


def test_the_address_is_changed_by_a_code(ada, app, phone):
    expect(ada.post("/account/email", {"email": "Countess@example.org"}), 303)
    assert [user.email for user in rows(app, User)] == [ADA]
    expect(ada.post("/account/email", {"code": "CDFG-HJKM"}), 400)
    expect(ada.post("/account/email", {"code": ada.read_code("countess@example.org")}), 303)
    assert [user.email for user in rows(app, User)] == ["countess@example.org"]
    assert mails.notices(app)[0] == (ADA, "The address of your account was changed")
    [signal] = signals(ada.get("/account"))
    assert (signal["method"], signal["name"]) == ("signalCurrentUserDetails", "countess@example.org")
    # A link to the old address opens an account of its own.
    stranger = Visitor(app)
    stranger.sign_in_by_link(ADA)
    assert len(rows(app, User)) == 2


def test_a_change_that_was_begun_before_another_is_off(ada, app, reasons):
    ada.post("/account/email", {"email": GRACE})
    tab, code = ada.twin(), ada.read_code(GRACE)
    ada.post("/account/email", {"email": "countess@example.org"})
    expect(ada.post("/account/email", {"code": ada.read_code("countess@example.org")}), 303)
    expect(tab.post("/account/email", {"code": code}), 400)
    assert reasons == ["bound_to_another_from"]


def test_what_one_account_has_begun_the_next_does_not_see(ada):
    ada.post("/account/email", {"email": GRACE})
    assert GRACE in ada.get("/account/email").text
    ada.sign_out()
    ada.sign_in_by_link("eve@example.org")
    assert GRACE not in ada.get("/account/email").text


def test_a_code_changes_the_address_once(ada, reasons):
    ada.post("/account/email", {"email": GRACE})
    tab, code = ada.twin(), ada.read_code(GRACE)
    expect(ada.post("/account/email", {"code": code}), 303)
    expect(tab.post("/account/email", {"code": code}), 400)
    assert reasons == ["bound_to_another_from"]


def test_an_address_that_has_an_account_gets_word_and_the_page_looks_the_same(ada, eve, app, unchanged):
    mails.deliver_notices(app)
    pages = []
    for email in ("eve@example.org", "bob@example.org"):
        with unchanged():
            expect(ada.post("/account/email", {"email": email}), 303)
        pages.append(ada.get("/account/email").text.replace(email, ""))
    assert pages[0] == pages[1]
    assert mails.notices(app)[0] == ("eve@example.org", "You have an account already")


def test_an_address_that_was_taken_in_the_meantime_is_refused(ada, stranger, reasons, app):
    ada.post("/account/email", {"email": GRACE})
    code = ada.read_code(GRACE)
    stranger.sign_in_by_link(GRACE)
    response = expect(ada.post("/account/email", {"code": code}), 400)
    assert reasons == ["address_taken"]
    assert ada.alert(response)
    assert [user.email for user in rows(app, User)] == [ADA, GRACE]


@pytest.mark.parametrize(("email", "reason"), [("nonsense", "invalid_email"), (ADA, "same_email")])
def test_an_address_that_cannot_be_the_new_one_is_refused(ada, unchanged, reasons, email, reason):
    with unchanged():
        response = expect(ada.post("/account/email", {"email": email}), 400)
    assert ada.alert(response)
    assert reasons == [reason]


# Leaving.


def test_deleting_the_account_leaves_nothing(ada, phone, app, snapshot):
    expect(ada.post("/account/delete"), 303)
    assert mails.notices(app)[0] == (ADA, "Your account is deleted")
    left = snapshot()
    assert {name for name, kept in left.items() if kept} == {"spent_tokens", "counters"}
    assert not ada.is_signed_in()
    [signal] = signals(ada.get("/"))
    assert (signal["method"], signal["allAcceptedCredentialIds"]) == ("signalAllAcceptedCredentials", [])

    again = Visitor(app)
    again.sign_in_by_link(ADA)
    assert rows(app, User)[0].id == 2
    assert kinds(app, user=2) == ["signed_in"]
    expect(Visitor(app).authenticate(phone.get(Visitor(app).request_options())), 400)


# The activity.


def test_every_kind_has_a_sentence_a_name_and_an_icon(app):
    with app.test_request_context():
        module = app.jinja_env.get_template("account/kinds.html").module
        for kind in Kind:
            assert str(module.sentence(kind, "detail"))
            assert module.names[kind]
            assert module.pictures[kind]
        assert set(module.names) == set(module.pictures) == set(Kind)


def test_what_happens_is_written_down(ada, phone, app):
    ada.post("/account/passkeys/1/rename", {"name": "phone"})
    ada.sign_out()
    ada.authenticate(phone.get(ada.request_options(), client_data={"origin": "https://evil.example"}))
    ada.sign_in_by_passkey(phone)
    ada.register("nonsense")
    ada.post("/account/confirm", {"credential": "nonsense"})
    ada.post("/account/passkeys/1/remove")
    assert kinds(app) == [
        "signed_in",
        "passkey_added",
        "passkey_renamed",
        "session_ended",
        "sign_in_refused",
        "signed_in",
        "passkey_refused",
        "confirmation_refused",
        "passkey_removed",
    ]
    page = text_of(parse(ada.get("/account/activity")))
    assert "Not signed in: wrong origin" in page
    assert "Passkey removed: phone" in page
    filtered = text_of(parse(ada.get("/account/activity?kind=passkey_renamed")).find(".//main"))
    assert "Passkey renamed to phone" in filtered
    assert "wrong origin" not in filtered


def test_the_activity_comes_in_pages_of_fifty(ada, app):
    with app.app_context():
        for number in range(120):
            activity.record(1, Kind.PASSKEY_RENAMED, activity.Client("Chrome", "192.0.2.1"), f"name {number}")
        db.session.commit()
    path, seen = "/account/activity?kind=passkey_renamed", []
    while path:
        page = parse(ada.get(path))
        seen.append(len(page.findall(".//main//li")))
        path = next((link.attrib["href"] for link in page.iter("a") if text_of(link) == "Older"), "")
    assert seen == [50, 50, 20]


@pytest.mark.parametrize("query", ["kind=nonsense", "before=-1", "before=x", f"before={9**40}", "kind=%00"])
def test_a_filter_that_is_none_is_dropped(ada, query):
    expect(ada.get(f"/account/activity?{query}"), 200)


def test_what_is_too_old_is_not_shown_before_it_is_swept(ada, phone):
    with time_machine.travel(now() + timedelta(days=91)):
        ada.sign_in_by_passkey(phone)
        page = text_of(parse(ada.get("/account/activity")).find(".//main"))
    assert "Signed in by passkey" in page
    assert "Signed in by link" not in page


def test_signing_in_over_a_session_ends_it(ada, app):
    ada.sign_in_by_link("eve@example.org")
    assert kinds(app) == ["signed_in", "passkey_added", "session_ended"]


def test_nobody_reads_anothers_activity(ada, eve):
    assert "ada" not in eve.get("/account/activity").text


def test_old_activity_is_swept(ada, app):
    with time_machine.travel(now() + timedelta(days=91)), app.app_context():
        activity.sweep()
        db.session.commit()
    assert rows(app, Activity) == []


def test_a_transcript_tells_how_a_ceremony_went(ada, phone, app):
    ada.sign_out()
    options = ada.request_options()
    response = phone.get(options, flags=1)
    ada.authenticate(response)
    transcript = json.loads(rows(app, Activity)[-1].transcript)
    assert json.loads(transcript["options"]) == options
    assert json.loads(transcript["response"]) == response
    assert transcript["found"]["name"] == rows(app, Passkey)[0].name
    assert transcript["refused"] == "user_not_verified"


def test_a_challenge_that_was_not_spent_is_not_kept(ada, phone, app):
    """It may be alive in another browser."""
    ada.sign_out()
    ada.authenticate(phone.get(Visitor(app).request_options()))
    assert [row.transcript for row in rows(app, Activity) if row.kind.endswith("_refused")] == []


def test_a_transcript_has_an_end(ada, phone, app):
    ada.sign_out()
    response = phone.get(ada.request_options()) | {"more": "x" * attempts.LONGEST_TRANSCRIPT}
    expect(ada.authenticate(response), 303)
    assert len(rows(app, Activity)[-1].transcript) < 100


def test_twenty_refused_transcripts_are_kept_in_an_hour(ada, phone, app):
    ada.sign_out()
    for _ in range(22):
        ada.authenticate(phone.get(ada.request_options(), flags=1))
    refused = [row for row in rows(app, Activity) if row.kind == "sign_in_refused"]
    assert len(refused) == 22
    assert len([row for row in refused if row.transcript]) == 20


def test_twenty_long_transcripts_are_kept_in_an_hour(ada, phone, app):
    """Whatever an authenticator answers is short."""
    for more in 22 * [{}] + 22 * [{"more": "x" * 5000}]:
        ada.sign_out()
        expect(ada.authenticate(phone.get(ada.request_options()) | more), 303)
    transcripts = [len(row.transcript) for row in rows(app, Activity) if row.kind == "signed_in"]
    assert sum(length > 5000 for length in transcripts) == 20
    assert sum(0 < length < 5000 for length in transcripts) == 22


# The owner is told.


def test_the_owner_is_told_of_passkeys(ada, app):
    ada.post("/account/passkeys/1/remove")
    assert mails.notices(app) == [
        (ADA, "A passkey was removed from your account"),
        (ADA, "A passkey was added to your account"),
    ]


def test_a_notice_that_cannot_be_sent_is_logged_and_stops_nothing(make_app, site_log, phone):
    visitor = Visitor(make_app())
    visitor.sign_in_by_link(ADA)
    visitor.app.config["MAIL_SERVER"], visitor.app.config["MAIL_PORT"] = "localhost", 1
    visitor.app.extensions["mail"].server, visitor.app.extensions["mail"].port = "localhost", 1
    visitor.make_passkey(phone)
    mails.deliver_notices(visitor.app)
    assert "notice_not_sent" in [event.name for event in site_log.events]


def test_password_managers_find_the_account(visitor):
    response = expect(visitor.get("/.well-known/passkey-endpoints"), 200)
    account = "http://localhost:8000/account"
    assert (response.mimetype, response.json) == ("application/json", {"enroll": account, "manage": account})


# When the database is away.


def test_a_signed_in_visitor_gets_a_page_and_keeps_their_cookie(ada, app):
    with app.app_context():
        db.session.execute(text("DROP TABLE activities"))
        db.session.commit()
    response = expect(ada.post("/sign-out"), 503)
    assert "Set-Cookie" not in response.headers
    assert ada.is_signed_in()
