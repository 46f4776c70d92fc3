"""The activity: the site writes events down for the owner, shows them, and deletes them in time."""

import json
from datetime import timedelta

import pytest
import time_machine

from app import activity
from app.activity import Kind
from app.ceremonies import attempts
from app.database import db
from app.models import Activity, Passkey, now
from tests.conftest import Visitor, expect, kinds, parse, rows, text_of


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
    assert json.loads(transcript["options"]) == options
    assert json.loads(transcript["response"]) == response
    assert transcript["found"]["name"] == rows(app, Passkey)[0].name
    assert transcript["refused"] == "user_not_verified"


def test_unspent_challenge_is_in_no_transcript(ada, phone, app):
    """It may still work in another browser."""
    ada.sign_out()
    ada.authenticate(phone.get(Visitor(app).request_options()))
    assert [row.transcript for row in rows(app, Activity) if row.kind.endswith("_refused")] == []


def test_transcript_that_is_too_long_is_cut(ada, phone, app):
    ada.sign_out()
    response = phone.get(ada.request_options()) | {"more": "x" * attempts.LONGEST_TRANSCRIPT}
    expect(ada.authenticate(response), 303)
    assert len(rows(app, Activity)[-1].transcript) < 100


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
    transcripts = [len(row.transcript) for row in rows(app, Activity) if row.kind == "signed_in"]
    assert sum(length > 5000 for length in transcripts) == 20
    assert sum(0 < length < 5000 for length in transcripts) == 22
