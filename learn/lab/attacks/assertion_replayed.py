"""The answer of a passkey is sent a second time, in the same browser."""

from learn.lab.attacks import Attack
from learn.lab.cuts import TOKEN_IS_NOT_SPENT
from learn.lab.stage import ADA, Stage

ATTACK = Attack(
    title="A passkey’s answer is used twice",
    layer="passkeys",
    story=(
        "Ada signs in with her passkey on a shared computer, and signs out again. Eve has left the developer tools "
        "open in that browser, so she can read the form that Ada’s page sent. A signature never gets old by itself. "
        "Where a site only checks that it is genuine, Eve sends the form again, and is Ada now."
    ),
    defence=(
        "The first answer spends its challenge, the random text that it signs: the challenge’s id goes into a table "
        "whose primary key takes it only once."
    ),
    cuts=(TOKEN_IS_NOT_SPENT,),
    refused="already_used",
    wins="Eve is signed in as Ada, without Ada’s device.",
    advice=(
        "Accept each challenge once: delete it, or record it as used, in the same transaction that signs in. A "
        "challenge in a signed cookie alone can be used again, because a copy of the cookie brings it back."
    ),
    test="test_ceremonies.py::test_same_response_again_is_refused",
    sources=(
        (
            "Web Authentication Level 3, 13.4.3: Cryptographic Challenges",
            "https://www.w3.org/TR/webauthn-3/#sctn-cryptographic-challenges",
        ),
    ),
)


def attack(stage: Stage) -> bool:
    """Return True if Eve is signed in as Ada."""
    ada = stage.person("Ada")
    ada.gets_a_passkey(ADA)
    answer = ada.signs(ada.request_options())
    ada.answers(answer)
    ada.signs_out()
    eve = stage.person("Eve")
    eve.sits_down_at_the_browser_of(ada)
    eve.answers(answer)
    return eve.is_signed_in_as(ADA)
