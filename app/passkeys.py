"""Passkeys: made by one ceremony, used by the other, and removed.

`begin_...` makes options whose challenge is a signed token, so nothing is stored before the response; `finish_...`
spends that token and then checks the response, whatever comes of it. The checks are in ceremonies.py.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, bindparam, delete, select, update

from app import ceremonies, log
from app.ceremonies import CeremonyError
from app.extensions import insert_if_absent, run
from app.models import Passkey, User, now
from app.sessions import USER, SignedIn
from app.user_agents import authenticator

# Statements of the way in are made once, of tables instead of classes: that is half their cost.
_passkeys: Any = Passkey.__table__
_users: Any = User.__table__
OF_USER = select(_passkeys).where(_passkeys.c.user_id == bindparam("user")).order_by(_passkeys.c.id)
FIND = (
    select(_passkeys, *USER[1:])
    .join_from(_passkeys, _users)
    .where(_passkeys.c.credential_id == bindparam("credential"))
)
USED = (
    update(_passkeys)
    .where(_passkeys.c.id == bindparam("passkey"))
    .values({name: bindparam(name) for name in ("sign_count", "backup_state", "last_used_at")})
)


def of(user: SignedIn) -> Sequence[Row[Any]]:
    """Return the user's passkeys, oldest first."""
    return run(OF_USER, user=user.id).all()


def begin_registration(user: SignedIn, passkeys: Sequence[Row[Any]]) -> str:
    """Return creation options as JSON text for one more passkey of this user's, who has these."""
    exclude = [(passkey.credential_id, passkey.transports) for passkey in passkeys]
    return ceremonies.creation_options(user.user_handle, user.email, exclude)


def finish_registration(user: SignedIn, response: str, default_name: str) -> int:
    """Check the response to creation options (L3 7.1) and add the passkey to the user's account. Returns its number.

    `default_name` is for an authenticator that its AAGUID doesn't name. The challenge is spent whatever the outcome;
    the caller commits either way. Raises CeremonyError, having changed nothing else.
    """
    with ceremonies.one_error():
        credential, expected = ceremonies.open_response(response, ceremonies.REGISTRATION, user=user.user_handle.hex())
        verified = ceremonies.verify_registration(credential, expected)
        transports = ceremonies.transports(credential)
    added = insert_if_absent(
        Passkey,
        user_id=user.id,
        credential_id=verified.credential_id,
        public_key=verified.credential_public_key,
        sign_count=verified.sign_count,
        transports=transports,
        backup_eligible=ceremonies.is_backup_eligible(verified),
        backup_state=verified.credential_backed_up,
        aaguid=verified.aaguid,
        name=(authenticator(verified.aaguid)[0] or default_name)[:60],
        created_at=now(),
    )
    # L3 7.1 step 26: a credential belongs to one account, once.
    if not added:
        raise CeremonyError("duplicate_credential")
    return run(select(_passkeys.c.id).where(_passkeys.c.credential_id == verified.credential_id)).scalar_one()


def begin_authentication(browser: str) -> str:
    """Return request options as JSON text, for whoever sits at this browser."""
    return ceremonies.request_options(browser)


def finish_authentication(browser: str, response: str) -> Row[Any]:
    """Check the response to request options (L3 7.2) and return the passkey that it proves, with its user's columns.

    The challenge is spent whatever the outcome; the caller commits either way. Raises CeremonyError, having changed
    nothing else.
    """
    with ceremonies.one_error():
        credential, expected = ceremonies.open_response(response, ceremonies.AUTHENTICATION, browser=browser)
        passkey = _find(credential)
        verified = ceremonies.verify_authentication(credential, expected, passkey.public_key, passkey.backup_eligible)
    # L3 7.2 step 22: zero is normal for synced passkeys, and a step back is a signal, not a verdict.
    if verified.new_sign_count <= passkey.sign_count and (verified.new_sign_count or passkey.sign_count):
        log.event("sign_count_went_back", passkey=passkey.id)
    run(
        USED,
        passkey=passkey.id,
        sign_count=verified.new_sign_count,
        backup_state=verified.credential_backed_up,
        last_used_at=now(),
    )
    return passkey


def remove(user: SignedIn, passkey_id: int) -> bool:
    """Remove the user's passkey of this number: from the next request on it signs nobody in. Returns whether there was
    one."""
    return bool(run(delete(_passkeys).where(_passkeys.c.id == passkey_id, _passkeys.c.user_id == user.id)).rowcount)


def _find(credential: dict[str, Any]) -> Row[Any]:
    """Return the passkey that the response names, with its user's handle: L3 7.2 steps 5 and 6."""
    passkey = run(FIND, credential=ceremonies.decode(credential["rawId"])).first()
    if not passkey:
        raise CeremonyError("unknown_passkey")
    # A discoverable credential always tells its user: what the authenticator thinks and what we know must agree.
    if ceremonies.decode(credential["response"]["userHandle"]) != passkey.user_handle:
        raise CeremonyError("wrong_user_handle")
    return passkey
