"""The page that a visitor requested before they signed in: they get there afterwards, and never to another site."""

import pytest

from app.sign_in_links import SEND_AGAIN_AFTER
from tests.conftest import ADA, Event, expect, parse


@pytest.fixture
def ada(ada):
    """Return Ada, signed out."""
    ada.sign_out()
    return ada


@pytest.mark.parametrize("way", ["link", "code"])
def test_requested_page_is_kept(ada, way):
    wanted = "/account?tab=passkeys&sort=name#top"
    page = ada.get("/sign-in", query_string={"next": wanted})
    assert [field.get("value") for field in parse(page).findall(".//input[@name='next']")] == [wanted, wanted]
    ada.ask(ADA, next=wanted)
    mail = ada.read_mail()
    response = ada.post(mail.link) if way == "link" else ada.type_code(mail.code)
    assert response.location == wanted


def test_requested_page_is_kept_behind_the_offer(visitor):
    visitor.ask(ADA, next="/account?tab=passkeys")
    offer = visitor.post(visitor.read_mail().link).location
    assert offer == "/account/welcome?next=/account?tab%3Dpasskeys"
    [field] = parse(visitor.get(offer)).findall(".//form[@action='/account/welcome']/input[@name='next']")
    assert visitor.post("/account/welcome", {"next": field.get("value")}).location == "/account?tab=passkeys"


def test_requested_page_is_kept_when_the_mail_is_sent_again(ada, clock):
    ada.ask(ADA, next="/account?tab=passkeys")
    clock.shift(SEND_AGAIN_AFTER)
    ada.ask(ADA)
    assert ada.post(ada.read_mail().link).location == "/account?tab=passkeys"


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
def test_bad_next_is_ignored(ada, bad):
    ada.ask(ADA, next=bad)
    assert ada.post(ada.read_mail().link).location == "/account"


def test_dropped_next_page_is_logged_without_its_path(ada, events):
    ada.ask(ADA, next="//evil.example")
    assert Event("next_dropped", {"route": "/sign-in"}) in events


def test_requested_page_with_a_long_address_is_not_kept(visitor):
    assert expect(visitor.get("/account?x=" + 1200 * "%e5%b8%b3"), 303).location == "/sign-in"
