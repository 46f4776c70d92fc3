"""The answer of Eve's passkey claims to be for Ada's account."""

from learn.lab.attacks import Attack, Cut
from learn.lab.cuts import ANY_USER_HANDLE
from learn.lab.stage import ADA, EVE, Stage

ATTACK = Attack(
    title="Eve’s passkey says that she is Ada",
    layer="passkeys",
    story=(
        "An answer names two things that its signature doesn’t cover: the passkey, and the account that it is for (the "
        "user handle). Eve signs in with her own passkey, and puts Ada’s user handle into the answer. She has it from "
        "a log, because it is no secret. Some sites find the key by the passkey, and the account by the user handle. "
        "They check Eve’s signature with Eve’s key, and sign her in as Ada."
    ),
    defence=("The stored key decides the account. And the user handle in the answer must be that of the key’s owner."),
    cuts=(
        ANY_USER_HANDLE,
        Cut(
            "app/passkeys.py",
            "        _check_against_record(attempt, passkey, email)",
            "        _check_against_record(attempt, passkey, email)\n"
            "        db.session.expunge(passkey)\n"
            "        passkey.user = db.session.scalars(select(User).where(User.user_handle == handle)).one()",
        ),
    ),
    alone=(
        "Without the comparison, the account is still that of the key, so Eve is signed in as Eve. If the user handle "
        "decided, the comparison would still refuse an answer that names Ada."
    ),
    refused="wrong_user_handle",
    wins="Eve is signed in as Ada, with her own passkey.",
    advice=(
        "Find the passkey by its id, and the account by the passkey’s row. Use the user handle only to compare it with "
        "that account’s."
    ),
    test="test_authentication.py::test_user_handle_of_another_user_is_refused",
    sources=(
        (
            "Web Authentication Level 3, 7.2: Verifying an Authentication Assertion (step 6)",
            "https://www.w3.org/TR/webauthn-3/#sctn-verifying-assertion",
        ),
    ),
)


def attack(stage: Stage) -> bool:
    """Return True if Eve is signed in as Ada."""
    ada = stage.person("Ada")
    ada.gets_a_passkey(ADA)
    eve = stage.person("Eve")
    eve.gets_a_passkey(EVE)
    adas_handle = ada.device.credentials[0].user_handle
    answer = eve.signs(eve.request_options(), user_handle=adas_handle)
    eve.answers(answer)
    return eve.is_signed_in_as(ADA)
