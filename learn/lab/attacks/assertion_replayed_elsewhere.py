"""The answer of a passkey is sent a second time, from another computer."""

from learn.lab.attacks import Attack
from learn.lab.cuts import CHALLENGE_WORKS_IN_ANY_BROWSER, TOKEN_IS_NOT_SPENT
from learn.lab.stage import ADA, Stage

ATTACK = Attack(
    title="A passkey’s answer is used on another computer",
    layer="passkeys",
    story=(
        "Ada has trouble with a site, and its help desk asks for a recording of her browser’s requests. She removes "
        "the cookies from it, but not the form with her passkey’s answer. Eve steals the recording from the help desk, "
        "and sends the form from her own computer. (Attackers did this with cookies from such recordings in 2023.) "
        "Where nothing says which browser the answer is from, it signs Eve in."
    ),
    defence=(
        "The challenge (the random text that the passkey signs) works in one browser only, because it names the random "
        "id in that browser’s cookie. It also works only once."
    ),
    cuts=(
        CHALLENGE_WORKS_IN_ANY_BROWSER,
        TOKEN_IS_NOT_SPENT,
    ),
    alone=(
        "An answer that was used already is refused in every browser. An answer for Ada’s browser is refused in Eve’s, "
        "even if it is the first. So an answer that Eve steals before it is used doesn’t help her either."
    ),
    refused="bound_to_another_browser",
    wins="Eve is signed in as Ada, from her own computer.",
    advice=(
        "Store the challenge on the server, with the session or browser that asked for it. Delete it with the first "
        "answer. Look it up by the session, never by a value in the answer."
    ),
    test="test_authentication.py::test_browser_without_cookies_is_refused",
    sources=(
        (
            "How Cloudflare mitigated yet another Okta compromise",
            "https://blog.cloudflare.com/how-cloudflare-mitigated-yet-another-okta-compromise/",
        ),
        (
            "Marek Tóth: DOM-based Extension Clickjacking (“signed assertion hijacking”)",
            "https://marektoth.com/blog/dom-based-extension-clickjacking/",
        ),
    ),
)


def attack(stage: Stage) -> bool:
    """Return True if Eve is signed in as Ada."""
    ada = stage.person("Ada")
    ada.gets_a_passkey(ADA)
    answer = ada.signs(ada.request_options())
    ada.answers(answer)
    eve = stage.person("Eve")
    eve.answers(answer)
    return eve.is_signed_in_as(ADA)
