"""The link of the sign-in mail."""

from playwright.sync_api import expect

from tests.browser.visitor import EMAIL


def test_a_link_opened_in_another_browser_shows_the_code_to_type_where_it_was_asked_for(visitor, stranger, base_url):
    mail = visitor.ask()

    stranger.goto(mail.link)
    main = stranger.page.get_by_role("main")
    expect(main).to_contain_text("Another browser asked for this link")
    expect(main).to_contain_text(mail.code)
    expect(main).to_contain_text(base_url)
    expect(stranger.button("Sign in")).to_have_count(0)

    visitor.type_code(mail.code)
    visitor.is_at("/account/welcome")
    stranger.goto("/account")
    stranger.is_at("/sign-in?next=/account")


def test_a_link_used_before_says_so_to_whoever_is_signed_out(visitor):
    link = visitor.ask().link
    visitor.goto(link)
    visitor.button("Sign in").click()
    visitor.sign_out()

    visitor.goto(link)
    expect(visitor.alert).to_contain_text("only once")


def test_after_a_link_the_wanted_page_comes(visitor):
    visitor.sign_in_by_link()
    visitor.sign_out()
    wanted = "/account?from=a-bookmark"

    visitor.goto(wanted)
    visitor.field("Email").fill(EMAIL)
    visitor.button("Email me a sign-in link").click()
    visitor.is_at("/sign-in/check-email")
    visitor.goto(visitor.read_mail().link)
    visitor.button("Sign in").click()
    visitor.is_at(wanted)
