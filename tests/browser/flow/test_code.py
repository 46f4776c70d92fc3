"""The code of the sign-in mail."""

from playwright.sync_api import expect

from tests.browser.visitor import EMAIL


def test_the_code_may_be_typed_in_any_way_and_is_sent_by_the_visitor_only(visitor):
    code = visitor.ask().code
    visitor.field("Code").fill(f" {code.lower().replace('-', ' ')} ")
    visitor.is_at("/sign-in/check-email")

    visitor.button("Sign in").click()
    visitor.is_at("/account/welcome")


def test_a_wrong_code_is_told_and_a_reloaded_page_takes_the_right_one(visitor):
    code = visitor.ask().code
    wrong = "".join("3" if letter != "3" else "4" for letter in code)
    visitor.type_code(wrong)
    expect(visitor.alert).to_contain_text("That isn’t the code from the mail")

    visitor.page.reload()
    expect(visitor.alert).to_contain_text("That isn’t the code from the mail")
    visitor.type_code(code)
    visitor.is_at("/account/welcome")


def test_after_a_code_the_wanted_page_comes(visitor):
    visitor.sign_in_by_link()
    visitor.sign_out()
    wanted = "/account?from=a-bookmark"

    visitor.goto(wanted)
    visitor.field("Email").fill(EMAIL)
    visitor.button("Email me a sign-in link").click()
    visitor.is_at("/sign-in/check-email")
    visitor.type_code(visitor.read_mail().code)
    visitor.is_at(wanted)
