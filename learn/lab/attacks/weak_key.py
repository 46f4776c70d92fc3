"""A public key for which anybody can sign."""

from authenticator import EDDSA, Authenticator
from learn.lab.attacks import Attack, Cut
from learn.lab.stage import ADA, Stage

ONE = (1).to_bytes(32, "little")  # the curve's neutral point: it behaves like the number 0

ATTACK = Attack(
    title="A key that accepts every signature",
    layer="passkeys",
    story=(
        "Ada has a cheap security key whose maker got its keys wrong, by mistake or on purpose. It makes Ed25519 "
        "signatures, and its public key is one of eight values for which anybody can sign. With one of them, the same "
        "signature even fits every message. Eve only has to know the passkey’s id and user handle, and any log of "
        "Ada’s sign-in shows both."
    ),
    defence="When a passkey is registered, the site refuses a public key for which anybody can sign.",
    cuts=(
        Cut(
            "app/ceremonies/public_keys.py",
            "        if y % PRIME in SMALL_ORDER:",
            "        if False:",
        ),
    ),
    refused="weak_key",
    wins="Eve is signed in as Ada, without any private key.",
    advice=(
        "When a passkey is registered, check that your library can use its key. Refuse Ed25519 points of small order "
        "(these eight values), because many libraries don’t."
    ),
    test="test_registration.py::test_ed25519_key_of_small_order_is_refused",
    sources=(("Chalkias, Garillot, Nikolaenko: Taming the many EdDSAs", "https://eprint.iacr.org/2020/1244"),),
)


def attack(stage: Stage) -> bool:
    """Return True if Eve is signed in as Ada."""
    ada = stage.person("Ada")
    ada.device = Authenticator(algorithm=EDDSA)
    ada.gets_a_passkey(ADA, public_key={1: 1, 3: EDDSA, -1: 6, -2: ONE})
    eve = stage.person("Eve")
    eve.knows_the_passkey_of(ada)
    answer = eve.signs(eve.request_options(), mangle={"signature": lambda _: ONE + bytes(32)})
    eve.answers(answer)
    return eve.is_signed_in_as(ADA)
