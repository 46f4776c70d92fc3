"""Eve adds her passkey on a browser that Ada has left open."""

from learn.lab.attacks import Attack, Cut
from learn.lab.stage import ADA, Stage

ATTACK = Attack(
    title="A passkey added on a browser left open",
    layer="sessions",
    story=(
        "An hour after signing in, Ada goes to lunch and leaves her browser open. Eve has one minute at it. She adds a "
        "passkey from her own phone to Ada’s account, and closes the window. Where being signed in is enough for that, "
        "Eve can sign in as Ada from now on. It doesn’t help that Ada ends her sessions."
    ),
    defence=(
        "To change a sign-in method, the visitor needs a proof from the last ten minutes. Without it, the site gives "
        "no options for a new passkey, and takes none."
    ),
    cuts=(
        Cut(
            "app/proof.py",
            "session.has_proof_mark and at - PROOF_LIFETIME < session.proved_at <= now() + CLOCK_SKEW",
            "session.has_proof_mark",
        ),
    ),
    refused="not_proven",
    wins="Eve’s phone signs her in as Ada.",
    advice=(
        "Ask for a fresh proof before every change that gives access later: a passkey, address or password, recovery "
        "codes, an API token. Tell the owner by mail afterwards."
    ),
    test="test_proof.py::test_creation_options_need_fresh_proof",
)


def attack(stage: Stage) -> bool:
    """Return True if Eve's phone signs her in as Ada."""
    ada, eve = stage.person("Ada"), stage.person("Eve")
    ada.signs_in_by_mail(ADA)
    stage.proofs_grow_old()
    eve.sits_down_at_the_browser_of(ada)
    if not eve.adds_a_passkey():
        return False
    stage.says("At home, Eve uses the passkey on her phone.")
    at_home = stage.person("Eve")
    at_home.device = eve.device
    at_home.signs_in_with_a_passkey()
    return at_home.is_signed_in_as(ADA)
