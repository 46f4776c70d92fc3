"""Eve registers Ada's passkey for her own account."""

from authenticator import ES256, cose_key
from learn.lab.attacks import Attack, Cut
from learn.lab.cuts import ANY_USER_HANDLE
from learn.lab.stage import ADA, EVE, Stage

ATTACK = Attack(
    title="One passkey, two accounts",
    layer="passkeys",
    story=(
        "A passkey’s id and public key are no secrets: both are in backups, logs and recordings of requests. "
        "Registering a passkey proves nothing about its private key. So Eve registers Ada’s id and public key for her "
        "own account. Where this replaces the old row, Ada’s next sign-in leads to Eve’s account. Eve reads what Ada "
        "enters there."
    ),
    defence=(
        "A passkey’s id belongs to one account: the column is unique, and a second registration is refused. And an "
        "answer for Ada’s account can’t open Eve’s."
    ),
    cuts=(
        Cut(
            "app/passkeys.py",
            "        is_new = insert_if_absent(Passkey, user_id=session.user_id, created_at=now(), **values)",
            "        execute(delete(Passkey).where(Passkey.credential_id == verified.credential_id))\n"
            "        is_new = insert_if_absent(Passkey, user_id=session.user_id, created_at=now(), **values)",
        ),
        ANY_USER_HANDLE,
    ),
    alone=(
        "If only the row were replaced, Ada’s passkey would stop working, but not open Eve’s account. Her device names "
        "Ada’s account, and the row says that the passkey is Eve’s: refused as wrong_user_handle. If only that "
        "comparison were missing, Eve could still not register the passkey."
    ),
    refused="duplicate_credential",
    wins="Ada’s own passkey signs her in to Eve’s account.",
    advice=(
        "Make the column of credential ids unique, for all accounts together, and refuse an id that is there already. "
        "Never update the row."
    ),
    test="test_registration.py::test_passkey_of_another_account_is_refused",
    sources=(
        (
            "Web Authentication Level 3, 7.1: Registering a New Credential (step 26)",
            "https://www.w3.org/TR/webauthn-3/#sctn-registering-a-new-credential",
        ),
    ),
)


def attack(stage: Stage) -> bool:
    """Return True if Ada is signed in as Eve."""
    ada = stage.person("Ada")
    ada.gets_a_passkey(ADA)
    stolen = ada.device.credentials[0]
    eve = stage.person("Eve")
    eve.signs_in_by_mail(EVE)
    public_key = cose_key(stolen.private_key.public_key(), ES256)
    eve.creates_a_passkey(credential_id=stolen.id, public_key=public_key)
    ada.signs_in_with_a_passkey()
    return ada.is_signed_in_as(EVE)
