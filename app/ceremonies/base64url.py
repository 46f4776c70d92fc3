"""base64url without padding (RFC 4648 5), as WebAuthn's JSON has it."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode

from app.ceremonies.attempts import refusing

ALPHABET = re.compile(r"[A-Za-z0-9_-]+")


def decode(text: str) -> bytes:
    """Return the bytes of a text. Accept one text for the same bytes: Python's decoder ignores foreign characters and
    unused bits. Raises CeremonyError `not_base64url`."""
    with refusing("not_base64url"):
        if not ALPHABET.fullmatch(text):
            raise ValueError("other characters, or none")
        data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        if encode(data) != text:
            raise ValueError("a second text for the same bytes")
    return data


def encode(data: bytes) -> str:
    """Return the text of these bytes."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()
