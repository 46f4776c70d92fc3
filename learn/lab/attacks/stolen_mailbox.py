"""Eve reads Ada's mail, and Ada's account requires a passkey."""

from learn.lab.attacks import Attack, Cut
from learn.lab.stage import ADA, Stage

ATTACK = Attack(
    title="A stolen mailbox on an account that requires a passkey",
    layer="sessions",
    story=(
        "Eve has the password of Ada’s mailbox, from another site that lost it. With it, she can open every account "
        "that signs in by mail, and reset every password. Ada has expected that: she has a passkey here, and has "
        "chosen that a mail is not enough. On many sites that choice doesn’t exist, or “forgot your passkey?” leads "
        "around it."
    ),
    defence=(
        "If the account requires a passkey, the link only opens a second step. That takes the passkey or a recovery "
        "code."
    ),
    cuts=(Cut("app/views/shared/signing_in.py", "    if not user.requires_passkey:", "    if True:"),),
    refused="",
    event="second_step",
    wins="Eve is signed in as Ada.",
    advice=(
        "Let people choose that a mail is not enough, and let no way to recover the account lead around it. Make sure "
        "that they have recovery codes first."
    ),
    test="test_second_step.py::test_email_alone_does_not_sign_in",
)


def attack(stage: Stage) -> bool:
    """Return True if Eve is signed in as Ada."""
    ada, eve = stage.person("Ada"), stage.person("Eve")
    ada.signs_in_by_mail(ADA)
    ada.requires_a_passkey()
    ada.signs_out()
    stage.says("Eve can read Ada’s mail.")
    eve.signs_in_by_mail(ADA)
    return eve.is_signed_in_as(ADA)
