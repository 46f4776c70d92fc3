"""CSRF: a page at another port of this host sends forms in Ada's name."""

from learn.lab.attacks import Attack, Cut
from learn.lab.stage import ADA, EVE, OTHER_PORT, Stage

ATTACK = Attack(
    title="A form sent from another site",
    layer="sessions",
    story=(
        "Ada has just signed in, and opens a page of Eve’s. It sends a form to this site by itself, and her browser "
        "adds her cookie. The form moves Ada’s account to Eve’s address, and a second one types the code that Eve was "
        "mailed. SameSite cookies don’t help here, because to a browser, another port or a sibling such as "
        "old.example.com is the same site. This is called cross-site request forgery (CSRF)."
    ),
    defence=(
        "The browser says in Sec-Fetch-Site where a form comes from, and a page can’t forge that. Only “same-origin” "
        "passes, and “none”, which is a visitor who reloads the page."
    ),
    cuts=(
        Cut(
            "app/views/site/protection.py",
            'if site not in ("same-origin", "none"):',
            'if site not in ("same-origin", "same-site", "none"):',
        ),
    ),
    refused="cross_site",
    wins="Ada’s account has Eve’s address, and Eve is signed in to it.",
    advice=(
        "Refuse each POST whose Sec-Fetch-Site isn’t “same-origin” or “none”, and compare Origin where that header is "
        "missing. Or use your framework’s CSRF tokens. SameSite=Lax is a good second layer, but not the first."
    ),
    test="test_protection.py::test_form_from_another_site_is_refused",
    sources=(
        (
            "jub0bs: The great SameSite confusion (2021)",
            "https://jub0bs.com/posts/2021-01-29-great-samesite-confusion/",
        ),
        (
            "Squarcina and others: Can I Take Your Subdomain? (USENIX Security 2021)",
            "https://www.usenix.org/conference/usenixsecurity21/presentation/squarcina",
        ),
    ),
)


def attack(stage: Stage) -> bool:
    """Return True if Ada and Eve are in the same account, and it has Eve's address."""
    ada, eve = stage.person("Ada"), stage.person("Eve")
    ada.signs_in_by_mail(ADA)
    ada.goes_to(OTHER_PORT)  # Eve's page, which sends forms by itself
    ada.sends("/account/email", email=EVE)
    if not stage.mailbox(EVE):
        return False
    ada.sends("/account/email", code=stage.mailbox(EVE)[0].code)
    eve.signs_in_by_mail(EVE)
    return eve.is_signed_in_as(EVE) and ada.is_signed_in_as(EVE)
