"""The canonical form of an email address."""

import unicodedata

import idna
from flask import current_app

from app.refusals import Refusal


def canonical(typed: str) -> str:
    """Return the form in which an address is compared, stored and mailed: ASCII, lower case, IDNA domain.

    The local part must be ASCII. The mapping of IDNA may only change the case of the domain. Raises Refusal
    `invalid_email`.
    """
    # Imported late, because few requests need it.
    from email_validator import EmailNotValidError, validate_email

    typed = typed.strip()
    local_part, _, domain = typed.rpartition("@")
    if len(typed) > 254:
        raise Refusal("invalid_email", "too long")
    # Check this before the library normalises it: a Kelvin sign would become a K, and so another person's address.
    if not local_part.isascii():
        raise Refusal("invalid_email", "not ASCII")
    # An encoded word (RFC 2047): mail programs show it as other text.
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
    """Return True if IDNA's mapping (UTS 46) changes only the case of letters in this domain.

    UTS 46 turns a Kelvin sign, fullwidth letters and an ideographic full stop into ASCII. Then the mail would go to
    another domain than the one that was typed.
    """
    # Letter by letter: `domain.lower()` would turn a sigma at the end of a word into another letter than UTS 46 does.
    lower = unicodedata.normalize("NFC", "".join(character.lower() for character in domain))
    # Python's `lower` turns a Kelvin sign into a k, too.
    has_no_variants = all(unicodedata.is_normalized("NFKC", character) for character in domain)
    return has_no_variants and idna.uts46_remap(domain, std3_rules=False) == lower
