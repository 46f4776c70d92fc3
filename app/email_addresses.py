"""One canonical form for an email address, or none."""

import unicodedata

import idna
from flask import current_app

from app.refusals import Refusal


def canonical(typed: str) -> str:
    """Return the one form in which the address is compared, stored and mailed: ASCII, lower case, IDNA domain.

    The local part must be ASCII. The domain may have capital letters; but for those, it must be as IDNA writes it.
    Raises Refusal `invalid_email`.
    """
    # Only needed by those who ask for a link.
    from email_validator import EmailNotValidError, validate_email

    typed = typed.strip()
    local_part, _, domain = typed.rpartition("@")
    if len(typed) > 254:
        raise Refusal("invalid_email", "too long")
    # Before anything normalises it: a Kelvin sign would become a K, and somebody else's address.
    if not local_part.isascii():
        raise Refusal("invalid_email", "not ASCII")
    # RFC 2047: mail programs show such an encoded word as something else.
    if "=?" in local_part:
        raise Refusal("invalid_email", "an encoded word")
    try:
        valid = validate_email(
            typed, check_deliverability=False, strict=True, test_environment=current_app.config["LOCAL"]
        )
    except EmailNotValidError as error:
        raise Refusal("invalid_email", type(error).__name__) from error
    if not _is_as_written(domain):
        raise Refusal("invalid_email", "a domain that IDNA changes by more than case")
    return f"{valid.local_part}@{valid.ascii_domain}".lower()


def _is_as_written(domain: str) -> bool:
    """Whether UTS 46, which IDNA applies to a domain, changes nothing in this one but the case of letters.

    It makes ASCII of a Kelvin sign, fullwidth letters or an ideographic full stop. Somebody could ask for mail to a
    domain that looks like another one, and is that one.
    """
    lower = unicodedata.normalize("NFC", "".join(character.lower() for character in domain))
    # Python's `lower` makes a k of a Kelvin sign, too.
    has_stand_ins = any(unicodedata.normalize("NFKC", character) != character for character in domain)
    return not has_stand_ins and idna.uts46_remap(domain, std3_rules=False) == lower
