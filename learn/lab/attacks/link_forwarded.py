"""A sign-in mail is forwarded."""

from learn.lab.attacks import Attack
from learn.lab.cuts import LINK_NAMES_ITS_ACCOUNT, LINK_WORKS_IN_ANY_BROWSER
from learn.lab.stage import ADA, Stage

ATTACK = Attack(
    title="A forwarded link",
    layer="mail",
    story=(
        "Ada’s mail also goes to other people. A holiday rule forwards it, or she asks a colleague about a mail that "
        "looks odd. Eve gets the sign-in mail that way, and opens the link first. Where a link is all that it takes, "
        "she is Ada now."
    ),
    defence=(
        "A link signs in only the browser that asked for it. In any other browser, its page shows a code, and the code "
        "works only in the browser that asked, too."
    ),
    cuts=(LINK_NAMES_ITS_ACCOUNT, LINK_WORKS_IN_ANY_BROWSER),
    refused="other_browser",
    wins="Eve is signed in as Ada.",
    advice=(
        "Bind the link to the browser that asked, by a random id in its cookie. For people who read their mail on "
        "another device, show them a code there that they type where they asked."
    ),
    test="test_sign_in_links.py::test_link_in_another_browser_shows_the_code_and_the_browser_that_asked",
    alone=(
        "If the link names its account, the site still refuses it in another browser. If it worked in any browser, "
        "Eve’s browser still wouldn’t know whose account to open. Only the cookie of the browser that asked says that."
    ),
)


def attack(stage: Stage) -> bool:
    """Return True if Eve is signed in as Ada."""
    ada, eve = stage.person("Ada"), stage.person("Eve")
    ada.signs_in_by_mail(ADA)
    ada.signs_out()
    mail = ada.asks_for_a_link(ADA)
    stage.says("The mail is forwarded to Eve.")
    eve.opens(mail.link)
    eve.sends(mail.link)
    return eve.is_signed_in_as(ADA)
