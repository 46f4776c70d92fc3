"""Accounts for which email alone is not enough: the second step, recovery codes, and proof of identity."""

import json
import re
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import select

from app.database import db
from app.models import Activity, RecoveryCode, now
from authenticator import Authenticator
from tests import mails
from tests.conftest import ADA, ROOT, UNTIL_PROOF_EXPIRES, Visitor, count, expect, kinds, options_of, parse, proof_in

GUARDED = [
    ("/account/passkeys/1/remove", {}),
    ("/account/email", {"email": "new@example.org"}),
    ("/account/delete", {}),
    ("/account/recovery-codes", {}),
    ("/account/require-passkey", {"require": "no"}),
]


@pytest.fixture
def ada(ada):
    """Return Ada, whose account requires a passkey. `ada.codes` are her recovery codes."""
    ada.codes = ada.require_passkey()
    return ada


# Requiring a passkey.


def test_email_alone_does_not_sign_in(ada, app, unchanged):
    assert "Email alone is no longer enough" in ada.notice()
    other = Visitor(app)
    token = other.open_second_step(ADA)
    assert token
    assert not other.is_signed_in()
    other.ask(ADA)
    code = expect(other.post("/sign-in/code", {"code": other.read_mail().code}), 303)
    assert code.location.startswith("/sign-in/second-step?token=")
    assert not other.is_signed_in()
    assert kinds(app)[-2:] == ["second_step", "second_step"]


def test_requiring_a_passkey_ends_the_sessions_of_other_browsers(visitor, phone, app):
    visitor.sign_in_by_link(ADA)
    visitor.make_passkey(phone)
    thief = Visitor(app)
    thief.sign_in_by_link(ADA)
    options = thief.creation_options()
    visitor.require_passkey()
    assert not thief.is_signed_in()
    expect(thief.register(Authenticator().create(options)), 401)
    assert mails.notices(app)[0] == (ADA, "Your account requires a passkey now")
    assert kinds(app)[-2:] == ["session_ended", "passkey_required"]


def test_requiring_a_passkey_needs_one(visitor, unchanged, reasons):
    visitor.sign_in_by_link(ADA)
    [code, *_] = visitor.make_recovery_codes()
    assert "Create a passkey first." in visitor.get("/account/require-passkey").text
    with unchanged():
        response = expect(visitor.post("/account/require-passkey", {"require": "yes", "kept": code}), 400)
    assert reasons == ["no_passkey"]
    assert visitor.alert(response).startswith("Create a passkey first")


@pytest.mark.parametrize("kept", ["", "CDFG-HJKM-CDFG-HJKM", "é", "\0"])
def test_requiring_a_passkey_needs_a_recovery_code_typed_back(visitor, phone, unchanged, reasons, kept):
    visitor.sign_in_by_link(ADA)
    visitor.make_passkey(phone)
    assert "Make recovery codes first" in visitor.get("/account/require-passkey").text
    visitor.make_recovery_codes()
    with unchanged():
        response = expect(visitor.post("/account/require-passkey", {"require": "yes", "kept": kept}), 400)
    assert reasons == ["wrong_recovery_code"]
    assert visitor.alert(response)


def test_recovery_code_that_is_typed_back_is_not_used_up(ada, app):
    assert count(app, RecoveryCode) == 10


def test_second_click_changes_nothing(ada, app, unchanged):
    sent = len(mails.outbox(app))
    with unchanged():
        expect(ada.post("/account/require-passkey", {"require": "yes", "kept": ada.codes[0]}), 303)
    assert len(mails.outbox(app)) == sent


def test_requirement_can_be_turned_off(ada, app):
    assert "takes a passkey or a recovery code" in ada.get("/account/require-passkey").text
    expect(ada.post("/account/require-passkey", {"require": "no"}), 303)
    assert mails.notices(app)[0] == (ADA, "Your account no longer requires a passkey")
    Visitor(app).sign_in_by_link(ADA)


def test_last_passkey_cannot_be_removed(ada, unchanged, reasons):
    with unchanged():
        response = expect(ada.post("/account/passkeys/1/remove"), 400)
    assert reasons == ["last_passkey"]
    assert ada.alert(response).startswith("This is your only passkey")
    ada.make_passkey(Authenticator())
    expect(ada.post("/account/passkeys/1/remove"), 303)
    expect(ada.post("/account/passkeys/2/remove"), 400)


# The second step.


def test_link_and_passkey_sign_in(ada, app, phone):
    other = Visitor(app)
    other.ask(ADA, next="/account/activity")
    page = other.get(other.post(other.read_mail().link).location)
    form = {
        each.attrib["name"]: each.attrib.get("value", "") for each in parse(page).find(".//main//form").iter("input")
    }
    form["credential"] = json.dumps(phone.get(options_of(page, "passkey-sign-in")))
    assert expect(other.post("/sign-in/passkey", form), 303).location == "/account/activity"
    assert other.is_signed_in()


def test_refused_passkey_leads_back_to_the_second_step(ada, app, reasons):
    other = Visitor(app)
    token = other.open_second_step(ADA)
    response = expect(other.post("/sign-in/passkey", {"credential": "x", "email": ADA, "token": token}), 400)
    assert "One more step" in response.text
    assert other.alert(response)
    expect(other.post("/sign-in/second-step", {"token": token, "code": ada.codes[0]}), 303)


@pytest.mark.parametrize(
    "typed", [str, str.lower, lambda code: code.replace("-", " "), lambda code: f" {code[:4]}{code[5:]}\n"]
)
def test_link_and_recovery_code_sign_in(ada, app, typed):
    other = Visitor(app)
    token = other.open_second_step(ADA)
    response = expect(other.post("/sign-in/second-step", {"token": token, "code": typed(ada.codes[3])}), 303)
    assert response.location == "/account"
    notice = "You have used one recovery code. You have 9 left. Lost your passkey? Create a new one below."
    assert notice in other.notice()
    assert kinds(app)[-3:] == ["second_step", "recovery_code_used", "signed_in"]
    assert (ADA, "A recovery code of your account was used") in mails.notices(app)
    with app.app_context():
        assert db.session.scalars(select(Activity.detail).order_by(Activity.id.desc())).first() == "recovery code"


def test_recovery_code_works_once(ada, app, unchanged, reasons):
    other, third = Visitor(app), Visitor(app)
    expect(other.post("/sign-in/second-step", {"token": other.open_second_step(ADA), "code": ada.codes[0]}), 303)
    token = third.open_second_step(ADA)
    with unchanged():
        response = expect(third.post("/sign-in/second-step", {"token": token, "code": ada.codes[0]}), 400)
    assert third.alert(response).startswith("That isn’t one of this account’s recovery codes")
    assert reasons == ["wrong_recovery_code"]
    # A wrong code doesn't use up the token.
    expect(third.post("/sign-in/second-step", {"token": token, "code": ada.codes[1]}), 303)
    assert "sign_in_refused" in kinds(app)


def test_second_step_ends_after_ten_wrong_codes_from_any_ip_addresses(ada, app, reasons, clock):
    other = Visitor(app)
    token = other.open_second_step(ADA)
    for number in range(10):
        other.client.environ_base["REMOTE_ADDR"] = f"192.0.2.{number}"
        last = expect(other.post("/sign-in/second-step", {"token": token, "code": "CDFG-HJKM-CDFG-HJKM"}), 400)
    assert Visitor.alert(last) == "That was the tenth wrong recovery code. Start again: ask for a new link by email."
    expect(other.post("/sign-in/second-step", {"token": token, "code": ada.codes[0]}), 400)
    assert reasons == ["wrong_recovery_code"] * 9 + ["too_many_wrong_recovery_codes", "already_used"]
    assert not other.is_signed_in()
    # The code still works in a new second step, which has ten tries again.
    clock.shift(31)
    token = other.open_second_step(ADA)
    expect(other.post("/sign-in/second-step", {"token": token, "code": ada.codes[0]}), 303)


def test_new_codes_cancel_the_old_ones(ada, app, reasons):
    old, new = ada.codes, ada.make_recovery_codes()
    assert len({*old, *new}) == 20
    other = Visitor(app)
    token = other.open_second_step(ADA)
    expect(other.post("/sign-in/second-step", {"token": token, "code": old[0]}), 400)
    expect(other.post("/sign-in/second-step", {"token": token, "code": new[0]}), 303)
    assert reasons == ["wrong_recovery_code"]


@pytest.mark.parametrize("code", ["", "0000", "é" * 40, "CDFG-HJKM", "\0", "x" * 5000])
def test_malformed_code_is_refused(ada, app, unchanged, reasons, code):
    other = Visitor(app)
    token = other.open_second_step(ADA)
    with unchanged():
        expect(other.post("/sign-in/second-step", {"token": token, "code": code}), 400)
    assert reasons == ["wrong_recovery_code"]


def test_another_accounts_code_is_refused(ada, app, stranger, unchanged, reasons):
    stranger.sign_in_by_link("eve@example.org")
    [code, *_] = stranger.make_recovery_codes()
    other = Visitor(app)
    token = other.open_second_step(ADA)
    with unchanged():
        expect(other.post("/sign-in/second-step", {"token": token, "code": code}), 400)
    assert reasons == ["wrong_recovery_code"]


def test_token_works_once(ada, app, unchanged, reasons):
    other = Visitor(app)
    token = other.open_second_step(ADA)
    twin = other.twin()
    expect(other.post("/sign-in/second-step", {"token": token, "code": ada.codes[0]}), 303)
    with unchanged():
        expect(twin.post("/sign-in/second-step", {"token": token, "code": ada.codes[1]}), 400)
    assert reasons == ["already_used"]
    # A browser that is signed in by now sent the form twice.
    assert (
        expect(other.post("/sign-in/second-step", {"token": token, "code": ada.codes[1]}), 303).location == "/account"
    )
    assert count(app, RecoveryCode) == 9


def test_token_works_in_one_browser(ada, app, unchanged, reasons):
    token = Visitor(app).open_second_step(ADA)
    with unchanged():
        expect(Visitor(app).post("/sign-in/second-step", {"token": token, "code": ada.codes[0]}), 400)
    assert reasons == ["bound_to_another_browser"]


def test_token_lives_ten_minutes(ada, app, unchanged, reasons):
    other = Visitor(app)
    token = other.open_second_step(ADA)
    with time_machine.travel(now() + timedelta(minutes=10, seconds=1)), unchanged():
        response = expect(other.post("/sign-in/second-step", {"token": token, "code": ada.codes[0]}), 400)
    assert other.alert(response)
    assert reasons == ["expired"]


@pytest.mark.parametrize("token", ["", "x", "W10.x.y"])
def test_forged_token_is_refused(ada, app, reasons, token):
    expect(Visitor(app).post("/sign-in/second-step", {"token": token, "code": ada.codes[0]}), 400)
    expect(Visitor(app).get("/sign-in/second-step", query_string={"token": token}), 400)
    assert reasons == ["malformed_token"] * 2


def test_token_of_an_account_that_is_gone_is_refused(ada, app, reasons):
    other = Visitor(app)
    token = other.open_second_step(ADA)
    expect(ada.post("/account/delete"), 303)
    expect(other.post("/sign-in/second-step", {"token": token, "code": ada.codes[0]}), 400)
    assert reasons == ["account_gone"]


def test_token_does_not_work_after_the_address_has_changed(ada, app, unchanged, reasons):
    """Otherwise the old mailbox and a recovery code would sign in, and the page would show the new address."""
    other = Visitor(app)
    token = other.open_second_step(ADA)
    ada.change_address("new@example.org")
    with unchanged():
        response = expect(other.post("/sign-in/second-step", {"token": token, "code": ada.codes[0]}), 400)
    assert "new@example.org" not in response.text
    assert reasons == ["other_email"]


def test_passkey_uses_up_the_token(ada, app, phone, reasons):
    other = Visitor(app)
    token = other.open_second_step(ADA)
    expect(other.authenticate(phone.get(other.request_options()), email=ADA, token=token), 303)
    other.sign_out()
    expect(other.post("/sign-in/second-step", {"token": token, "code": ada.codes[0]}), 400)
    assert reasons == ["already_used"]


def test_second_step_without_a_token_leads_to_the_sign_in_page(visitor):
    assert expect(visitor.get("/sign-in/second-step"), 303).location == "/sign-in"


# Recovering.


def test_recovery_session_can_add_one_passkey_without_further_proof(ada, app):
    other = Visitor(app)
    expect(other.post("/sign-in/second-step", {"token": other.open_second_step(ADA), "code": ada.codes[0]}), 303)
    with time_machine.travel(now() + timedelta(minutes=59)):
        other.make_passkey(Authenticator())
        # It was one passkey, and there can't be another.
        assert "passkey-registration" not in {each.tag for each in parse(other.get("/account")).iter()}
        expect(other.post("/account/passkeys/options"), 403)
        # All other changes need proof.
        expect(other.post("/account/passkeys/1/remove"), 403)


@pytest.fixture
def recovering(ada, app):
    """Yield Ada at a browser where a recovery code signed her in half an hour ago, and a thief with its cookie."""
    other = Visitor(app)
    expect(other.post("/sign-in/second-step", {"token": other.open_second_step(ADA), "code": ada.codes[0]}), 303)
    with time_machine.travel(now() + timedelta(minutes=30)):
        ada.get("/account")
        yield other, other.twin()


def test_recovery_session_cannot_add_a_second_passkey_after_the_first_is_removed(ada, phone, recovering):
    owner, thief = recovering
    owner.make_passkey(Authenticator())
    ada.sign_out()
    ada.sign_in_by_passkey(phone)
    expect(ada.post("/account/passkeys/2/remove"), 303)
    expect(thief.post("/account/passkeys/options"), 403)


def test_recovery_session_cannot_add_a_passkey_after_another_proof(phone, recovering):
    owner, thief = recovering
    owner.prove_by_passkey(phone)
    with time_machine.travel(now() + UNTIL_PROOF_EXPIRES):
        expect(thief.post("/account/passkeys/options"), 403)


def test_recovery_session_cannot_add_a_passkey_after_new_codes(ada, phone, recovering):
    _, thief = recovering
    ada.sign_out()
    ada.sign_in_by_passkey(phone)
    expect(ada.post("/account/recovery-codes"), 200)
    expect(thief.post("/account/passkeys/options"), 403)


def test_recovery_session_cannot_add_a_passkey_after_it_made_new_codes_itself(ada, app):
    other = Visitor(app)
    expect(other.post("/sign-in/second-step", {"token": other.open_second_step(ADA), "code": ada.codes[0]}), 303)
    expect(other.post("/account/recovery-codes"), 200)
    with time_machine.travel(now() + timedelta(minutes=30)):
        expect(other.post("/account/passkeys/options"), 403)


def test_recovery_session_cannot_add_a_second_passkey_with_options_fetched_before(recovering, reasons):
    owner, thief = recovering
    begun = [thief.post("/account/passkeys/options").json for _ in range(3)]
    owner.make_passkey(Authenticator())
    for options in begun:
        expect(thief.register(Authenticator().create(options)), 400)
    assert reasons == ["not_proven"] * 3


def test_recovery_session_cannot_add_a_passkey_after_an_hour(ada, app):
    other = Visitor(app)
    expect(other.post("/sign-in/second-step", {"token": other.open_second_step(ADA), "code": ada.codes[0]}), 303)
    with time_machine.travel(now() + timedelta(hours=1)):
        expect(other.post("/account/passkeys/options"), 403)
        # It is still signed in, and another recovery code is proof.
        expect(other.post("/account/confirm", {"recovery_code": ada.codes[1]}), 303)
        other.make_passkey(Authenticator())


def test_recovery_session_cannot_add_a_passkey_once_one_has_signed_in(app, phone, recovering, reasons):
    """Options that the session fetched before don't help."""
    owner, _ = recovering
    begun = owner.post("/account/passkeys/options").json
    Visitor(app).sign_in_by_passkey(phone)
    expect(owner.post("/account/passkeys/options"), 403)
    expect(owner.register(Authenticator().create(begun)), 400)
    assert reasons == ["not_proven"] * 2


def test_recovery_session_cannot_add_a_passkey_once_one_has_proven_elsewhere(ada, phone, recovering):
    owner, _ = recovering
    ada.prove_by_passkey(phone)
    expect(owner.post("/account/passkeys/options"), 403)


# Proof.


@pytest.mark.parametrize(("path", "form"), GUARDED)
def test_mailed_code_is_no_proof(ada, proof_expired, unchanged, reasons, path, form):
    ada.get("/account")
    sent = len(mails.outbox(ada.app))
    with unchanged():
        response = expect(ada.post(path, form | {"mail": "code"}), 403)
    assert ada.alert(response).startswith("Email is not enough for this account")
    assert "Email me a code" not in response.text
    assert len(mails.outbox(ada.app)) == sent
    assert reasons == ["mail_is_not_enough"]


def test_code_that_was_mailed_before_is_no_proof(visitor, phone, unchanged, reasons):
    visitor.sign_in_by_link(ADA)
    visitor.make_passkey(phone)
    page = visitor.post("/account/confirm", {"mail": "code"})
    proof = proof_in(page)
    code = visitor.read_code(ADA)
    visitor.require_passkey()
    with unchanged():
        expect(visitor.post("/account/confirm", {"proof": proof, "code": code}), 403)
    assert reasons == ["mail_is_not_enough"]


def test_passkey_is_removed_with_a_recovery_code(ada, app, proof_expired):
    ada.get("/account")
    ada.post("/account/confirm", {"recovery_code": ada.codes[1]})
    ada.make_passkey(Authenticator())
    with time_machine.travel(now() + UNTIL_PROOF_EXPIRES):
        expect(ada.post("/account/passkeys/1/remove", {"recovery_code": ada.codes[0]}), 303)


@pytest.mark.parametrize(("path", "form"), GUARDED[1:])
def test_proof_by_recovery_code_finishes_the_form(ada, app, proof_expired, path, form):
    page = expect(ada.post(path, form), 403)
    assert 'name="recovery_code"' in page.text
    response = ada.post(path, form | {"recovery_code": ada.codes[0]})
    assert response.status_code == (200 if path == "/account/recovery-codes" else 303)
    assert (ADA, "A recovery code of your account was used") in mails.notices(app)


def test_recovery_code_proves_once(ada, app, reasons):
    for hours in (1, 2):
        with time_machine.travel(now() + timedelta(hours=hours)):
            ada.post("/account/confirm", {"recovery_code": ada.codes[0]})
    assert reasons == ["wrong_recovery_code"]
    assert count(app, RecoveryCode) == 9
    assert kinds(app)[-3:] == ["recovery_code_used", "confirmed", "confirmation_refused"]


def test_recovery_code_is_no_proof_where_email_is_enough(visitor, unchanged, reasons):
    visitor.sign_in_by_link(ADA)
    [code, *_] = visitor.make_recovery_codes()
    with time_machine.travel(now() + UNTIL_PROOF_EXPIRES):
        visitor.get("/account")
        with unchanged():
            expect(visitor.post("/account/confirm", {"recovery_code": code}), 403)
    assert reasons == ["not_proven"]


# Codes are shown once.


def test_codes_are_shown_once_and_stored_as_digests(ada, app, snapshot, site_log):
    codes = ada.make_recovery_codes()
    assert len(set(codes)) == 10
    assert all(re.fullmatch(r"(\w{4}-){3}\w{4}", code) for code in codes)
    page = ada.get("/account/recovery-codes").text
    stored = repr(snapshot()) + repr(site_log.events) + "".join(mails.text_of(mail) for mail in mails.outbox(app))
    for code in codes:
        assert code not in page
        assert code not in stored
        assert code.replace("-", "") not in stored
    assert "10 codes left" in page


# The table of docs/security.md.

THINGS = ("mailbox", "session", "passkey", "recovery codes")
LINE = re.compile(r"^\| ((?:(?:owner|thief) \| ){4})([a-z ]+) \| ([a-z ]+) \|$", re.MULTILINE)
LINES = LINE.findall((ROOT / "docs/security.md").read_text())
OWNERS_WORD = {"takes it over": "keeps it"}


def act(ada, phone, held: set[str]) -> str:
    """Return what a person with these things can do, after they have tried everything."""
    somebody = ada.twin() if "session" in held else Visitor(ada.app)
    if "mailbox" in held:
        token = somebody.open_second_step(ADA)
        if "recovery codes" in held:
            expect(somebody.post("/sign-in/second-step", {"token": token, "code": ada.codes[0]}), 303)
    if "passkey" in held and not somebody.is_signed_in():
        somebody.sign_in_by_passkey(phone)
    if not somebody.is_signed_in():
        return "nothing"
    if "passkey" in held:
        somebody.prove_by_passkey(phone)
    elif "recovery codes" in held:
        expect(somebody.post("/account/confirm", {"recovery_code": ada.codes[1]}), 303)
    elif "mailbox" in held:
        expect(somebody.post("/account/confirm", {"mail": "code"}), 403)
    if somebody.post("/account/passkeys/options").status_code != 200:
        for path, form in GUARDED:
            expect(somebody.post(path, form), 403)
        return "looks around"
    somebody.make_passkey(Authenticator())
    return "takes it over"


@pytest.mark.parametrize("who", ["thief", "owner"])
@pytest.mark.parametrize("line", LINES, ids=lambda line: line[0].strip(" |").replace(" | ", "-"))
def test_each_row_of_the_table_is_true(ada, phone, proof_expired, line, who):
    holders, thief, owner = line
    held = {thing for thing, holder in zip(THINGS, holders.split(" | ")[:4], strict=True) if holder == who}
    outcome = act(ada, phone, held)
    assert outcome == thief if who == "thief" else OWNERS_WORD.get(outcome, outcome) == owner


def test_table_has_every_row():
    assert len({holders for holders, _, _ in LINES}) == 2 ** len(THINGS)


def test_recovery_code_signs_in_where_the_passkey_stopped_being_required_meanwhile(ada, app):
    codes = ada.require_passkey()
    tab = Visitor(app)
    token = tab.open_second_step(ADA)
    expect(ada.post("/account/require-passkey", {"require": "no"}), 303)
    expect(tab.post("/sign-in/second-step", {"token": token, "code": codes[1]}), 303)
    assert tab.is_signed_in()
