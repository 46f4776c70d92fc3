"""The pages of a visit: the times that signing in took, the tour, wrong fields, settings, and names in mails."""

import secrets
from uuid import UUID

import pytest

from authenticator import Authenticator
from tests import mails
from tests.conftest import ADA, Visitor, expect, parse, text_of


def title(response) -> str:
    """Return the page's title."""
    return text_of(parse(response).find(".//title"))


def wrong_fields(response) -> list[tuple[str, str]]:
    """Return the fields that the page marks as wrong: the name of each, and the text that describes it."""
    page = parse(response)
    by_id = {each.get("id"): text_of(each) for each in page.iter() if each.get("id")}
    return [
        (each.get("name"), " ".join(by_id[id] for id in each.get("aria-describedby").split()))
        for each in page.iter("input")
        if each.get("aria-invalid") == "true"
    ]


@pytest.fixture
def ada(visitor, phone, clock) -> Visitor:
    """Return Ada, who has a passkey and is signed out. Her sign-in by mail took 41 seconds."""
    expect(visitor.ask(ADA), 303)
    clock.shift(41)
    expect(visitor.post(visitor.read_mail().link), 303)
    visitor.make_passkey(phone)
    visitor.sign_out()
    visitor.get("/")
    return visitor


# The times.


@pytest.mark.parametrize(
    ("took", "said"),
    [
        ("2345", "Signed in with your passkey in 2 seconds. Signing in by email took 41 seconds."),
        ("12", "Signed in with your passkey in 1 second. Signing in by email took 41 seconds."),
        ("65000", "Signed in with your passkey in 1 minute 5 seconds. Signing in by email took 41 seconds."),
        ("", "Signed in with your passkey. Signing in by email took 41 seconds."),
        ("-" + "9" * 20, "Signed in with your passkey. Signing in by email took 41 seconds."),
        ("-5", "Signed in with your passkey. Signing in by email took 41 seconds."),
        ("600001", "Signed in with your passkey. Signing in by email took 41 seconds."),
        ("9" * 5000, "Signed in with your passkey. Signing in by email took 41 seconds."),
        ("<b>", "Signed in with your passkey. Signing in by email took 41 seconds."),
    ],
)
def test_sign_in_by_passkey_shows_the_times_that_are_known(ada, phone, took, said):
    expect(ada.authenticate(phone.get(ada.request_options()), took=took), 303)
    assert ada.notice() == said
    assert ada.notice() == ""


def test_another_browser_does_not_know_how_long_the_mail_took(ada, phone, stranger):
    stranger.sign_in_by_passkey(phone)
    assert stranger.notice() == "Signed in with your passkey."


def test_another_accounts_mail_is_not_compared(ada, phone):
    ada.sign_in_by_link("grace@example.org")
    ada.sign_out()
    ada.get("/")
    ada.sign_in_by_passkey(phone)
    assert ada.notice() == "Signed in with your passkey."


def test_second_step_shows_no_times(ada, phone):
    ada.sign_in_by_passkey(phone)
    ada.require_passkey()
    ada.sign_out()
    ada.get("/")
    token = ada.open_second_step(ADA)
    expect(ada.authenticate(phone.get(ada.request_options()), token=token, took="2000"), 303)
    assert ada.notice() == ""


def test_time_is_not_shown_after_another_page(ada, phone):
    expect(ada.authenticate(phone.get(ada.request_options()), next="/account/activity"), 303)
    assert ada.notice() == ""


def test_home_page_says_once_that_the_visitor_is_signed_out(visitor):
    visitor.sign_in_by_link(ADA)
    visitor.sign_out()
    assert visitor.notice("/") == "You’re signed out."
    assert visitor.notice("/") == ""


# The tour.


def test_finished_tour_has_the_times_of_its_steps_and_what_comes_next(visitor, phone, clock):
    expect(visitor.ask(ADA), 303)
    for pause, step in (
        (20, lambda: visitor.post(visitor.read_mail().link)),
        (15, lambda: visitor.make_passkey(phone)),
        (7, visitor.sign_out),
        (3600, lambda: visitor.sign_in_by_passkey(phone)),
    ):
        clock.shift(pause)
        expect(step(), 303)
    tour = parse(visitor.get("/")).find(".//section[@aria-labelledby='tour']")
    assert "That’s the whole flow You did it in 1 hour." in text_of(tour)
    times = [text_of(each) for each in tour.iter("span") if each.get("class") == "time"]
    assert times == ["after 0:00", "after 0:20", "after 0:35", "after 0:42", "after 1:00:42"]
    assert {"/account", "/account/recovery-codes", "/account/activity"} <= {a.get("href") for a in tour.iter("a")}


def test_tour_of_an_earlier_release_starts_again(visitor):
    expect(visitor.ask(ADA), 303)
    with visitor.client.session_transaction(base_url=visitor.site_url) as session:
        session["tour"] = ["ask", "open"]
    assert "Try it in five steps" in expect(visitor.get("/"), 200).text
    expect(visitor.post(visitor.read_mail().link), 303)
    assert "(done)" in visitor.get("/").text


def test_site_on_the_internet_does_not_count_the_steps(make_app):
    local = Visitor(make_app())
    assert "Step 1 of 5" in local.get("/sign-in").text
    public = make_app(
        FLASK_SITE_URL="https://example.org",
        FLASK_MAIL_SERVER="127.0.0.1",
        FLASK_MAIL_DEFAULT_SENDER="a@example.org",
        FLASK_SECRET_KEY=secrets.token_hex(32),
    )
    assert "Step 1 of 5" not in Visitor(public).get("/sign-in").text


# Wrong fields.


def test_invalid_address_is_marked_at_its_field(visitor):
    response = expect(visitor.ask("nobody@nowhere"), 400)
    [(name, why)] = wrong_fields(response)
    assert name == "email"
    assert why.startswith(Visitor.alert(response))
    assert title(response) == "Error: Sign in · Latchkey"


def test_wrong_code_is_marked_at_its_field(visitor):
    expect(visitor.ask(ADA), 303)
    assert wrong_fields(visitor.get("/sign-in/check-email")) == []
    response = expect(visitor.post("/sign-in/code", {"code": "wrong"}), 400)
    [(name, why)] = wrong_fields(response)
    assert name == "code"
    assert why.startswith(Visitor.alert(response))
    assert title(response) == "Error: Check your email · Latchkey"


def test_refused_passkey_marks_no_field(visitor):
    response = expect(visitor.authenticate("{}"), 400)
    assert wrong_fields(response) == []
    assert title(response).startswith("Error: ")


def test_passkey_of_another_account_marks_the_address(ada, phone):
    response = expect(ada.authenticate(phone.get(ada.request_options()), email="grace@example.org"), 400)
    assert [name for name, _ in wrong_fields(response)] == ["email"]


def test_refused_name_is_marked_in_its_row_and_kept(ada, phone):
    ada.sign_in_by_passkey(phone)
    response = expect(ada.post("/account/passkeys/1/rename", {"name": "\u0007"}), 400)
    assert wrong_fields(response) == [("name", Visitor.alert(response))]
    [folded] = [each for each in parse(response).iter("details") if "open" in each.attrib]
    assert "Rename" in text_of(folded)


def test_wrong_code_of_the_proof_page_keeps_the_way_to_the_mail(ada, phone, clock):
    ada.sign_in_by_passkey(phone)
    clock.shift(3600)
    page = parse(expect(ada.post("/account/confirm", {"mail": "code"}), 200))
    proof = page.find(".//input[@name='proof']").get("value")
    response = expect(ada.post("/account/confirm", {"proof": proof, "code": "wrong"}), 403)
    assert [name for name, _ in wrong_fields(response)] == ["code"]
    assert f"/dev/mail/newest?to={ADA}" in response.text.replace("%40", "@")
    assert "Email me another code" in response.text


def test_request_for_proof_is_not_an_error(ada, phone, clock):
    ada.sign_in_by_passkey(phone)
    clock.shift(3600)
    response = expect(ada.post("/account/delete"), 403)
    assert title(response) == "Confirm that it’s you · Latchkey"


@pytest.mark.parametrize(("path", "said"), [("/nothing", "There’s nothing here"), ("/account/passkeys/9/remove", "")])
def test_title_of_an_error_page_is_its_headline(visitor, path, said):
    visitor.sign_in_by_link(ADA)
    response = visitor.get(path) if said else visitor.post(path)
    assert response.status_code == 404
    assert title(response) == "There’s nothing here · Latchkey"


# The account page.


def test_two_passkeys_of_one_name_have_numbers(visitor, clock):
    visitor.sign_in_by_link(ADA)
    for _ in range(3):
        visitor.make_passkey(Authenticator())
    names = [text_of(each) for each in parse(visitor.get("/account")).iter("bdi")]
    assert names == ["an unknown browser", "an unknown browser (2)", "an unknown browser (3)"]


def test_this_browser_comes_first_among_the_sessions(visitor, stranger, clock):
    visitor.sign_in_by_link(ADA)
    clock.shift(60)
    stranger.sign_in_by_link(ADA)
    for each in (visitor, stranger):
        rows = parse(each.get("/account")).find(".//section[@aria-labelledby='sessions']/ul")
        assert "this browser" in text_of(rows[0])


def test_settings_show_their_state(visitor, phone):
    visitor.sign_in_by_link(ADA)
    visitor.make_passkey(phone)
    assert settings(visitor)[:2] == ["Require a passkey: off", "Recovery codes: none"]
    visitor.require_passkey()
    assert settings(visitor)[:2] == ["Require a passkey: on", "Recovery codes: 10 left"]


def settings(visitor: Visitor) -> list[str]:
    """Return the settings of the account page, each with its state."""
    section = parse(visitor.get("/account")).find(".//section[@aria-labelledby='settings']")
    return [text_of(each) for each in section.iter("a")]


# The mails.


def test_mail_has_the_name_of_a_passkey_and_of_its_provider(visitor, app):
    visitor.sign_in_by_link(ADA)
    onepassword = Authenticator(aaguid=UUID("bada5566-a7aa-401f-bd96-45619a55120d").bytes)
    expect(visitor.register(onepassword.create(visitor.creation_options()), name="Work"), 303)
    assert "Work (1Password)" in mails.text_of(mails.outbox(app)[0])
    expect(visitor.post("/account/passkeys/1/remove"), 303)
    assert "Work (1Password)" in mails.text_of(mails.outbox(app)[0])


def test_mail_does_not_repeat_a_name(visitor, app):
    visitor.sign_in_by_link(ADA)
    onepassword = Authenticator(aaguid=UUID("bada5566-a7aa-401f-bd96-45619a55120d").bytes)
    visitor.make_passkey(onepassword)
    text = mails.text_of(mails.outbox(app)[0])
    assert "1Password" in text
    assert "(1Password)" not in text
