"""Ada is signed in to Eve's account, by a form of Eve's page."""

from learn.lab.attacks import Attack, Cut
from learn.lab.cuts import CHALLENGE_WORKS_IN_ANY_BROWSER
from learn.lab.stage import ELSEWHERE, EVE, SITE, Stage

ATTACK = Attack(
    title="Signed in to somebody else’s account",
    layer="passkeys",
    story=(
        "Eve wants to read what Ada types into a site, such as a card number or a document. She starts to sign in to "
        "her own account, but doesn’t send what her passkey has signed. A form on Eve’s page sends this answer from "
        "Ada’s browser. Where the site accepts it, Ada is signed in to Eve’s account, and may not notice that. This is "
        "called login CSRF."
    ),
    defence=(
        "The site refuses forms that come from other sites’ pages. And a challenge, the random text that a passkey "
        "signs, works only in the browser that got it."
    ),
    cuts=(
        Cut(
            "app/views/site/protection.py",
            '    if site not in ("same-origin", "none"):',
            "    if False:",
        ),
        CHALLENGE_WORKS_IN_ANY_BROWSER,
    ),
    alone=(
        "A form of Eve’s page is refused, whatever is in it. If it were not, the answer would still be refused, "
        "because its challenge was for Eve’s browser."
    ),
    refused="cross_site",
    wins="Ada is signed in to Eve’s account, and Eve can read what Ada enters there.",
    advice=(
        "Protect the sign-in form against cross-site requests like every other form, although nobody is signed in yet. "
        "And accept a challenge only from the browser that asked for it."
    ),
    test="test_authentication.py::test_challenge_of_another_browser_is_refused",
    sources=(
        (
            "Barth, Jackson, Mitchell: Robust Defenses for Cross-Site Request Forgery (section 3: login CSRF)",
            "https://seclab.stanford.edu/websec/csrf/csrf.pdf",
        ),
    ),
)


def attack(stage: Stage) -> bool:
    """Return True if Ada is signed in as Eve."""
    eve = stage.person("Eve")
    eve.gets_a_passkey(EVE)
    answer = eve.signs(eve.request_options())
    ada = stage.person("Ada")
    ada.goes_to(ELSEWHERE)
    ada.answers(answer)  # the page's script sends the form
    ada.goes_to(SITE)
    return ada.is_signed_in_as(EVE)
