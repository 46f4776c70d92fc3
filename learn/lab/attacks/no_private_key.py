"""Eve signs for Ada's passkey with a key of her own."""

import cbor2

from authenticator import ES256, cose_key, encode
from learn.lab.attacks import Attack, Cut
from learn.lab.stage import ADA, Stage

ATTACK = Attack(
    title="A signature by another key",
    layer="passkeys",
    story=(
        "Eve knows the id of Ada’s passkey, but not its private key. She makes a key pair of her own, signs with that, "
        "and puts the public key into her answer. A site that checks the signature with a key from the same answer "
        "finds it genuine. Libraries for signed tokens made this mistake; others accepted a signature of zeros."
    ),
    defence="The signature is checked with the public key that was stored when the passkey was registered.",
    cuts=(
        Cut(
            "app/ceremonies/verification.py",
            "        credential_public_key=public_key,",
            '        credential_public_key=decode(credential["response"]["publicKey"]),',
        ),
    ),
    refused="wrong_signature",
    wins="Eve is signed in as Ada, without Ada’s device.",
    advice=(
        "Take the public key from your own table, by the passkey’s id. Write a test with a good answer that another "
        "key has signed: it must be refused."
    ),
    test="test_authentication.py::test_signature_by_another_key_is_refused",
    sources=(
        (
            "CVE-2018-0114: tokens were checked with the key that they contained",
            "https://nvd.nist.gov/vuln/detail/CVE-2018-0114",
        ),
        (
            "Neil Madden: Psychic Signatures in Java (CVE-2022-21449)",
            "https://neilmadden.blog/2022/04/19/psychic-signatures-in-java/",
        ),
    ),
)


def attack(stage: Stage) -> bool:
    """Return True if Eve is signed in as Ada."""
    ada = stage.person("Ada")
    ada.gets_a_passkey(ADA)
    eve = stage.person("Eve")
    eve.knows_the_passkey_of(ada)
    answer = eve.signs(eve.request_options())
    eves_key = eve.device.credentials[0].private_key.public_key()
    answer["response"]["publicKey"] = encode(cbor2.dumps(cose_key(eves_key, ES256), canonical=True))
    eve.answers(answer)
    return eve.is_signed_in_as(ADA)
