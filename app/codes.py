"""Codes that a person types. A mailed code has eight letters and digits, derived from an id with the secret key."""

import hmac
import secrets
from datetime import timedelta
from hashlib import sha256
from typing import NamedTuple

from flask import current_app

from app import limits, single_use
from app.models import now
from app.refusals import Refusal
from app.single_use import Purpose, Token

# No vowels, so no words. No 0 1 2 5 8 B I L O S Z, because they look alike. 22 ** 8 is over 35 bits.
ALPHABET = "CDFGHJKMNPQRTVWXY34679"
LENGTH = 8

# The lifetime of a token with a mailed code, and so of the code.
CODE_LIFETIME = timedelta(minutes=10)


class Issued(NamedTuple):
    """A token for the page, and the code for the mail. Each is worth nothing without the other."""

    token: str
    code: str


def issue(purpose: Purpose, **claims: str) -> Issued:
    """Return a new token with these claims, and the code that belongs to it."""
    id = single_use.new_id()
    return Issued(single_use.issue(purpose, id, **claims), code_for(purpose, id))


def redeem(purpose: Purpose, token: str, typed: str, **bound_to: str) -> Token:
    """Spend the token with its code, and return the token's contents.

    Raises Refusal as `single_use.read`, `check` and `single_use.spend` do.
    """
    opened = single_use.read(purpose, token, **bound_to)
    check(purpose, opened, typed)
    single_use.spend(opened)
    return opened


def code_for(purpose: Purpose, id: str) -> str:
    """Return the code, such as `CDFG-HJKM`, that belongs to the token of this id."""
    return _derive(current_app.config["SECRET_KEY"], purpose, id)


def check(purpose: Purpose, token: Token, typed: str) -> None:
    """Compare a typed code with the code of this token. Upper or lower case, and dashes, make no difference.

    Raises Refusal `wrong_code`, which spends nothing. From the sixth wrong code on it raises TooMany
    `too_many_wrong_codes`, and the tenth spends the token.
    """
    # Accept codes of earlier keys too: the mail may have been sent before the key was changed.
    codes = [letters_of(_derive(key, purpose, token.id)).encode() for key in current_app.config["SECRET_KEYS"]]
    # Count before comparing, so that many guesses at once are no better than one after another.
    count = limits.count_code(token.id)
    if not any(hmac.compare_digest(letters_of(typed).encode(), code) for code in codes):
        if count == limits.LAST_WRONG_CODE:
            single_use.spend(token)
        if count > limits.WRONG_CODES:
            raise limits.TooMany("too_many_wrong_codes", (token.expires_at - now()).total_seconds())
        raise Refusal("wrong_code")


def random_code(length: int) -> str:
    """Return a random code of `length` letters and digits. Each adds 4.46 bits."""
    return _in_groups("".join(secrets.choice(ALPHABET) for _ in range(length)))


def letters_of(typed: str) -> str:
    """Return the letters and digits of a typed code, in upper case. Nothing else in it counts."""
    return "".join(character for character in typed.upper() if character.isalnum())


def _derive(key: str, purpose: Purpose, id: str) -> str:
    number = int.from_bytes(hmac.digest(key.encode(), f"latchkey.code.{purpose.name}.{id}".encode(), sha256))
    letters = ""
    for _ in range(LENGTH):
        number, place = divmod(number, len(ALPHABET))
        letters += ALPHABET[place]
    return _in_groups(letters)


def _in_groups(letters: str) -> str:
    """Put dashes between groups of four letters, which are easier to read."""
    return "-".join(letters[at : at + 4] for at in range(0, len(letters), 4))
