"""Eve removes Ada's passkey by its number."""

from learn.lab.attacks import Attack, Cut
from learn.lab.stage import ADA, EVE, Stage

ATTACK = Attack(
    title="Somebody removes your passkey",
    layer="passkeys",
    story=(
        "Eve can’t phish Ada’s passkey, so she wants it gone: then Ada has to sign in by something weaker. In Eve’s "
        "own account, the button that removes a passkey sends its number. Eve sends the number of Ada’s passkey "
        "instead. Many sites ask “are you signed in?” but not “is it yours?”, and remove it. This mistake has been "
        "first on OWASP’s list for APIs since 2019."
    ),
    defence="A passkey is looked up among the visitor’s own. Somebody else’s is not found there.",
    cuts=(
        Cut(
            "app/passkeys.py",
            "    own = {passkey.id: passkey for passkey in for_user(session.user_id)}",
            "    own = {passkey.id: passkey for passkey in db.session.scalars(select(Passkey))}",
        ),
    ),
    refused="not_found",
    wins="Ada’s passkey is removed.",
    advice=(
        "Begin each query with the visitor: “this passkey among mine”, not “this passkey”. Answer 404 for what isn’t "
        "theirs, so that the answer doesn’t say that it exists."
    ),
    test="test_passkeys.py::test_another_accounts_passkey_is_not_found",
    sources=(
        (
            "OWASP API Security Top 10, API1: Broken Object Level Authorization",
            "https://owasp.org/API-Security/editions/2023/en/0xa1-broken-object-level-authorization/",
        ),
    ),
)


def attack(stage: Stage) -> bool:
    """Return True if Ada's passkey is removed."""
    ada = stage.person("Ada")
    ada.gets_a_passkey(ADA)
    [(number,)] = stage.sql("select id from passkeys")
    eve = stage.person("Eve")
    eve.signs_in_by_mail(EVE)
    eve.sends(f"/account/passkeys/{number}/remove")
    return not stage.sql("select id from passkeys")
