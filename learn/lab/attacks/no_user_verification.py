"""Somebody has the security key, but not its PIN."""

from authenticator import UP, Authenticator
from learn.lab.attacks import Attack, Cut
from learn.lab.stage import ADA, Stage

ATTACK = Attack(
    title="A stolen key without its PIN",
    layer="passkeys",
    story=(
        "Eve has stolen Ada’s security key, but she doesn’t know its PIN. A key asks for its PIN only if the page "
        "wants that, and Eve can change the page in her own browser. So she changes “required” to “discouraged”, and "
        "the key signs when she touches it. The signed data says that nobody was verified. Many sites ask for "
        "verification, but never check that it happened."
    ),
    defence="The site refuses an answer whose signed flags don’t say that the user was verified.",
    cuts=(
        Cut(
            "app/ceremonies/verification.py",
            '        "require_user_verification": True,',
            '        "require_user_verification": False,',
        ),
    ),
    refused="user_not_verified",
    wins="Eve is signed in as Ada, with the key alone.",
    advice=(
        "Where a passkey is the only thing that signs in, check the flag UV in each answer. Some libraries don’t check "
        "it unless you tell them to."
    ),
    test="test_ceremonies.py::test_user_who_was_not_verified_is_refused",
    sources=(
        (
            "Web Authentication Level 3, 7.2: Verifying an Authentication Assertion (step 17)",
            "https://www.w3.org/TR/webauthn-3/#sctn-verifying-assertion",
        ),
    ),
)


def attack(stage: Stage) -> bool:
    """Return True if Eve is signed in as Ada."""
    ada = stage.person("Ada")
    ada.device = Authenticator(synced=False)
    ada.gets_a_passkey(ADA)
    eve = stage.person("Eve")
    eve.device = ada.device  # the key is stolen
    options = eve.request_options() | {"userVerification": "discouraged"}
    answer = eve.signs(options, flags=UP)
    eve.answers(answer)
    return eve.is_signed_in_as(ADA)
