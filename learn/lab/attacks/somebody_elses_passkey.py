"""Ada types her address, and picks a passkey that is not hers."""

from learn.lab.attacks import Attack, Cut
from learn.lab.stage import ADA, EVE, Stage

ATTACK = Attack(
    title="Your address, somebody else’s passkey",
    layer="passkeys",
    story=(
        "Eve has left a passkey on a computer that Ada uses, too. Ada types her own address, and the computer offers "
        "the passkey. She confirms with a click, as always. The answer is genuine, so many sites sign her in to Eve’s "
        "account. Eve reads what Ada does there."
    ),
    defence="If an address was typed, the passkey must belong to its account.",
    cuts=(
        Cut(
            "app/passkeys.py",
            "    if email and email != passkey.user.email:",
            "    if False:",
        ),
    ),
    refused="other_account",
    wins="Ada is signed in as Eve, although she typed her own address.",
    advice=(
        "If your form has a field for the address, send it along with the answer. Compare it with the address of the "
        "passkey’s account. Check the signature first, so that a refusal doesn’t tell strangers whose passkey it is."
    ),
    test="test_passkeys.py::test_passkey_of_another_account_than_the_typed_one_is_refused",
)


def attack(stage: Stage) -> bool:
    """Return True if Ada is signed in as Eve."""
    eve = stage.person("Eve")
    eve.gets_a_passkey(EVE)
    ada = stage.person("Ada")
    ada.device = eve.device  # the computer has Eve's passkey
    answer = ada.signs(ada.request_options())
    ada.answers(answer, email=ADA)
    return ada.is_signed_in_as(EVE)
