"""Eve finds out if an address has an account."""

from learn.lab.attacks import Attack, Cut
from learn.lab.stage import ADA, Stage

ATTACK = Attack(
    title="Does this address have an account?",
    layer="mail",
    story=(
        "Eve has a list of a million addresses, and wants to know who is a member of this clinic, party or dating "
        "site. She types each address into the sign-in form. Many sites tell her: by a sentence (“we don’t know this "
        "address”), by another page, or by a quicker answer. (Here, the site is for invited people only, in both runs. "
        "The lab compares the answers, not the times.)"
    ),
    defence=(
        "Every address gets the same page and a mail, in the same time. Only the mail says if there is an account, and "
        "only its owner reads that."
    ),
    cuts=(
        Cut(
            "app/views/sign_in/mail.py",
            """    template = "sign_in" if invitations.may_sign_in(email) else "notice"\n""",
            """\
    if not invitations.may_sign_in(email):
        return page(Refusal("not_invited"), email=email, next=next)
    template = "sign_in"
""",
        ),
    ),
    refused="",
    settings={"sign_up": "invite"},
    wins="Eve knows that Ada has an account here.",
    advice=(
        "Give the same answer for every address, and say the rest in the mail: “you have no account here yet”. Mind "
        "the sign-up form, the form that changes the address, and the time that the answer takes."
    ),
    test="test_invitations.py::test_uninvited_address_gets_the_same_page_and_another_mail",
    sources=(
        (
            "Troy Hunt: Your affairs were never discrete, Ashley Madison always disclosed customer identities (2015)",
            "https://www.troyhunt.com/your-affairs-were-never-discrete-ashley/",
        ),
        (
            "OWASP: Testing for Account Enumeration and Guessable User Account",
            "https://owasp.org/www-project-web-security-testing-guide/latest/4-Web_Application_Security_Testing/"
            "03-Identity_Management_Testing/04-Testing_for_Account_Enumeration_and_Guessable_User_Account",
        ),
    ),
)


def attack(stage: Stage) -> bool:
    """Return True if Eve gets another answer for Ada's address than for one without an account."""
    ada, eve = stage.person("Ada"), stage.person("Eve")
    stage.sql("INSERT INTO invitations (email, created_at) VALUES (:email, '2030-01-01')", email=ADA)
    ada.signs_in_by_mail(ADA)
    known, unknown = (eve.sends("/sign-in", email=email) for email in (ADA, "nobody@example.com"))
    return (known.status_code, known.location) != (unknown.status_code, unknown.location)
