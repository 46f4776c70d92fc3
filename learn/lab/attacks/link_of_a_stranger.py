"""Login CSRF: Ada opens a stranger's link, and is signed in to the stranger's account."""

from learn.lab.attacks import Attack
from learn.lab.cuts import LINK_NAMES_ITS_ACCOUNT, LINK_WORKS_IN_ANY_BROWSER
from learn.lab.stage import EVE, Stage

ATTACK = Attack(
    title="A stranger’s link signs you in",
    layer="mail",
    story=(
        "Here the attacker doesn’t want to get into Ada’s account: she wants Ada in hers. Eve asks for a link for her "
        "own account, and sends it to Ada: “please look at this”. Ada presses the button and believes that she is in "
        "her own account. From now on, she puts her passkey, her card or her files into Eve’s account, where Eve sees "
        "them. This is called login CSRF, and it works wherever a link signs in any browser that opens it."
    ),
    defence=(
        "A link signs in only the browser that asked for it. Ada’s browser hasn’t asked. So it only gets a page with a "
        "code, which works in Eve’s browser alone."
    ),
    cuts=(LINK_NAMES_ITS_ACCOUNT, LINK_WORKS_IN_ANY_BROWSER),
    refused="other_browser",
    wins="Ada is signed in to Eve’s account, and Eve sees what Ada keeps there.",
    advice=(
        "Put a random id into the cookie of the browser that asks, and let the link work only with it. Protect every "
        "other way to sign in against forged requests, too: password forms, and OAuth callbacks (by `state`)."
    ),
    test="test_sign_in_links.py::test_link_does_not_sign_in_another_browser",
    alone=(
        "If the link names its account, the site still refuses it in another browser. If it worked in any browser, "
        "Ada’s browser still wouldn’t know whose account to open. Only the cookie of the browser that asked says that."
    ),
    sources=(
        (
            "Barth, Jackson, Mitchell: Robust Defenses for Cross-Site Request Forgery (2008), where login CSRF got its "
            "name",
            "https://seclab.stanford.edu/websec/csrf/csrf.pdf",
        ),
        (
            "OWASP: Cross-Site Request Forgery Prevention Cheat Sheet",
            "https://cheatsheetseries.owasp.org/cheatsheets/Cross-Site_Request_Forgery_Prevention_Cheat_Sheet.html",
        ),
    ),
)


def attack(stage: Stage) -> bool:
    """Return True if Ada is in Eve's account, and Eve sees what Ada has put there."""
    eve, ada = stage.person("Eve"), stage.person("Ada")
    eve.signs_in_by_mail(EVE)
    link = eve.asks_for_a_link(EVE).link
    stage.says("Eve sends the link to Ada, who opens it and presses the button.")
    ada.opens(link)
    ada.sends(link)
    if not ada.is_signed_in_as(EVE):
        return False
    ada.registers(ada.device.create(ada.creation_options()), name="Ada’s phone")
    stage.says("Later, Eve looks at her account page.")
    return "Ada’s phone" in eve.opens("/account").text
