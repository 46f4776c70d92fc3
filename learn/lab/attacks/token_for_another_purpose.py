"""A token that the site gave for one purpose is used for another."""

import re

from learn.lab.attacks import Attack, Cut
from learn.lab.cuts import LINK_WORKS_IN_ANY_BROWSER
from learn.lab.stage import ADA, Stage

ATTACK = Attack(
    title="A token of one purpose used for another",
    layer="sessions",
    story=(
        "Eve has a copy of Ada’s cookie, but to change anything, the site wants fresh proof of identity. It offers to "
        "mail Ada a code, and its page has a signed token in a hidden field. The token names Ada’s address, and is "
        "worth nothing without the code. But if a site signs all tokens alike, Eve can use this one as a sign-in link. "
        "And signing in counts as fresh proof."
    ),
    defence=(
        "Each purpose signs with a salt of its own, so a token for one purpose is no token for another. Besides, each "
        "is bound to its browser or session."
    ),
    cuts=(
        Cut("app/single_use.py", 'salt=f"latchkey.{purpose}"', 'salt="latchkey"'),
        LINK_WORKS_IN_ANY_BROWSER,
    ),
    refused="malformed_token",
    wins="Eve is signed in as Ada in her own browser, with a fresh proof.",
    advice=(
        "Give each kind of token its own salt or key, and check that first. In itsdangerous and Django it is `salt`, "
        "in a JWT `aud` and `typ`. Bind it to the browser or session that it was made for."
    ),
    test="test_single_use.py::test_token_for_another_purpose_is_refused",
    alone=(
        "If all purposes share one salt, the site takes the token for a link, but refuses it, because another browser "
        "has asked for it. If links work in any browser, the site still doesn’t take this token for a link."
    ),
    sources=(
        (
            "RFC 8725: JSON Web Token Best Current Practices, 2.8 Cross-JWT Confusion",
            "https://www.rfc-editor.org/rfc/rfc8725#section-2.8",
        ),
    ),
)


def attack(stage: Stage) -> bool:
    """Return True if Eve is signed in as Ada in her own browser, and may add a passkey there."""
    ada, thief = stage.person("Ada"), stage.person("Eve")
    ada.signs_in_by_mail(ADA)
    stage.proofs_grow_old()
    thief.copies_the_cookie_of(ada)
    page = thief.sends("/account/confirm", mail="")
    token = re.search(r'name="proof" value="([^"]+)"', page.text)
    assert token
    stage.says("Eve takes the token from the page, and opens it as a link in a browser of her own.")
    eve = stage.person("Eve")
    eve.sends(f"/sign-in/link/{token[1]}")
    return eve.is_signed_in_as(ADA) and eve.adds_a_passkey()
