"""Two tabs of one browser."""

BUTTON = "Sign in with a passkey"


def test_two_tabs_of_one_request_both_end_signed_in(visitor):
    other = visitor.another_tab()
    mail = visitor.ask()
    other.goto("/sign-in/check-email")

    visitor.type_code(mail.code)
    visitor.is_at("/account/welcome")
    other.type_code(mail.code)
    other.is_at("/account")
    other.is_signed_in()


def test_a_tab_that_waits_for_the_code_finds_itself_signed_in(visitor):
    link = visitor.ask().link
    tab = visitor.another_tab()
    tab.goto(link)
    tab.button("Sign in").click()
    tab.is_signed_in()

    visitor.page.reload()
    visitor.is_at("/account")
    visitor.is_signed_in()


def test_the_newest_address_counts_in_both_tabs(visitor):
    other = visitor.another_tab()
    visitor.ask("ada@example.com")
    newest = other.ask("grace@example.com")

    visitor.type_code(newest.code)
    visitor.is_signed_in("grace@example.com")


def test_a_sign_in_page_that_was_open_before_signing_in_leads_to_another_account(visitor):
    early = visitor.another_tab()
    early.goto("/sign-in")
    visitor.sign_in_by_link("ada@example.com")

    early.field("Email").fill("grace@example.com")
    early.button("Email me a sign-in link").click()
    early.is_at("/sign-in/check-email")
    early.goto(early.read_mail().link)
    early.button("Sign in").click()
    early.is_signed_in("grace@example.com")


def test_two_tabs_do_not_spoil_each_other(owner):
    other = owner.another_tab()
    owner.open_sign_in()
    other.open_sign_in()

    owner.device.present = True
    owner.button(BUTTON).click()
    owner.is_at("/account")

    other.device.present = True
    other.button(BUTTON).click()
    other.is_at("/account")


def test_a_tab_that_was_open_before_signing_in_elsewhere_still_signs_in_after_signing_out(owner):
    waiting = owner.another_tab()
    waiting.open_sign_in()

    owner.pick_from_autofill()
    owner.is_at("/account")
    owner.sign_out()

    waiting.device.present = True
    waiting.button(BUTTON).click()
    waiting.is_at("/account")
