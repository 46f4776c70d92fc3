"""A device that doesn't keep sites apart signs for another site's name."""

from learn.lab.attacks import Attack, Cut
from learn.lab.cuts import ANY_ORIGIN
from learn.lab.stage import ADA, ELSEWHERE, Stage

ATTACK = Attack(
    title="A device that signs for any site",
    layer="passkeys",
    story=(
        "A passkey belongs to one site’s name, its RP ID, and browsers and devices let no other site use it. But Ada’s "
        "password manager does the browser’s part itself, and has a bug: it signs for any site that is open. Eve’s "
        "page gives it the random text (the challenge) that the real site wants signed. Where the site trusts every "
        "device to do its part, Eve is Ada now."
    ),
    defence=(
        "The site checks both names that were signed: the page’s origin (scheme, host and port) from the browser, and "
        "a hash of the RP ID from the device."
    ),
    cuts=(
        ANY_ORIGIN,
        Cut(
            "app/ceremonies/verification.py",
            '        "expected_rp_id": attempt.facts.rp_id,',
            '        "expected_rp_id": _client_data(attempt.credential)["origin"].split("/")[2].split(":")[0],',
        ),
    ),
    alone="Both names in the answer are those of Eve’s site. So each of the two checks refuses the answer alone.",
    refused="wrong_origin",
    wins="Eve is signed in as Ada.",
    advice="Give your library fixed values for both: the full origin and the RP ID. Take neither from the request.",
    test="test_ceremonies.py::test_another_rp_id_is_refused",
    sources=(
        (
            "Web Authentication Level 3, 7.2: Verifying an Authentication Assertion (steps 12 and 15)",
            "https://www.w3.org/TR/webauthn-3/#sctn-verifying-assertion",
        ),
    ),
)


def attack(stage: Stage) -> bool:
    """Return True if Eve is signed in as Ada."""
    ada = stage.person("Ada")
    ada.gets_a_passkey(ADA)
    eve = stage.person("Eve")
    options = eve.request_options()  # Eve's server asks the real site
    ada.goes_to(ELSEWHERE)
    answer = ada.signs(options, rp_id="evil.example")  # the bug: no other site's passkey may sign here
    eve.answers(answer)
    return eve.is_signed_in_as(ADA)
