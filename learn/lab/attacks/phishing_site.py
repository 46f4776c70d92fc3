"""A site between Ada and the real one passes on her passkey's answer."""

from learn.lab.attacks import Attack
from learn.lab.cuts import ANY_ORIGIN
from learn.lab.stage import ADA, OTHER_PORT, Stage

ATTACK = Attack(
    title="A phishing site in the middle",
    layer="passkeys",
    story=(
        "Eve’s page looks like the site’s, and passes everything on between Ada and the real site. Passwords and codes "
        "from an app don’t stop her, because Ada can type them on any page. With a passkey, the browser refuses to "
        "sign on pages of a foreign host. But it does sign on another port or a subdomain, such as an old "
        "shop.example.com that Eve has taken over. It only writes into the signed data where it was."
    ),
    defence="The origin in the signed data must be exactly the site’s own: scheme, host and port.",
    cuts=(ANY_ORIGIN,),
    refused="wrong_origin",
    wins="Eve is signed in as Ada, from her own computer.",
    advice=(
        "Compare the origin with a fixed list of full origins. Never match “ends with example.com”, and never take the "
        "expected origin from the request."
    ),
    test="test_ceremonies.py::test_another_origin_is_refused",
    sources=(
        (
            "Web Authentication Level 3, 7.2: Verifying an Authentication Assertion (step 12)",
            "https://www.w3.org/TR/webauthn-3/#sctn-verifying-assertion",
        ),
        (
            "CAMLIS 2023: Classifying MFA Bypass Phishing Attacks in Large-Scale Authentication Data",
            "https://www.camlis.org/becca-lynch-2023",
        ),
    ),
)


def attack(stage: Stage) -> bool:
    """Return True if Eve is signed in as Ada."""
    ada = stage.person("Ada")
    ada.gets_a_passkey(ADA)
    eve = stage.person("Eve")
    options = eve.request_options()  # Eve's server asks the real site
    ada.goes_to(OTHER_PORT)
    answer = ada.signs(options)
    eve.answers(answer)
    return eve.is_signed_in_as(ADA)
