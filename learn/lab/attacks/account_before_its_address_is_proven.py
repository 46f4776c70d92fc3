"""Pre-hijacking: Eve opens an account with Ada's address before Ada does."""

from learn.lab.attacks import Attack, Cut
from learn.lab.stage import ADA, Stage

ATTACK = Attack(
    title="An account made before its address is proven",
    layer="mail",
    story=(
        "Ada has no account here yet, and Eve knows her address. Eve signs up with it, is let in at once “until you "
        "confirm the mail”, and adds her own passkey. Weeks later Ada comes, confirms her address, and uses the "
        "account. Eve’s passkey still opens it, so Eve reads what Ada keeps there. This is called pre-hijacking."
    ),
    defence=(
        "Asking for a mail creates nothing. The site creates the account when somebody uses the mail’s link or code, "
        "because that proves the address."
    ),
    cuts=(
        Cut(
            "app/views/sign_in/mail.py",
            "    remember_pending(pending)\n",
            """\
    user, is_new = sign_in_links.accounts.find_or_create(email)
    if is_new:
        unproven = sign_in_links.ProvenEmail(user, pending, is_new, link=None)
        return one_transaction(sign_in_by_mail)(unproven, Method.LINK)
    remember_pending(pending)
""",
        ),
    ),
    refused="not_signed_in",
    wins="Ada uses an account that Eve’s passkey opens, too.",
    advice=(
        "Create the account when its address is proven. If you must let people in earlier, delete what unproven "
        "sessions have made as soon as the address is proven: passkeys, sessions, linked logins, pending changes."
    ),
    test="test_sign_in_links.py::test_account_is_created_only_when_its_address_is_proven",
    sources=(
        (
            "Sudhodanan, Paverd: Pre-hijacked accounts (USENIX Security 2022): 35 of 75 services were vulnerable",
            "https://arxiv.org/abs/2205.10174",
        ),
        (
            "Microsoft: Pre-hijacking Attacks on Web User Accounts",
            "https://msrc.microsoft.com/blog/2022/05/pre-hijacking-attacks/",
        ),
    ),
)


def attack(stage: Stage) -> bool:
    """Return True if Eve's passkey opens the account that Ada uses."""
    eve, ada = stage.person("Eve"), stage.person("Ada")
    eve.sends("/sign-in", email=ADA)
    if not eve.adds_a_passkey():
        return False
    eve.signs_out()
    ada.signs_in_by_mail(ADA)
    eve.signs_in_with_a_passkey()
    return ada.is_signed_in_as(ADA) and eve.is_signed_in_as(ADA)
