"""The outbox of a site on localhost: the newest mail, and the link from a mail back to its page."""

import pytest

from tests.conftest import ADA, expect, parse


@pytest.mark.parametrize("email", ["grace@example.org", f"{'a' * 64}@{'b' * 63}.{'c' * 63}.{'d' * 53}.example"])
def test_newest_mail_to_an_address_is_found_among_newer_ones_to_others(visitor, stranger, email):
    expect(visitor.ask(email), 303)
    mail = visitor.read_mail()
    expect(stranger.ask(ADA), 303)
    found = expect(visitor.get("/dev/mail/newest", query_string={"to": email}, follow_redirects=True), 200)
    assert mail.code in found.text


def test_newest_mail_to_an_address_without_mail_leads_to_the_outbox(visitor):
    expect(visitor.ask(ADA), 303)
    assert expect(visitor.get("/dev/mail/newest?to=grace@example.org"), 303).location == "/dev/mail/"


def test_page_of_a_mail_signs_in_only_the_browser_that_asked(visitor, stranger):
    expect(visitor.ask(ADA), 303)
    path = expect(visitor.get(f"/dev/mail/newest?to={ADA}"), 303).location
    assert "Sign in with this code" in visitor.get(path).text
    assert "Sign in with this code" not in stranger.get(path).text


def test_mails_page_leads_back_to_the_change_of_address(visitor):
    visitor.sign_in_by_link(ADA)
    expect(visitor.post("/account/email", {"email": "grace@example.org"}), 303)
    found = expect(visitor.get("/dev/mail/newest?to=grace@example.org", follow_redirects=True), 200)
    assert parse(found).find(".//main//a[@href='/account/email']") is not None
