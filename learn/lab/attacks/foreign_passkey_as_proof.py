"""Eve proves on Ada's open browser who she is, with her own passkey."""

import json

from learn.lab.attacks import Attack, Cut
from learn.lab.stage import ADA, EVE, Stage, options_in

ATTACK = Attack(
    title="Somebody else’s passkey as proof",
    layer="passkeys",
    story=(
        "Ada has left her browser open. Eve wants to add a passkey of her own to Ada’s account, to come back whenever "
        "she likes. The site asks for proof first, and Eve gives it with the passkey of her own account. It is a "
        "genuine answer to the site’s question. Where the site doesn’t check whose passkey it was, that is enough."
    ),
    defence="Proof counts only if the passkey belongs to the account of the session.",
    cuts=(Cut("app/passkeys.py", "    if owner not in (None, passkey.user_id):", "    if False:"),),
    refused="other_account",
    wins="Eve has a passkey for Ada’s account, and signs in with it.",
    advice=(
        "Where the visitor is known already, check that the passkey is theirs. The list of allowed passkeys in the "
        "options doesn’t do that: it only tells the browser which ones to offer."
    ),
    test="test_proof.py::test_another_users_passkey_is_no_proof",
    sources=(
        (
            "Web Authentication Level 3, 7.2: Verifying an Authentication Assertion (steps 5 and 6)",
            "https://www.w3.org/TR/webauthn-3/#sctn-verifying-assertion",
        ),
    ),
)


def attack(stage: Stage) -> bool:
    """Return True if Eve is signed in as Ada, with a passkey that she has added."""
    ada = stage.person("Ada")
    ada.gets_a_passkey(ADA)
    ada.signs_in_by_mail(ADA)
    eve = stage.person("Eve")
    eve.gets_a_passkey(EVE)
    stage.proofs_grow_old()
    eve.sits_down_at_the_browser_of(ada)
    options = options_in(eve.opens("/account/confirm"))
    answer = eve.signs(options | {"allowCredentials": []})  # so that the key offers Eve's passkey
    proof = eve.sends("/account/confirm", credential=json.dumps(answer))
    if proof.status_code != 303:
        return False
    eve.creates_a_passkey()
    eve.signs_out()
    eve.signs_in_with_a_passkey()
    return eve.is_signed_in_as(ADA)
