"""The activity: the site writes events down for the owner, shows them, and deletes them in time."""

import json
from datetime import timedelta

import pytest
import time_machine

from app import activity
from app.activity import Kind
from app.ceremonies import attempts
from app.ceremonies.options import CHALLENGE_LIFETIME
from app.database import db
from app.models import Activity, Passkey, now
from authenticator import Authenticator, decode
from tests.conftest import ADA, EVE, Visitor, expect, kinds, parse, rows, text_of


def test_every_kind_has_a_sentence_a_name_and_an_icon(app):
    with app.test_request_context():
        module = app.jinja_env.get_template("account/kinds.html").module
        for kind in Kind:
            assert str(module.sentence(kind, "detail"))
            assert module.names[kind]
            assert module.pictures[kind]
        assert set(module.names) == set(module.pictures) == set(Kind)


def test_events_of_an_account_are_recorded(ada, phone, app):
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


def test_activity_page_shows_only_its_own_account(ada, eve):
    assert "ada" not in eve.get("/account/activity").text


# The page.


def test_activity_page_shows_fifty_events(ada, app):
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
def test_invalid_filter_is_ignored(ada, query):
    expect(ada.get(f"/account/activity?{query}"), 200)


# Old rows.


def test_old_activity_is_hidden_before_it_is_swept(ada, phone):
    with time_machine.travel(now() + timedelta(days=91)):
        ada.sign_in_by_passkey(phone)
        page = text_of(parse(ada.get("/account/activity")).find(".//main"))
    assert "Signed in by passkey" in page
    assert "Signed in by link" not in page


def test_old_activity_is_swept(ada, app):
    with time_machine.travel(now() + timedelta(days=91)), app.app_context():
        activity.sweep()
        db.session.commit()
    assert rows(app, Activity) == []


# Transcripts of ceremonies.


def test_transcript_shows_a_ceremony_and_its_refusal(ada, phone, app):
    ada.sign_out()
    options = ada.request_options()
    response = phone.get(options, flags=1)
    ada.authenticate(response)
    transcript = json.loads(rows(app, Activity)[-1].transcript)
    assert (transcript["ceremony"], transcript["refused"]) == ("authentication", "user_not_verified")
    assert (transcript["options"], transcript["are_options_as_sent"]) == (options, True)
    assert json.loads(transcript["response"]) == response
    assert transcript["passkey"]["name"] == rows(app, Passkey)[0].name


def test_transcript_keeps_what_the_checks_depended_on(ada, phone, app, eve):
    ada.sign_out()
    before = round(now().timestamp() * 1000)
    expect(ada.authenticate(phone.get(ada.request_options()), email=EVE), 400)
    transcript = json.loads(rows(app, Activity)[-1].transcript)
    assert transcript["refused"] == "other_account"
    assert (transcript["email"], transcript["account"]["email"]) == (EVE, ADA)
    assert (transcript["origin"], transcript["rp_id"], transcript["bound_to"]) == (ada.site_url, "localhost", "browser")
    assert before <= transcript["issued_at"] <= transcript["arrived_at"] <= before + 60_000
    assert transcript["passkey"]["sign_count"] == 0
    assert transcript["account"]["user_handle"] == phone.get(ada.request_options())["response"]["userHandle"]


def test_transcript_says_if_the_options_have_changed_since(ada, app):
    first, second = ada.creation_options(), ada.creation_options()
    expect(ada.register(Authenticator().create(first)), 303)
    expect(ada.register(Authenticator().create(second)), 303)
    transcripts = [json.loads(row.transcript) for row in rows(app, Activity)[-2:]]
    assert [transcript["are_options_as_sent"] for transcript in transcripts] == [True, False]
    assert transcripts[0]["options"] == first
    assert transcripts[1]["options"] != second


def test_wrong_user_handle_is_in_the_activity_of_the_passkeys_owner(ada, phone, app, eve):
    ada.sign_out()
    handle = decode(eve.key.get(ada.request_options())["response"]["userHandle"])
    expect(ada.authenticate(phone.get(ada.request_options(), user_handle=handle)), 400)
    row = rows(app, Activity)[-1]
    assert (row.user_id, row.detail) == (1, "wrong_user_handle")
    assert json.loads(row.transcript)["account"]["email"] == ADA


@pytest.mark.parametrize("by", ["link", "code"])
def test_transcript_of_a_mailed_sign_in_has_neither_link_nor_code(visitor, app, by):
    visitor.ask(ADA)
    mail = visitor.read_mail()
    expect(visitor.post(mail.link) if by == "link" else visitor.type_code(mail.code), 303)
    row = rows(app, Activity)[-1]
    transcript = json.loads(row.transcript)
    assert (transcript["ceremony"], transcript["email"], transcript["is_new"]) == ("mail", ADA, True)
    assert transcript["asked_at"] <= transcript["used_at"] < transcript["expires_at"]
    assert bool(transcript["claims"]) == (by == "link")
    assert mail.code not in row.transcript
    assert mail.link.rpartition("/")[2] not in row.transcript


def test_answer_that_comes_too_late_or_twice_is_kept(ada, app):
    """Its challenge is worth nothing any more."""
    used, late = (Authenticator().create(ada.creation_options()) for _ in range(2))
    expect(ada.register(used), 303)
    expect(ada.register(used), 400)
    with time_machine.travel(now() + CHALLENGE_LIFETIME + timedelta(seconds=1)):
        expect(ada.register(late), 400)
    transcripts = [json.loads(row.transcript) for row in rows(app, Activity)[-2:]]
    assert [transcript["refused"] for transcript in transcripts] == ["already_used", "expired"]
    assert [json.loads(transcript["response"]) for transcript in transcripts] == [used, late]
    assert transcripts[0]["issued_at"] <= transcripts[0]["arrived_at"]


def test_unspent_challenge_is_in_no_transcript(ada, phone, app):
    """It may still work in another browser."""
    ada.sign_out()
    ada.authenticate(phone.get(Visitor(app).request_options()))
    assert [row.transcript for row in rows(app, Activity) if row.kind.endswith("_refused")] == []


def test_transcript_that_is_too_long_is_cut(ada, phone, app):
    ada.sign_out()
    response = phone.get(ada.request_options()) | {"more": "x" * attempts.LONGEST_TRANSCRIPT}
    expect(ada.authenticate(response), 303)
    assert len(rows(app, Activity)[-1].transcript) < 200


def test_account_keeps_twenty_refused_transcripts_an_hour(ada, phone, app):
    ada.sign_out()
    for _ in range(22):
        ada.authenticate(phone.get(ada.request_options(), flags=1))
    refused = [row for row in rows(app, Activity) if row.kind == "sign_in_refused"]
    assert len(refused) == 22
    assert len([row for row in refused if row.transcript]) == 20


def test_account_keeps_twenty_long_transcripts_an_hour(ada, phone, app):
    """Answers of real authenticators are short, and are kept without a limit."""
    for more in 22 * [{}] + 22 * [{"more": "x" * 5000}]:
        ada.sign_out()
        expect(ada.authenticate(phone.get(ada.request_options()) | more), 303)
    transcripts = [len(row.transcript) for row in rows(app, Activity) if row.detail == "passkey"]
    assert sum(length > 5000 for length in transcripts) == 20
    assert sum(0 < length < 5000 for length in transcripts) == 22
