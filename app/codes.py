"""Codes that a person types. A mail's has eight letters and digits, derived from an id with the secret key."""

import hmac
import secrets
from datetime import datetime, timedelta
from hashlib import sha256

from flask import current_app

from app import limits, single_use
from app.models import now
from app.refusals import Refusal

# No vowels, so no words; no 0 1 2 5 8 B I L O S Z, so no doubts. 22 ** 8 is over 35 bits.
ALPHABET = "CDFGHJKMNPQRTVWXY34679"
LENGTH = 8

# A code that is mailed for a token works as long as the token.
LIFETIME = timedelta(minutes=10)


def code_for(purpose: single_use.Purpose, id: str) -> str:
    """Return the code, such as `CDFG-HJKM`, that belongs to the token or request of this id."""
    return _derive(current_app.config["SECRET_KEY"], purpose, id)


def _derive(key: str, purpose: single_use.Purpose, id: str) -> str:
    number = int.from_bytes(hmac.digest(key.encode(), f"latchkey.code.{purpose.name}.{id}".encode(), sha256))
    letters = ""
    for _ in range(LENGTH):
        number, place = divmod(number, len(ALPHABET))
        letters += ALPHABET[place]
    return in_groups(letters)


def at_random(length: int) -> str:
    """Return a code of so many letters and digits that nothing but chance decides: 4.46 bits each."""
    return in_groups("".join(secrets.choice(ALPHABET) for _ in range(length)))


def in_groups(letters: str) -> str:
    """Put a dash after every four letters, for the eye."""
    return "-".join(letters[at : at + 4] for at in range(0, len(letters), 4))


def letters_of(typed: str) -> str:
    """Return what counts of what was typed: letters and digits, in upper case."""
    return "".join(character for character in typed.upper() if character.isalnum())


def check(purpose: single_use.Purpose, id: str, typed: str, expires_at: datetime) -> None:
    """Take the code in any case, with or without its dash.

    Raises Refusal `wrong_code`, which spends nothing; from the sixth on TooMany `too_many_wrong_codes`, and with the
    tenth what it belongs to is dead.
    """
    # A mail in flight may have been sent before the key was changed.
    codes = [letters_of(_derive(key, purpose, id)).encode() for key in current_app.config["SECRET_KEYS"]]
    # Counted before it is looked at, so that many at once are no more than one after another.
    count = limits.code_typed(id)
    if not any(hmac.compare_digest(letters_of(typed).encode(), code) for code in codes):
        if count == limits.LAST_WRONG_CODE:
            single_use.spend(id, expires_at)
        if count > limits.WRONG_CODES:
            raise limits.TooMany("too_many_wrong_codes", (expires_at - now()).total_seconds())
        raise Refusal("wrong_code")


def issue(purpose: single_use.Purpose, **claims: str) -> tuple[str, str]:
    """Return a token for the page and the code for the mail; neither is worth anything without the other."""
    id = single_use.new_id()
    return single_use.issue(purpose, id, **claims), code_for(purpose, id)


def redeem(purpose: single_use.Purpose, token: str, typed: str, **bound_to: str) -> single_use.Token:
    """Spend the token with its code, and return what it says. Raises Refusal as `single_use.read` and `spend` do, and
    `wrong_code`."""
    read = single_use.read(purpose, token, **bound_to)
    check(purpose, read.id, typed, read.expires_at)
    single_use.spend(read.id, read.expires_at)
    return read
