"""Fresh proof of identity: the forms that need it, the ways to give it, and the cookie and time that it counts for."""

import json
import re
from datetime import timedelta
from html import unescape

import pytest
import time_machine

from app import proof
from app.models import Activity, now
from authenticator import Authenticator, encode
from tests import mails
from tests.conftest import (
    ADA,
    GRACE,
    UNTIL_PROOF_EXPIRES,
    Visitor,
    date_sessions,
    expect,
    fields_of,
    options_of,
    parse,
    proof_in,
    rows,
    text_of,
)
from tests.test_protection import OPTIONS, paths

# Paths and fields of forms that are finished once there is a proof.
FORMS_TO_FINISH = [
    ("/account/passkeys/1/remove", {"sessions": "end"}),
    ("/account/email", {"email": "countess@example.org"}),
    ("/account/delete", {}),
]

# Every form that needs proof: its path, its fields, and its name in the mail with the code.
GUARDED = [
    ("/account/passkeys/1/remove", {}, "remove a passkey"),
    ("/account/email", {"email": "new@example.org"}, "change the address"),
    ("/account/delete", {}, "delete the account"),
    ("/account/recovery-codes", {}, "make recovery codes"),
    ("/account/sessions/1/revoke", {}, "sign out another browser"),
    ("/account/sessions/revoke-all", {}, "sign out all other browsers"),
    ("/account/require-passkey", {"require": "yes"}, "turn the passkey requirement on or off"),
    ("/account/confirm", {}, "create a passkey"),
]


def assert_not_proven(visitor: Visitor) -> None:
    """Assert that every form asks for proof, and that there are no creation options."""
    for path, form, _ in GUARDED:
        expect(visitor.post(path, form), 403)
    expect(visitor.post("/account/passkeys/options"), 403)
    assert expect(visitor.post("/account/passkeys"), 303).location.startswith("/account/confirm")


# The forms that need proof.


@pytest.mark.parametrize(("path", "form"), FORMS_TO_FINISH)
def test_form_without_fresh_proof_is_kept_and_changes_nothing(ada, proof_expired, unchanged, reasons, path, form):
    ada.get("/account")
    with unchanged():
        response = expect(ada.post(path, form), 403)
    assert reasons == ["not_proven"]
    assert ada.alert(response).endswith("Nothing has been changed yet.")
    assert fields_of(response) == form | {"credential": ""}


@pytest.mark.parametrize(("path", "form"), FORMS_TO_FINISH)
def test_proof_by_passkey_finishes_the_form(ada, phone, proof_expired, path, form):
    page = ada.post(path, form)
    credential = phone.get(options_of(page, "passkey-sign-in", 403))
    expect(ada.post(path, fields_of(page) | {"credential": json.dumps(credential)}), 303)


@pytest.mark.parametrize(("path", "form"), FORMS_TO_FINISH)
def test_proof_by_code_finishes_the_form(ada, proof_expired, path, form):
    page = expect(ada.post(path, form | {"mail": "code"}), 200)
    proof = proof_in(page)
    wrong = expect(ada.post(path, form | {"proof": proof, "code": "CDFG-HJKM"}), 403)
    assert ada.alert(wrong) == "That isn’t the code from the mail. Check it and type it again."
    code = ada.read_code(ADA)
    expect(ada.post(path, form | {"proof": proof, "code": code.lower()}), 303)


def test_creation_options_need_fresh_proof(ada, proof_expired, reasons):
    assert "passkey-registration" not in {element.tag for element in parse(ada.get("/account")).iter()}
    response = expect(ada.post("/account/passkeys/options"), 403)
    assert response.mimetype == "application/problem+json"
    assert reasons == ["not_proven"]
    assert expect(ada.post("/account/passkeys"), 303).location == "/account/confirm?next=/account"


def test_proof_leads_back_to_creating_a_passkey(ada, phone, proof_expired):
    options = options_of(ada.get("/account/confirm?next=/account"), "passkey-sign-in")
    assert [each["id"] for each in options["allowCredentials"]] == [encode(phone.credentials[0].id)]
    form = {"credential": json.dumps(phone.get(options)), "next": "/account"}
    assert expect(ada.post("/account/confirm", form), 303).location == "/account"
    ada.make_passkey(Authenticator())


def test_code_is_used_up_by_a_form_that_finds_nothing(ada, proof_expired, reasons):
    form = ada.mailed_proof(ADA)
    expect(ada.post("/account/passkeys/999/remove", form), 404)
    expect(ada.post("/account/confirm", form), 403)
    assert reasons == ["not_found", "already_used"]


def test_page_repeats_no_more_fields_than_a_form_has(ada, proof_expired):
    response = ada.post("/account/delete", {f"field{number}": "" for number in range(1000)})
    assert len(expect(response, 403).data) < 20_000


# A code by mail.


def test_code_proves_once(ada, proof_expired, reasons):
    form = ada.mailed_proof(ADA)
    expect(ada.post("/account/confirm", form), 303)
    expect(ada.post("/account/confirm", form), 403)
    assert reasons == ["already_used"]


def test_code_in_the_old_mailbox_proves_nothing_after_the_address_has_changed(ada, proof_expired, unchanged, reasons):
    old = ada.mailed_proof(ADA)
    other = Visitor(ada.app)
    other.sign_in_by_link(ADA)
    other.change_address(GRACE)
    # The change of address has ended this session.
    with unchanged():
        expect(ada.post("/account/confirm", old), 401)
    assert reasons == ["not_signed_in"]


def test_code_in_the_old_mailbox_proves_nothing_in_the_session_that_changed_the_address(ada, reasons):
    old = ada.mailed_proof(ADA)
    ada.change_address(GRACE)
    expect(ada.post("/account/confirm", old), 403)
    assert reasons == ["bound_to_another_email"]


# A passkey.


def test_another_users_passkey_is_no_proof(ada, eve, proof_expired, unchanged, reasons):
    ada.get("/account")
    options = ada.confirmation_options() | {"allowCredentials": []}
    with unchanged(spent=1):
        response = expect(ada.post("/account/confirm", {"credential": json.dumps(eve.key.get(options))}), 403)
    assert reasons == ["other_account"]
    assert ada.alert(response) == "That passkey belongs to another account. Pick a passkey of this account."
    # Ada must not read anything about Eve's passkey.
    assert rows(ada.app, Activity)[-1].user_id == 1
    transcript = json.loads(rows(ada.app, Activity)[-1].transcript)
    assert (transcript["passkey"], transcript["account"]["email"]) == (None, ADA)


def test_another_users_passkey_that_names_somebody_else_is_no_proof(ada, eve, proof_expired, reasons):
    """L3 7.2 step 6: first the passkey must be one of this account. Then the user handle is compared."""
    answer = eve.key.get(ada.confirmation_options() | {"allowCredentials": []}, user_handle=bytes(64))
    expect(ada.post("/account/confirm", {"credential": json.dumps(answer)}), 403)
    assert reasons == ["other_account"]


def test_another_sessions_challenge_is_no_proof(ada, phone, proof_expired, reasons):
    tab = Visitor(ada.app)
    tab.sign_in_by_link(ADA)
    options = tab.confirmation_options()
    expect(ada.post("/account/confirm", {"credential": json.dumps(phone.get(options))}), 403)
    assert reasons == ["bound_to_another_session"]


def test_challenge_to_sign_in_is_no_proof_and_the_other_way_round(ada, phone, reasons):
    to_sign_in = Visitor(ada.app).request_options()
    expect(ada.post("/account/confirm", {"credential": json.dumps(phone.get(to_sign_in))}), 403)
    to_confirm = ada.confirmation_options()
    ada.sign_out()
    expect(ada.authenticate(phone.get(to_confirm)), 400)
    assert reasons == ["malformed_token"] * 2


def test_proof_by_a_removed_passkey_no_longer_counts(ada, phone, proof_expired, reasons):
    """A thief has Ada's phone, and a copy of a cookie whose session the phone didn't open."""
    thief, spare = ada.twin(), Authenticator()
    owner = Visitor(ada.app)
    owner.sign_in_by_link(ADA)
    owner.make_passkey(spare)
    options = thief.confirmation_options()
    expect(thief.post("/account/confirm", {"credential": json.dumps(phone.get(options))}), 303)
    begun = thief.creation_options()
    expect(owner.post("/account/passkeys/1/remove"), 303)
    assert thief.is_signed_in()
    expect(thief.post("/account/recovery-codes"), 403)
    expect(thief.register(Authenticator().create(begun)), 400)
    assert reasons == ["not_proven"] * 2
    assert owner.post("/account/recovery-codes").status_code == 200


def test_removed_passkey_cannot_finish_a_change_of_address_it_began(ada, phone, reasons):
    """A thief with Ada's phone has begun to change the account's address to their own."""
    thief = Visitor(ada.app)
    thief.sign_in_by_passkey(phone)
    expect(thief.post("/account/email", {"email": "eve@example.org"}), 303)
    code = thief.read_code("eve@example.org")
    expect(ada.post("/account/passkeys/1/remove"), 303)
    expect(thief.post("/account/email", {"code": code}), 400)
    assert reasons == ["not_proven"]
    assert ada.is_signed_in()


# The cookie that a proof belongs to.


def test_cookie_copied_before_a_proof_is_not_proven(ada, phone, proof_expired, unchanged):
    thief = ada.twin()
    ada.prove_by_passkey(phone)
    with unchanged():
        assert_not_proven(thief)
    assert thief.is_signed_in()
    ada.make_passkey(Authenticator())


def test_cookie_copied_before_a_mailed_code_was_typed_is_not_proven(ada, proof_expired):
    form = ada.mailed_proof(ADA)
    thief = ada.twin()
    expect(ada.post("/account/confirm", form), 303)
    assert_not_proven(thief)


def test_copied_cookie_cannot_finish_a_passkey_after_the_owners_next_proof(ada, phone, reasons):
    thief = ada.twin()
    begun = thief.creation_options()
    ada.prove_by_passkey(phone)
    expect(thief.register(Authenticator().create(begun)), 400)
    assert reasons == ["not_proven"]


def test_copied_cookie_cannot_finish_a_change_of_address_after_the_owners_next_proof(ada, phone, reasons):
    thief = ada.twin()
    expect(thief.post("/account/email", {"email": "eve@example.org"}), 303)
    code = thief.read_code("eve@example.org")
    ada.prove_by_passkey(phone)
    expect(thief.post("/account/email", {"code": code}), 400)
    assert reasons == ["not_proven"]


def test_open_tab_finishes_its_changes_after_a_proof_in_another_tab(ada, phone):
    options = ada.creation_options()
    expect(ada.post("/account/email", {"email": "new@example.org"}), 303)
    code = ada.read_code("new@example.org")
    ada.prove_by_passkey(phone)
    expect(ada.register(Authenticator().create(options)), 303)
    expect(ada.post("/account/email", {"code": code}), 303)


def test_passkey_begun_on_fresh_proof_is_added_when_the_proof_is_no_longer_fresh(ada):
    nearly = now() + proof.PROOF_LIFETIME - timedelta(seconds=5)
    with time_machine.travel(nearly):
        options = ada.creation_options()
    with time_machine.travel(nearly + timedelta(minutes=9)):
        expect(ada.register(Authenticator().create(options)), 303)


def test_copy_that_proved_last_is_proven_and_the_other_may_prove_again(ada, phone, proof_expired):
    other = ada.twin()
    ada.prove_by_passkey(phone)
    other.prove_by_passkey(phone)
    assert_not_proven(ada)
    ada.prove_by_passkey(phone)
    assert_not_proven(other)
    expect(ada.post("/account/recovery-codes"), 200)


def test_proof_expires_when_another_session_changes_a_sign_in_method(ada, phone, app):
    other = Visitor(app)
    other.sign_in_by_link(ADA)
    ada.make_passkey(Authenticator())
    assert_not_proven(other)
    other.prove_by_passkey(phone)


def test_cookie_of_an_earlier_release_is_asked_for_proof(ada, phone):
    """Such a cookie has no mark of a proof."""
    with ada.client.session_transaction(base_url=ada.site_url) as cookie:
        del cookie["proof"]
    assert ada.is_signed_in()
    assert_not_proven(ada)
    ada.prove_by_passkey(phone)
    ada.make_passkey(Authenticator())


# The clock.


def test_proof_dated_up_to_thirty_seconds_ahead_counts(ada, app, clock):
    """The clocks of two machines may differ by seconds."""
    date_sessions(app, proved_at=now() + timedelta(seconds=30))
    ada.make_passkey(Authenticator())


@pytest.mark.parametrize("seconds", [31, 3600])
def test_proof_dated_further_ahead_does_not_count(ada, app, clock, phone, seconds):
    date_sessions(app, proved_at=now() + timedelta(seconds=seconds))
    assert_not_proven(ada)
    ada.prove_by_passkey(phone)
    ada.make_passkey(Authenticator())


@pytest.mark.parametrize(("minutes", "status"), [(61, 403), (60, 200)])
def test_hour_of_recovering_that_is_dated_ahead_does_not_count(ada, app, clock, minutes, status):
    clock.shift(UNTIL_PROOF_EXPIRES)
    date_sessions(app, recovering_until=now() + timedelta(minutes=minutes))
    expect(ada.post("/account/passkeys/options"), status)


# The user handle: L3 7.2 step 6.


@pytest.fixture
def key(visitor) -> Authenticator:
    """Return Ada's security key. It leaves out the user handle if the options name the credential."""
    visitor.sign_in_by_link(ADA)
    key = Authenticator(synced=False, terse=True)
    visitor.make_passkey(key)
    return key


def test_security_key_that_leaves_out_the_user_handle_proves(visitor, key, proof_expired):
    options = visitor.confirmation_options()
    answer = key.get(options)
    assert "userHandle" not in answer["response"]
    expect(visitor.post("/account/confirm", {"credential": json.dumps(answer)}), 303)


@pytest.mark.parametrize("nothing", [None, ""])
def test_empty_user_handle_counts_as_left_out(visitor, key, proof_expired, nothing):
    answer = key.get(visitor.confirmation_options())
    answer["response"]["userHandle"] = nothing
    expect(visitor.post("/account/confirm", {"credential": json.dumps(answer)}), 303)


def test_security_key_that_names_another_user_does_not_prove(visitor, proof_expired, key, reasons):
    options = visitor.confirmation_options()
    key.terse = False
    answer = key.get(options, user_handle=bytes(64))
    expect(visitor.post("/account/confirm", {"credential": json.dumps(answer)}), 403)
    assert reasons == ["wrong_user_handle"]


def test_another_users_key_that_leaves_out_the_user_handle_does_not_prove(
    visitor, stranger, key, proof_expired, reasons
):
    stranger.sign_in_by_link("eve@example.org")
    stranger.make_passkey(Authenticator())
    options = stranger.confirmation_options()
    options["allowCredentials"] = [{"id": encode(key.credentials[0].id)}]
    answer = key.get(options)
    assert "userHandle" not in answer["response"]
    expect(stranger.post("/account/confirm", {"credential": json.dumps(answer)}), 403)
    assert reasons == ["other_account"]


def test_sign_in_needs_a_user_handle(visitor, key, reasons):
    visitor.sign_out()
    answer = key.get(visitor.request_options())
    del answer["response"]["userHandle"]
    expect(visitor.authenticate(answer), 400)
    assert reasons == ["malformed_response"]


# The mail.


@pytest.mark.parametrize(("path", "form", "deed"), GUARDED, ids=lambda value: value if isinstance(value, str) else "")
def test_mail_names_the_form_and_the_power_of_its_code(ada, app, proof_expired, path, form, deed):
    page = expect(ada.post(path, form | {"mail": "code"}), 200)
    message = mails.newest_with_code(app)
    for subtype in ("plain", "html"):
        text = re.sub(r"<[^>]+>", "", unescape(message.get_body((subtype,)).get_content()))
        text = " ".join(text.split())
        assert f"wants to {deed}." in text
        assert "Anyone who has it can change anything in this account for 10 minutes." in text
        assert "Never give it to anyone" in text
    assert f"You’re about to {deed}," in text_of(parse(page))


def test_code_requested_with_one_form_proves_for_another(ada, proof_expired):
    """The mail says so."""
    page = ada.post("/account/sessions/revoke-all", {"mail": "code"})
    form = {"proof": proof_in(page), "code": ada.read_code(ADA)}
    expect(ada.post("/account/delete", form), 303)


def test_list_has_every_form_that_needs_proof(ada, proof_expired):
    forms = [path for path in paths(ada.app, "POST") if path.startswith("/account") and path not in OPTIONS]
    guarded = [path for path in forms if ada.post(path, {"email": "new@example.org"}).status_code == 403]
    assert sorted(guarded) == sorted(path for path, _, _ in GUARDED)
