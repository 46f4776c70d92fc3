"""Ada has removed the passkey of the phone that she lost."""

from learn.lab.attacks import Attack, Cut
from learn.lab.stage import ADA, Stage

ATTACK = Attack(
    title="A removed passkey still signs in",
    layer="passkeys",
    story=(
        "Ada has lost her phone, and Eve, who found it, has watched her type its PIN. So Ada removes the phone’s "
        "passkey from her account. Some sites only ask the device to forget the passkey, or only stop showing it. The "
        "phone is offline at that time, keeps its passkey, and Eve signs in with it."
    ),
    defence="Removing a passkey deletes its row. Without the stored public key, no answer can be checked.",
    cuts=(
        Cut(
            "app/passkeys.py",
            "    execute(delete(Passkey).where(Passkey.id == passkey_id))",
            "    # The device is asked to forget it.",
        ),
    ),
    refused="removed_passkey",
    wins="Eve is signed in as Ada, with the passkey that Ada has removed.",
    advice=(
        "Delete the passkey on the server first. Asking the device to forget it (the Signal API) is only a courtesy. "
        "Offer to end the sessions that the passkey opened, too."
    ),
    test="test_authentication.py::test_removed_passkey_is_refused",
)


def attack(stage: Stage) -> bool:
    """Return True if Eve is signed in as Ada."""
    ada = stage.person("Ada")
    ada.gets_a_passkey(ADA)
    eve = stage.person("Eve")
    eve.device = ada.device  # she has found the phone
    ada.signs_in_by_mail(ADA)
    [(number,)] = stage.sql("select id from passkeys")
    ada.sends(f"/account/passkeys/{number}/remove")
    eve.signs_in_with_a_passkey()
    return eve.is_signed_in_as(ADA)
