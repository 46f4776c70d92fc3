"""Passkeys: created by one ceremony, used by the other, renamed and removed.

`begin_...` returns options whose challenge is a signed token, so nothing is stored before the response arrives.
`finish_...` spends that challenge and then checks the response. The caller commits even if the check fails, so that the
challenge stays spent. The checks are in ceremonies/verification.py.
"""

import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from flask import current_app
from sqlalchemy import Select, bindparam, delete, select, update
from sqlalchemy.orm import contains_eager

from app import proof
from app.ceremonies import options, verification
from app.ceremonies.attempts import Attempt, CeremonyError
from app.ceremonies.base64url import decode, encode
from app.database import db, execute, insert_if_absent
from app.models import Passkey, Session, User, milliseconds, now
from app.refusals import Refusal
from app.single_use import Token
from app.user_agents import authenticator

LONGEST_NAME = 60

# The most passkeys of an account: each makes the account's pages and options longer.
MOST_PASSKEYS = 50

CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f-\x9f]")

# Reasons that refuse a challenge of ours. The device has just made a passkey for it, and should forget that passkey.
STALE_CHALLENGE = ("expired", "already_used", "bound_to_another_session")

FOR_USER = select(Passkey).where(Passkey.user_id == bindparam("user")).order_by(Passkey.id)
_find = (
    select(Passkey)
    .join(Passkey.user)
    .options(contains_eager(Passkey.user))
    .where(Passkey.credential_id == bindparam("credential"))
    # Replace values that were loaded before waiting for a lock.
    .execution_options(populate_existing=True)
)
# On PostgreSQL, every transaction locks the user's row before the passkey's, so that no two deadlock.
FIND = _find.with_for_update(read=True, key_share=True, of=User)
# Signing in also waits for somebody who disables the account. Other ceremonies have locked the visitor's own account
# before. If they waited here, two visitors who answer with each other's passkeys would deadlock.
FIND_TO_SIGN_IN = _find.with_for_update(read=True, of=User)
MARK_USED = (
    update(Passkey)
    .where(Passkey.id == bindparam("passkey"))
    .values({name: bindparam(name) for name in ("sign_count", "backup_state", "last_used_at")})
)


def for_user(user_id: int) -> Sequence[Passkey]:
    """Return the user's passkeys, oldest first."""
    return db.session.scalars(FOR_USER, {"user": user_id}).all()


def begin_registration(session: Session, passkeys: Sequence[Passkey]) -> str:
    """Return creation options as JSON text, for one more passkey of this session's user, who has these passkeys.

    Return "" if the session needs fresh proof first, the user has MOST_PASSKEYS, or the site has passkeys turned off.
    Then the device makes no passkey that would be refused.
    """
    is_possible = current_app.config["PASSKEYS_ENABLED"] and len(passkeys) < MOST_PASSKEYS
    if not (is_possible and proof.could_add_passkey(session, now())):
        return ""
    return options.issue(
        options.REGISTRATION, options.creation_options(session.user, passkeys), session=str(session.id)
    )


def finish_registration(session: Session, response: str, name: str, default_name: str) -> tuple[Passkey, Attempt]:
    """Check the response to creation options (WebAuthn L3 7.1), and add the passkey to the account.

    Return the passkey, which has no id yet, and the attempt. The name is `name` if that is valid, else that of the
    authenticator, else `default_name`. If it raises CeremonyError, only the challenge may have been spent.
    """
    with Attempt(options.REGISTRATION, response) as attempt:
        try:
            token = verification.open_response(attempt, session=str(session.id))
        except Refusal as refusal:
            # Without a readable id there is nothing to forget. The challenge stays the reason.
            with suppress(Refusal, KeyError):
                if refusal.reason in STALE_CHALLENGE:
                    attempt.unknown_credential_id = _id_unless_stored(attempt)
            raise
        # The device has made the passkey by now. If we refuse it, the device should forget it.
        attempt.unknown_credential_id = _id_unless_stored(attempt)
        own = for_user(session.user_id)
        _keep_options(attempt, token, options.creation_options(session.user, own))
        attempt.facts.account, attempt.facts.passkeys = _account(session.user), len(own)
        attempt.facts.proof = _proof(session)
        if len(own) >= MOST_PASSKEYS:
            raise CeremonyError("enough_passkeys")
        # Proof was needed for the options. Since then, another session may have expired it.
        if not (attempt.began and proof.could_add_passkey(session, attempt.began)):
            raise CeremonyError("not_proven")
        verified = verification.verify_registration(attempt.credential, verification.expectations(attempt))
        valid_name = (authenticator(verified.aaguid)[0] or default_name)[:LONGEST_NAME]
        with suppress(Refusal):  # an invalid name is no reason to refuse the passkey, because the device has it by now
            valid_name = clean_name(name)
        values = {
            "credential_id": verified.credential_id,
            "public_key": verified.credential_public_key,
            "sign_count": verified.sign_count,
            "transports": verification.known_transports(attempt.credential),
            "backup_eligible": verification.is_backup_eligible(verified),
            "backup_state": verified.credential_backed_up,
            "aaguid": verified.aaguid,
            "name": valid_name,
        }
        passkey = Passkey(**values)
        attempt.facts.passkey = _record(passkey)
        # L3 7.1 step 26: a credential belongs to one account, once.
        is_new = insert_if_absent(Passkey, user_id=session.user_id, created_at=now(), **values)
        attempt.facts.is_duplicate = not is_new
        if not is_new:
            attempt.unknown_credential_id = b""
            raise CeremonyError("duplicate_credential")
        proof.expire_others(session)
    return passkey, attempt


def begin_authentication(browser_id: str) -> str:
    """Return request options as JSON text, for signing in with any passkey in the browser of this id.

    Return "" if the site has passkeys turned off.
    """
    if not current_app.config["PASSKEYS_ENABLED"]:
        return ""
    return options.issue(options.AUTHENTICATION, options.request_options(), browser=browser_id)


def finish_authentication(browser_id: str, response: str, email: str = "") -> tuple[Passkey, Attempt]:
    """Check the response to request options (L3 7.2), and return the passkey that it proves, with its user.

    Return the attempt, too. If `email` is given, it must be the user's. Raises as `finish_registration` does.
    """
    with Attempt(options.AUTHENTICATION, response) as attempt:
        attempt.facts.email = email
        token = verification.open_response(attempt, browser=browser_id)
        _keep_options(attempt, token, options.request_options())
        # L3 7.2 step 6: the user isn't known yet, so the response must have a user handle.
        handle = decode(attempt.credential["response"]["userHandle"])
        passkey = _find_passkey(attempt, handle, FIND_TO_SIGN_IN)
        _check_against_record(attempt, passkey, email)
    return passkey, attempt


def begin_confirmation(session: Session, passkeys: Sequence[Passkey]) -> str:
    """Return request options as JSON text, for fresh proof with one of these passkeys of the session's user.

    Return "" if there is none, or the site has passkeys turned off.
    """
    if not passkeys or not current_app.config["PASSKEYS_ENABLED"]:
        return ""
    return options.issue(options.CONFIRMATION, options.request_options(passkeys), session=str(session.id))


def finish_confirmation(session: Session, response: str) -> tuple[Passkey, Attempt]:
    """Check the response to the options of `begin_confirmation`, and return the passkey of this user that it proves.

    Return the attempt, too. Raises as `finish_registration` does.
    """
    with Attempt(options.CONFIRMATION, response) as attempt:
        token = verification.open_response(attempt, session=str(session.id))
        _keep_options(attempt, token, options.request_options(for_user(session.user_id)))
        attempt.facts.account = _account(session.user)
        # L3 7.2 step 6: the user is known, so the authenticator may leave the user handle out.
        handle = attempt.credential["response"].get("userHandle")
        passkey = _find_passkey(attempt, None if handle in (None, "") else decode(handle), owner=session.user_id)
        _check_against_record(attempt, passkey)
    return passkey, attempt


def rename(user_id: int, passkey_id: int, name: str) -> bool:
    """Give the user's passkey a name that `clean_name` has returned. Return False if there is no such passkey."""
    own = update(Passkey).where(Passkey.id == passkey_id, Passkey.user_id == user_id)
    return execute(own, name=name).rowcount == 1


def remove(session: Session, passkey_id: int) -> Passkey | None:
    """Remove a passkey of this session's user. Return it, or None if there is no such passkey.

    The caller has locked the account. From the next request on, the passkey signs nobody in. Raises Refusal
    `last_passkey` if the account requires a passkey and has no other.
    """
    own = {passkey.id: passkey for passkey in for_user(session.user_id)}
    if passkey_id not in own:
        return None
    if session.user.requires_passkey and len(own) == 1:
        raise Refusal("last_passkey")
    execute(delete(Passkey).where(Passkey.id == passkey_id))
    # The last proof of another session may have been given with this passkey.
    proof.expire_others(session)
    return own[passkey_id]


def clean_name(typed: str) -> str:
    """Return a typed name as one line without control characters.

    Raises Refusal `invalid_name` if the name is invisible, is longer than LONGEST_NAME, or contains a web address.
    """
    # Any other Unicode character is allowed. Pages isolate the name from their own text (<bdi>).
    name = " ".join(CONTROL_CHARACTERS.sub(" ", typed).split())
    if len(name) > LONGEST_NAME or not any(character.isprintable() for character in name):
        raise Refusal("invalid_name")
    # Notices to the owner contain the name, and mail programs would make a link of this.
    if "://" in name or "www." in name.lower():
        raise Refusal("invalid_name", "a web address")
    return name


def _id_unless_stored(attempt: Attempt) -> bytes:
    """Return the credential id of the response, or b"" if it belongs to a passkey that we know."""
    id = decode(attempt.credential["rawId"])
    return b"" if db.session.scalars(FIND, {"credential": id}).first() else id


def _find_passkey(
    attempt: Attempt, handle: bytes | None, statement: Select[Passkey] = FIND, owner: int | None = None
) -> Passkey:
    """Return the passkey that the response names: L3 7.2 steps 5 and 6. A user handle in the response must belong to
    the passkey's user. That user must be `owner`, if it is given."""
    id, facts = decode(attempt.credential["rawId"]), attempt.facts
    passkey = db.session.scalars(statement, {"credential": id}).first()
    if not passkey:
        # Only an authenticator with a passkey for this account knows the handle. So the passkey was removed here.
        attempt.user_id = execute(select(User.id).where(User.user_handle == handle)).scalar()
        attempt.unknown_credential_id = id if attempt.user_id else b""
        facts.lookup = "removed" if attempt.user_id else "unknown"
        raise CeremonyError("removed_passkey" if attempt.user_id else "unknown_passkey")
    if owner not in (None, passkey.user_id):
        # The activity of an account must show nothing about somebody else's passkey.
        facts.lookup = "other_account"
        raise CeremonyError("other_account")
    attempt.user_id, facts.lookup = passkey.user_id, "found"
    facts.passkey, facts.account = _record(passkey), _account(passkey.user)
    verification.check_user_handle(handle, passkey.user.user_handle)
    return passkey


def _check_against_record(attempt: Attempt, passkey: Passkey, email: str = "") -> None:
    """Check the response against the passkey's record (L3 7.2), and update the record."""
    verified = verification.verify_authentication(
        attempt.credential, verification.expectations(attempt), passkey.public_key, passkey.backup_eligible
    )
    # After the signature: somebody who can't sign must not learn whose passkey it is.
    if email and email != passkey.user.email:
        raise CeremonyError("other_account")
    if passkey.user.is_disabled:
        raise CeremonyError("account_disabled")
    # L3 7.2 step 22: zero is normal for synced passkeys. A counter that went back is a warning, not a refusal.
    counts = verified.new_sign_count > 0 or passkey.sign_count > 0
    attempt.counter_went_back = counts and verified.new_sign_count <= passkey.sign_count
    used = execute(
        MARK_USED,
        passkey=passkey.id,
        sign_count=verified.new_sign_count,
        backup_state=verified.credential_backed_up,
        last_used_at=now(),
    )
    if not used.rowcount:
        # It was removed meanwhile (PostgreSQL; on SQLite the spent challenge keeps other writers out).
        raise CeremonyError("removed_passkey")
    proof.end_recovery(passkey.user_id)


def _keep_options(attempt: Attempt, token: Token, made_again: dict[str, Any]) -> None:
    """Add the options to the facts. They were not stored, but their digest is in the challenge."""
    attempt.facts.options = options.with_challenge(made_again, attempt.challenge)
    attempt.facts.are_options_as_sent = options.digest(made_again) == token.claims["options"]


def _record(passkey: Passkey) -> dict[str, object]:
    """Return the parts of a credential record that a transcript keeps."""
    names = ("sign_count", "backup_eligible", "backup_state", "aaguid", "name")
    ids = {"id": encode(passkey.credential_id), "public_key": encode(passkey.public_key)}
    return {name: getattr(passkey, name) for name in names} | ids


def _account(user: User) -> dict[str, object]:
    """Return the parts of an account that a transcript keeps."""
    return {"user_handle": encode(user.user_handle), "email": user.email, "is_disabled": user.is_disabled}


def _proof(session: Session) -> dict[str, object]:
    """Return the parts of a session that a transcript keeps: they decide if it may add a passkey."""
    until = session.recovering_until
    return {
        "has_mark": session.has_proof_mark,
        "proved_at": milliseconds(session.proved_at),
        "recovering_until": milliseconds(until) if until else None,
    }
