"""Passkeys: made by one ceremony, used by the other, and removed.

`begin_...` makes options whose challenge is a signed token, so nothing is stored before the response; `finish_...`
spends that token and then checks the response, whatever comes of it. The checks are in ceremonies.py.
"""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import contains_eager

from app import ceremonies, log
from app.ceremonies import CeremonyError
from app.extensions import db, insert_if_absent
from app.models import Passkey, User, now
from app.user_agents import authenticator


def begin_registration(user: User) -> str:
    """Return creation options as JSON text for one more passkey of this user's."""
    exclude = [(passkey.credential_id, passkey.transports) for passkey in user.passkeys]
    return ceremonies.creation_options(user.user_handle, user.email, exclude)


def finish_registration(user: User, response: str, default_name: str) -> Passkey:
    """Check the response to creation options (L3 7.1) and add the passkey to the user's account.

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
    return db.session.scalars(select(Passkey).where(Passkey.credential_id == verified.credential_id)).one()


def begin_authentication(browser: str) -> str:
    """Return request options as JSON text, for whoever sits at this browser."""
    return ceremonies.request_options(browser)


def finish_authentication(browser: str, response: str) -> Passkey:
    """Check the response to request options (L3 7.2) and return the passkey that it proves.

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
    passkey.sign_count = verified.new_sign_count
    passkey.backup_state = verified.credential_backed_up
    passkey.last_used_at = now()
    return passkey


def remove(passkey: Passkey) -> None:
    """Remove the passkey: from the next request on it signs nobody in."""
    db.session.delete(passkey)


def _find(credential: dict[str, Any]) -> Passkey:
    """Return the passkey that the response names, with its user: L3 7.2 steps 5 and 6."""
    passkey = db.session.scalar(
        select(Passkey)
        .join(Passkey.user)
        .options(contains_eager(Passkey.user))
        .where(Passkey.credential_id == ceremonies.decode(credential["rawId"]))
    )
    if not passkey:
        raise CeremonyError("unknown_passkey")
    # A discoverable credential always tells its user: what the authenticator thinks and what we know must agree.
    if ceremonies.decode(credential["response"]["userHandle"]) != passkey.user.user_handle:
        raise CeremonyError("wrong_user_handle")
    return passkey
