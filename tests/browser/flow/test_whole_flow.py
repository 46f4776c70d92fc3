"""The whole flow: a link lets you in, a passkey brings you back."""

from playwright.sync_api import expect

from tests.browser.visitor import EMAIL


def test_a_link_lets_you_in_and_a_passkey_brings_you_back(visitor):
    page = visitor.page

    visitor.goto("/")
    page.get_by_role("link", name="Sign in", exact=True).click()
    visitor.is_at("/sign-in")
    visitor.field("Email").fill(EMAIL)
    visitor.button("Email me a sign-in link").click()
    visitor.is_at("/sign-in/check-email")
    expect(page.get_by_role("main")).to_contain_text(EMAIL)

    visitor.goto(visitor.read_mail().link)
    expect(page.get_by_role("main")).to_contain_text(EMAIL)
    visitor.button("Sign in").click()
    visitor.is_at("/account/welcome")
    visitor.is_signed_in()

    visitor.device.present = True
    visitor.button("Create a passkey").click()
    visitor.is_at("/account")
    expect(page.get_by_role("status")).to_contain_text("Your passkey is ready")
    expect(page.get_by_role("region", name="Passkeys").get_by_role("listitem")).to_have_count(1)
    assert len(visitor.device.credentials) == 1
    visitor.device.present = False

    visitor.sign_out()
    expect(visitor.button("Sign out")).to_have_count(0)

    visitor.pick_from_autofill()
    visitor.is_at("/account")
    visitor.is_signed_in()
    visitor.sign_out()

    visitor.open_sign_in()
    visitor.device.present = True
    visitor.button("Sign in with a passkey").click()
    visitor.is_at("/account")
    visitor.is_signed_in()


def test_without_javascript_the_whole_email_flow_works_and_the_page_says_that_passkeys_need_it(new_visitor):
    visitor = new_visitor(java_script_enabled=False)
    visitor.goto("/sign-in")
    # Playwright reads no text of a <noscript>, but what is in it can be seen.
    needs_javascript = visitor.page.locator("noscript p")
    expect(needs_javascript).to_be_visible()
    expect(needs_javascript).to_contain_text("Passkeys need JavaScript")
    expect(visitor.button("Sign in with a passkey")).to_be_disabled()
    # None of the sentences that only a script may show.
    expect(visitor.alert).to_have_count(0)

    visitor.type_code(visitor.ask().code)
    visitor.is_at("/account/welcome")
    expect(needs_javascript).to_be_visible()
    visitor.button("Not now").click()
    visitor.is_at("/account")
    visitor.sign_out()

    visitor.sign_in_by_link()
    visitor.is_at("/account")
