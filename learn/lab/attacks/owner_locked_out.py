"""Eve uses up the limit of mails to Ada, so that Ada gets none."""

from learn.lab.attacks import Attack, Cut
from learn.lab.stage import ADA, Stage

ATTACK = Attack(
    title="An owner is locked out",
    layer="mail",
    story=(
        "A limit can be turned against the people whom it protects. Eve asks for mails to Ada’s address until the site "
        "sends no more, and does it again every hour. Now Ada needs a mail to sign in, on the day of an auction that "
        "Eve wants to win. Accounts that lock themselves after wrong passwords help Eve in the same way. (The limit "
        "here is five mails an hour in both runs, instead of twenty.)"
    ),
    defence=(
        "A browser that has signed in to the account before has a count of its own, which strangers can’t use up. And "
        "a passkey has no count per account at all. Only a browser that is new to the account has to wait, unless Ada "
        "has a passkey."
    ),
    cuts=(Cut("app/views/shared/allowances.py", "if known_accounts.has_address(email):", "if False:"),),
    refused="",
    settings={"limit_mails_to_address": "5 per 60 minutes"},
    wins="Ada gets no mail, so she can’t sign in by mail.",
    advice=(
        "For each limit, ask whom it can lock out. Give a browser that has signed in before a count of its own. Never "
        "lock an account because strangers have failed to open it."
    ),
    test="test_limits.py::test_other_clients_do_not_use_up_the_count_of_a_known_browser",
    sources=(
        (
            "OWASP: Authentication Cheat Sheet, “Account Lockout”",
            "https://cheatsheetseries.owasp.org/cheatsheets/Authentication_Cheat_Sheet.html",
        ),
    ),
)


def attack(stage: Stage) -> bool:
    """Return True if the site refuses to send Ada a mail in the browser that she always uses."""
    ada = stage.person("Ada")
    ada.signs_in_by_mail(ADA)
    ada.signs_out()
    for number in range(6):
        eve = stage.person("Eve")
        eve.ip = f"192.0.2.{number}"
        answer = eve.sends("/sign-in", email=ADA)
    assert answer.status_code == 429  # Eve has used up the limit
    return ada.sends("/sign-in", email=ADA).status_code == 429
