"""An invisible frame in Eve's page takes Ada's clicks and her fingerprint."""

import json

from learn.lab.attacks import Attack, Cut
from learn.lab.stage import ADA, OTHER_PORT, Stage, options_in

ATTACK = Attack(
    title="A passkey in an invisible frame",
    layer="passkeys",
    story=(
        "Eve wants Ada’s passkey gone, so that Ada has to sign in by something weaker. Ada plays a game on "
        "old.example.com, which Eve has taken over, under an invisible frame with Ada’s account page. Her clicks press "
        "its buttons: remove the passkey, and confirm that. Her phone asks for her finger, and Ada thinks that the "
        "game does. The form comes from the site’s own page, so a check for cross-site forms finds nothing wrong."
    ),
    defence=(
        "A header tells browsers to show no page of the site in a frame. If a passkey was used in a frame after all, "
        "the browser says so in the signed data. The site refuses such an answer."
    ),
    cuts=(
        Cut(
            "app/views/site/protection.py",
            "        \"frame-ancestors 'none'\",",
            '        "frame-ancestors *",',
        ),
        Cut(
            "app/ceremonies/verification.py",
            '    if client_data.get("crossOrigin", False) is not False or "topOrigin" in client_data:',
            "    if False:",
        ),
    ),
    alone=(
        "With the header, the browser leaves the frame empty. Without it, Ada’s clicks arrive, but the passkey’s "
        "answer says that it was made in a frame: refused as cross_origin."
    ),
    refused="",
    wins="Ada’s passkey is removed, and she confirmed it herself.",
    advice=(
        "Send “Content-Security-Policy: frame-ancestors 'none'” with every page. Refuse answers with crossOrigin or "
        "topOrigin, unless your site is meant to be used in frames."
    ),
    test="test_ceremonies.py::test_response_made_in_another_sites_frame_is_refused",
    sources=(
        (
            "Web Authentication Level 3, 13.4.2: Visibility Considerations for Embedded Usage",
            "https://www.w3.org/TR/webauthn-3/#sctn-seccons-visibility",
        ),
        ("OWASP: Clickjacking", "https://owasp.org/www-community/attacks/Clickjacking"),
    ),
)


def attack(stage: Stage) -> bool:
    """Return True if Ada has removed her passkey."""
    ada = stage.person("Ada")
    ada.signs_in_by_mail(ADA)
    ada.creates_a_passkey()
    stage.proofs_grow_old()
    stage.says(f"Ada is on a page of {OTHER_PORT}, with the site in a frame.")
    frame = ada.opens("/account")
    if "frame-ancestors 'none'" in frame.headers["Content-Security-Policy"]:
        stage.says("Ada’s browser leaves the frame empty, because of its Content-Security-Policy.")
        return False
    [(number,)] = stage.sql("select id from passkeys")
    question = ada.sends(f"/account/passkeys/{number}/remove")
    answer = ada.signs(options_in(question), client_data={"crossOrigin": True, "topOrigin": OTHER_PORT})
    ada.sends(f"/account/passkeys/{number}/remove", credential=json.dumps(answer))
    return stage.mailbox(ADA)[0].subject == "A passkey was removed from your account"
