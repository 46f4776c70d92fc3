"""One canonical form for an email address, or none."""

from flask import current_app

from app.refusals import Refusal


def canonical(typed: str) -> str:
    """Return the one form in which the address is compared, stored and mailed: ASCII, lower case, IDNA domain.

    Raises Refusal `invalid_email`.
    """
    # Only needed by those who ask for a link.
    from email_validator import EmailNotValidError, validate_email

    typed = typed.strip()
    local_part = typed.rpartition("@")[0]
    # Before anything normalises it: a Kelvin sign would become a K, and somebody else's address.
    if not local_part.isascii() or len(typed) > 254:
        raise Refusal("invalid_email", "not ASCII" if len(typed) <= 254 else "too long")
    try:
        valid = validate_email(
            typed, check_deliverability=False, strict=True, test_environment=current_app.config["LOCAL"]
        )
    except EmailNotValidError as error:
        raise Refusal("invalid_email", type(error).__name__) from error
    return f"{valid.local_part}@{valid.ascii_domain}".lower()
