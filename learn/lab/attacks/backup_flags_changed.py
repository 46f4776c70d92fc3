"""A key that can't be copied turns up in a program that copies it."""

from authenticator import Authenticator
from learn.lab.attacks import Attack, Cut
from learn.lab.stage import ADA, Stage

ATTACK = Attack(
    title="A key that can’t be copied is in a cloud",
    layer="passkeys",
    story=(
        "Ada’s passkey is on a security key that never gives it away. The key said so when the passkey was registered. "
        "Eve had that key for a day, and measured the passkey out of its chip, as researchers did in 2024. She puts "
        "the copy into a password manager, which says with each signature that its passkeys may be copied. A site that "
        "doesn’t notice the difference signs Eve in."
    ),
    defence="A passkey can’t change from “stays on this device” to “may be copied”: that is refused.",
    cuts=(
        Cut(
            "app/ceremonies/verification.py",
            "    if is_backup_eligible(verified) != backup_eligible:",
            "    if False:",
        ),
    ),
    refused="backup_eligibility_changed",
    wins="Eve is signed in as Ada, with a copy of her key.",
    advice=(
        "Store the flag BE (“backup eligible”) with the passkey, and refuse answers in which it differs. This finds "
        "only a careless thief: one who writes a program can set the flag as it was."
    ),
    test="test_authentication.py::test_passkey_that_can_suddenly_be_backed_up_is_refused",
    sources=(
        (
            "Web Authentication Level 3, 6.1.3: Credential Backup State",
            "https://www.w3.org/TR/webauthn-3/#sctn-credential-backup",
        ),
        ("NinjaLab: EUCLEAK, a way to copy keys out of security keys", "https://ninjalab.io/eucleak/"),
    ),
)


def attack(stage: Stage) -> bool:
    """Return True if Eve is signed in as Ada."""
    ada = stage.person("Ada")
    ada.device = Authenticator(synced=False)
    ada.gets_a_passkey(ADA)
    eve = stage.person("Eve")
    eve.device = Authenticator(synced=True)
    eve.copies_the_passkey_of(ada)
    eve.signs_in_with_a_passkey()
    return eve.is_signed_in_as(ADA)
