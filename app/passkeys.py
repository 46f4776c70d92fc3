"""Passkeys: made by one ceremony, used by the other, renamed and removed.

`begin_...` makes options whose challenge is a signed token, so nothing is stored before the response; `finish_...`
spends that token and then checks the response, whatever comes of it. The checks are in ceremonies.py.
"""

import json
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from flask import current_app
from sqlalchemy import Row, Select, bindparam, delete, select, update

from app import sessions, single_use
from app.ceremonies import verification
from app.ceremonies.attempts import Attempt, CeremonyError, attempt
from app.database import insert_if_absent, run
from app.models import Passkey, User, now
from app.refusals import Refusal
from app.sessions import USER, SignedIn
from app.user_agents import authenticator

LONGEST_NAME = 60

# Of one account: each makes its pages and its options longer.
MOST = 50
CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")

# Statements of the way in are made once, of tables instead of classes: that is half their cost.
_passkeys: Any = Passkey.__table__
_users: Any = User.__table__
OF_USER = select(_passkeys).where(_passkeys.c.user_id == bindparam("user")).order_by(_passkeys.c.id)
_found = (
    select(_passkeys, *USER[1:])
    .join_from(_passkeys, _users)
    .where(_passkeys.c.credential_id == bindparam("credential"))
)
# On PostgreSQL, every transaction locks the user's row before the passkey's, so that no two wait for each other.
FIND = _found.with_for_update(read=True, key_share=True, of=_users)
# Signing in also waits while somebody disables the account, and makes them wait. Only signing in: elsewhere the
# visitor's own account is locked already, and two visitors with each other's passkeys would wait for each other.
FIND_TO_SIGN_IN = _found.with_for_update(read=True, of=_users)
USED = (
    update(_passkeys)
    .where(_passkeys.c.id == bindparam("passkey"))
    .values({name: bindparam(name) for name in ("sign_count", "backup_state", "last_used_at")})
)


def of(user: SignedIn) -> Sequence[Row[Any]]:
    """Return the user's passkeys, oldest first."""
    return run(OF_USER, user=user.id).all()


def begin_registration(user: SignedIn, passkeys: Sequence[Row[Any]]) -> str:
    """Return creation options as JSON text for one more passkey of this user's, who has these; "" where it takes fresh
    proof first, so that none is made on the device and then refused, where MOST are there, or the site has passkeys
    turned off."""
    may_add = current_app.config["PASSKEYS_ENABLED"] and len(passkeys) < MOST
    if not (may_add and user.could_add_passkey(now())):
        return ""
    challenge = single_use.issue(verification.REGISTRATION, session=str(user.session_id))
    return _creation_options(challenge, user, passkeys)


def finish_registration(user: SignedIn, response: str, name: str, default_name: str) -> tuple[str, Attempt]:
    """Check the response to creation options (L3 7.1) and add the passkey to the user's account. Returns its name.

    It is called `name`, if there is one, else what its AAGUID says, else `default_name`. The challenge is spent
    whatever the outcome; the caller commits either way. Raises CeremonyError, having changed nothing else.
    """
    with attempt() as this:
        try:
            credential, expected = verification.open_response(
                this, response, verification.REGISTRATION, session=str(user.session_id)
            )
        except Refusal as refusal:
            if refusal.reason in ("expired", "already_used", "bound_to_another_session"):  # of our own, all the same
                this.orphan = _unless_stored(json.loads(response))
            raise
        # The device has made it, and would keep it: should it be refused, it is nobody's.
        this.orphan, own = _unless_stored(credential), of(user)
        this.options = _creation_options(this.challenge, user, own)
        if len(own) >= MOST:
            raise CeremonyError("enough_passkeys")
        # What was true when the options were made may have ended since.
        if not (this.began and user.could_add_passkey(this.began)):
            raise CeremonyError("not_proven")
        verified = verification.verify_registration(credential, expected)
        called = (authenticator(verified.aaguid)[0] or default_name)[:LONGEST_NAME]
        with suppress(Refusal):  # the device has made it by now: a name that is none is no reason to refuse it
            called = clean_name(name)
        values = {
            "credential_id": verified.credential_id,
            "public_key": verified.credential_public_key,
            "sign_count": verified.sign_count,
            "transports": verification.transports(credential),
            "backup_eligible": verification.is_backup_eligible(verified),
            "backup_state": verified.credential_backed_up,
            "aaguid": verified.aaguid,
            "name": called,
        }
        this.found = _record(values)
        # L3 7.1 step 26: a credential belongs to one account, once.
        if not insert_if_absent(Passkey, user_id=user.id, created_at=now(), **values):
            this.orphan = b""
            raise CeremonyError("duplicate_credential")
        sessions.doubt_others(user)
    return called, this


def begin_authentication(browser: str) -> str:
    """Return request options as JSON text, for whoever sits at this browser; "" where passkeys are turned off."""
    if not current_app.config["PASSKEYS_ENABLED"]:
        return ""
    return verification.request_options(single_use.issue(verification.AUTHENTICATION, browser=browser))


def finish_authentication(browser: str, response: str, email: str = "") -> tuple[Row[Any], Attempt]:
    """Check the response to request options (L3 7.2) and return the passkey that it proves, with its user's columns.

    Where `email` is given, it must be the user's. The challenge is spent whatever the outcome; the caller commits
    either way. Raises CeremonyError, having changed nothing else.
    """
    with attempt() as this:
        credential, expected = verification.open_response(this, response, verification.AUTHENTICATION, browser=browser)
        this.options = verification.request_options(this.challenge)
        # L3 7.2 step 6: nobody is known yet, so the response must tell whose the passkey is.
        handle = verification.decode(credential["response"]["userHandle"])
        passkey = _owned(this, credential, handle, FIND_TO_SIGN_IN)
        _use(this, passkey, credential, expected, email)
    return passkey, this


def begin_confirmation(user: SignedIn, passkeys: Sequence[Row[Any]]) -> str:
    """Return request options as JSON text, for this session's user to prove themselves again with one of these; ""
    where there is none, or passkeys are turned off."""
    if not passkeys or not current_app.config["PASSKEYS_ENABLED"]:
        return ""
    challenge = single_use.issue(verification.CONFIRMATION, session=str(user.session_id))
    return verification.request_options(challenge, _descriptors(passkeys))


def finish_confirmation(user: SignedIn, response: str) -> Attempt:
    """Check the response to the options of `begin_confirmation`: it takes a passkey of this very user's.

    The challenge is spent whatever the outcome; the caller commits either way. Raises CeremonyError, having changed
    nothing else.
    """
    with attempt() as this:
        credential, expected = verification.open_response(
            this, response, verification.CONFIRMATION, session=str(user.session_id)
        )
        this.options = verification.request_options(this.challenge, _descriptors(of(user)))
        # L3 7.2 step 6: the user is known, and some security keys leave the user handle out then.
        handle = credential["response"].get("userHandle")
        passkey = _owned(this, credential, None if handle in (None, "") else verification.decode(handle))
        if passkey.user_id != user.id:
            # Nothing of it may be read in this user's activity.
            this.found = {}
            raise CeremonyError("other_account")
        _use(this, passkey, credential, expected)
    return this


def rename(user: SignedIn, passkey_id: int, name: str) -> bool:
    """Give the user's passkey of this number another name, one that `clean_name` returned; return whether there was
    such a passkey."""
    own = update(_passkeys).where(_passkeys.c.id == passkey_id, _passkeys.c.user_id == user.id)
    return bool(run(own, name=name).rowcount)


def remove(user: SignedIn, passkey_id: int) -> Row[Any] | None:
    """Remove the user's passkey of this number: from the next request on it signs nobody in. Returns it, if there was
    one. The caller holds the account. Raises Refusal `last_passkey` where it requires one, and has no other."""
    if user.requires_passkey and [passkey.id for passkey in of(user)] == [passkey_id]:
        raise Refusal("last_passkey")
    own = delete(_passkeys).where(_passkeys.c.id == passkey_id, _passkeys.c.user_id == user.id)
    removed = run(own.returning(*_passkeys.c)).first()
    if removed:
        # Another session's proof may have been given with this one.
        sessions.doubt_others(user)
    return removed


def clean_name(typed: str) -> str:
    """Return a name as it is stored: one line, without control characters. Raises Refusal `invalid_name` where that
    leaves nothing to see, more than LONGEST_NAME characters, or a web address."""
    # Whatever else Unicode has may stand in a name: pages keep it apart from their own text (<bdi>).
    name = " ".join(CONTROLS.sub(" ", typed).split())
    if len(name) > LONGEST_NAME or not any(character.isprintable() for character in name):
        raise Refusal("invalid_name")
    # Notices to the owner have the name in them, and mail programs would make a link of this.
    if "://" in name or "www." in name.lower():
        raise Refusal("invalid_name", "a web address")
    return name


def _creation_options(challenge: str, user: SignedIn, passkeys: Sequence[Row[Any]]) -> str:
    return verification.creation_options(challenge, user.user_handle, user.email, _descriptors(passkeys))


def _descriptors(passkeys: Sequence[Row[Any]]) -> list[tuple[bytes, str]]:
    return [(passkey.credential_id, passkey.transports) for passkey in passkeys]


def _unless_stored(credential: dict[str, Any]) -> bytes:
    id = verification.decode(credential["rawId"])
    return b"" if _find(id) else id


def _find(credential_id: bytes, statement: Select[Any] = FIND) -> Row[Any] | None:
    return run(statement, credential=credential_id).first()


def _owned(this: Attempt, credential: dict[str, Any], handle: bytes | None, statement: Select[Any] = FIND) -> Row[Any]:
    """Return the passkey that the response names, with its user's columns. Where the response has a user handle, it
    must be that user's: L3 7.2 steps 5 and 6."""
    id = verification.decode(credential["rawId"])
    passkey = _find(id, statement)
    if not passkey:
        # Only the authenticator that made it for this account knows the handle: it has been removed here since.
        this.user_id = run(select(_users.c.id).where(_users.c.user_handle == handle)).scalar()
        this.orphan = id if this.user_id else b""
        raise CeremonyError("removed_passkey" if this.user_id else "unknown_passkey")
    # What the authenticator thinks and what we know must agree.
    if handle is not None and handle != passkey.user_handle:
        raise CeremonyError("wrong_user_handle")
    this.user_id, this.found = passkey.user_id, _record(passkey._mapping)
    return passkey


def _use(
    this: Attempt, passkey: Row[Any], credential: dict[str, Any], expected: dict[str, Any], email: str = ""
) -> None:
    """Check the response against the passkey's record (L3 7.2), and bring the record up to date."""
    verified = verification.verify_authentication(credential, expected, passkey.public_key, passkey.backup_eligible)
    # Only now: whoever can't sign is not to learn whose it is.
    if email and email != passkey.email:
        raise CeremonyError("other_account")
    if passkey.is_disabled:
        raise CeremonyError("account_disabled")
    # L3 7.2 step 22: zero is normal for synced passkeys, and a step back is a signal, not a verdict.
    this.counter_went_back = verified.new_sign_count <= passkey.sign_count and bool(
        verified.new_sign_count or passkey.sign_count
    )
    used = run(
        USED,
        passkey=passkey.id,
        sign_count=verified.new_sign_count,
        backup_state=verified.credential_backed_up,
        last_used_at=now(),
    )
    if not used.rowcount:
        # Removed while this was under way (PostgreSQL; on SQLite the spent challenge keeps other writers out).
        raise CeremonyError("removed_passkey")
    sessions.stop_recovering(passkey.user_id)


def _record(values: Any) -> dict[str, Any]:
    """The parts of a credential record that a transcript keeps."""
    kept = {name: values[name] for name in ("sign_count", "backup_eligible", "backup_state", "aaguid", "name")}
    return kept | {"public_key": values["public_key"].hex()}
