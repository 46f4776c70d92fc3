"""A cookie that was copied before a proof uses that proof."""

import json

from learn.lab.attacks import Attack, Cut
from learn.lab.stage import ADA, Stage, options_in

ATTACK = Attack(
    title="A cookie copied before a proof",
    layer="sessions",
    story=(
        "Eve copied Ada’s cookie a week ago. It lets her look around, but changes need fresh proof of identity: a "
        "passkey, or a code from the mail. So Eve waits until Ada confirms something with her passkey. Many sites "
        "write “proven at 12:04” into the session, and Eve’s copy names the same session. For ten minutes, Ada’s proof "
        "is Eve’s."
    ),
    defence=(
        "Each proof leaves a random mark in the browser’s cookie, and the mark’s hash in the session. The proof counts "
        "only where both agree. Eve’s copy is older than the mark."
    ),
    cuts=(Cut("app/proof.py", "return session.has_proof_mark and at", "return at"),),
    refused="not_proven",
    wins="Eve has added a passkey to Ada’s account, and signs in with it.",
    advice=(
        "Change the session’s identifier whenever somebody signs in or proves who they are. Or put a new random value "
        "into the cookie with each proof, and its hash into the session."
    ),
    test="test_proof.py::test_cookie_copied_before_a_proof_is_not_proven",
    sources=(
        (
            "OWASP: Session Management Cheat Sheet, “Renew the Session ID After Any Privilege Level Change”",
            "https://cheatsheetseries.owasp.org/cheatsheets/Session_Management_Cheat_Sheet.html",
        ),
    ),
)


def attack(stage: Stage) -> bool:
    """Return True if Eve's passkey signs her in as Ada."""
    ada, thief = stage.person("Ada"), stage.person("Eve")
    ada.signs_in_by_mail(ADA)
    ada.creates_a_passkey()
    thief.copies_the_cookie_of(ada)
    stage.proofs_grow_old()
    proof = ada.signs(options_in(ada.opens("/account/confirm")))
    ada.sends("/account/confirm", credential=json.dumps(proof))
    if not thief.adds_a_passkey():
        return False
    stage.says("Eve uses her passkey in a browser of her own.")
    eve = stage.person("Eve")
    eve.device = thief.device
    eve.signs_in_with_a_passkey()
    return eve.is_signed_in_as(ADA)
