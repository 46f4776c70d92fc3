"""Eve has a copy of Ada's security key."""

from authenticator import Authenticator
from learn.lab.attacks import Attack, Cut
from learn.lab.stage import ADA, Stage

ATTACK = Attack(
    title="A copied key, and nobody notices",
    layer="passkeys",
    story=(
        "Eve has copied Ada’s security key, and has given it back. Researchers have done this with keys of two makers. "
        "No site can tell the copy’s signatures from the key’s, so Eve gets in. But both count their signatures, and "
        "neither knows how often the other has signed. Where a site ignores the count, Ada never learns that there are "
        "two."
    ),
    defence=(
        "The site compares each answer’s count with the last one. If it hasn’t grown, the owner gets a mail. The site "
        "doesn’t refuse, because it can’t tell which of the two is the copy. It could lock out the owner."
    ),
    cuts=(
        Cut(
            "app/passkeys.py",
            "    attempt.counter_went_back = counts and verified.new_sign_count <= passkey.sign_count",
            "    attempt.counter_went_back = False",
        ),
    ),
    refused="",
    wins="Eve is signed in as Ada, and Ada doesn’t learn that her key was copied.",
    advice=(
        "Store the signature counter, and tell the owner and your log if it doesn’t grow. A counter that is always "
        "zero is normal: synced passkeys don’t count."
    ),
    test="test_authentication.py::test_counter_that_goes_back_is_flagged_and_signs_in",
    sources=(
        (
            "Web Authentication Level 3, 6.1.1: Signature Counter Considerations",
            "https://www.w3.org/TR/webauthn-3/#sctn-sign-counter",
        ),
        ("NinjaLab: A Side Journey to Titan", "https://ninjalab.io/a-side-journey-to-titan/"),
        ("NinjaLab: EUCLEAK", "https://ninjalab.io/eucleak/"),
    ),
)


def attack(stage: Stage) -> bool:
    """Return True if Eve is signed in as Ada, and no mail says that the passkey was copied."""
    ada = stage.person("Ada")
    ada.device = Authenticator(synced=False)
    ada.gets_a_passkey(ADA)
    eve = stage.person("Eve")
    eve.device = Authenticator(synced=False)
    eve.copies_the_passkey_of(ada)
    ada.signs_in_with_a_passkey()
    eve.signs_in_with_a_passkey()
    subjects = [mail.subject for mail in stage.mailbox(ADA)]
    stage.says(f"In Ada’s mailbox, newest first: {', '.join(subjects)}.")
    return eve.is_signed_in_as(ADA) and "One of your passkeys may have been copied" not in subjects
