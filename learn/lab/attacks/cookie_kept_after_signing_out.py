"""A cookie from before signing out is used afterwards."""

from learn.lab.attacks import Attack, Cut
from learn.lab.stage import ADA, Stage

ATTACK = Attack(
    title="The cookie kept after signing out",
    layer="sessions",
    story=(
        "Eve has a copy of Ada’s cookie, from a backup, by malware, or from a file that was sent to a help desk. Ada "
        "hears of it and signs out. Where the session is all in the cookie, that only makes Ada’s own browser forget "
        "it. Eve’s copy works until it expires."
    ),
    defence="A session is a row in the database, and signing out deletes the row. The cookie only names it.",
    cuts=(Cut("app/views/sign_in/sign_out.py", "        end_session()\n", ""),),
    refused="not_signed_in",
    wins="Eve is signed in as Ada, after Ada has signed out.",
    advice=(
        "Keep sessions on the server, and let the cookie hold a random name. With signed cookies or JWTs, you need a "
        "list of ended sessions, which is the same row with more work."
    ),
    test="test_sessions.py::test_cookie_from_before_signing_out_does_not_work",
    sources=(
        (
            "Techzine: Okta hack shows how vulnerable digital authentication is (2023)",
            "https://www.techzine.eu/news/security/112602/okta-hack-shows-how-vulnerable-digital-authentication-is/",
        ),
    ),
)


def attack(stage: Stage) -> bool:
    """Return True if Eve is signed in as Ada, and has added a passkey."""
    ada, eve = stage.person("Ada"), stage.person("Eve")
    ada.signs_in_by_mail(ADA)
    eve.copies_the_cookie_of(ada)
    ada.signs_out()
    return eve.adds_a_passkey() and eve.is_signed_in_as(ADA)
