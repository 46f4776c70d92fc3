"""CBOR (RFC 8949), as strict as CTAP 2.2, 8 "Message Encoding" wants it from authenticators.

py_webauthn uses a general decoder, and encodes a value again to find its end. So we check two things first:

- There are no tags. With tags 28 and 29, a hundred bytes become a trillion lists.
- Each value has its only canonical encoding. Otherwise the library looks for its end in the wrong place.
"""

from app.ceremonies.attempts import CeremonyError, refusing

# Flags of authenticator data: WebAuthn L3 6.1.
ATTESTED_CREDENTIAL_DATA_INCLUDED = 0x40
EXTENSION_DATA_INCLUDED = 0x80

# Major types (RFC 8949 3.1).
BYTES, TEXT, ARRAY, MAP, TAG, SIMPLE = 2, 3, 4, 5, 6, 7

# CTAP 2.2, 8: "MUST NOT use more than 4 levels" of maps and arrays.
DEEPEST = 4

# A key that says {1: "OKP", 3: -8, -1: "Ed25519"}. Some authenticators get the number of members wrong, and py_webauthn
# repairs that. But nobody signed the repaired bytes.
REPAIRED_KEY = bytes.fromhex("a301634f4b500327206745643235353139")


def end_of(data: bytes, at: int = 0, *, canonical: bool = True, levels: int = DEEPEST) -> int:
    """Return the end of the item that begins at `at`.

    Raises ValueError if it is cut short, nested too deep, has a tag or an indefinite length, or text that is not UTF-8.
    With `canonical`, a number or length must take no more bytes than it needs, and the keys of a map must be in order.
    """
    if at >= len(data):
        raise ValueError("cut short")
    # The first byte: three bits of type, and five that are a number (up to 23) or the size of the number that follows.
    major_type, number = data[at] >> 5, data[at] & 31
    if major_type == TAG or number > 27:
        raise ValueError("a tag, or an indefinite length")
    size = 1 << (number - 24) if number >= 24 else 0
    at += 1 + size
    if size:
        number = int.from_bytes(data[at - size : at])
        # The number of a SIMPLE item is a float, which may have any size.
        if canonical and major_type != SIMPLE and number < (24 if size == 1 else 1 << (4 * size)):
            raise ValueError("a number in more bytes than it needs")
    if major_type in (BYTES, TEXT):
        at += number
    if at > len(data):
        raise ValueError("cut short")
    if major_type == TEXT:
        data[at - number : at].decode()
    if major_type == SIMPLE and size == 1 and number < 32:
        raise ValueError("a simple value in more bytes than it needs")
    if major_type in (ARRAY, MAP):
        if not levels:
            raise ValueError("nested too deep")
        key = b""
        for _ in range(number):
            if major_type == MAP:
                end = end_of(data, at, canonical=canonical, levels=levels - 1)
                # Keys are in the order of their bytes. So no key occurs twice.
                if canonical and data[at:end] <= key:
                    raise ValueError("keys that are not in order")
                key, at = data[at:end], end
            at = end_of(data, at, canonical=canonical, levels=levels - 1)
    return at


def check_authenticator_data(data: bytes) -> None:
    """Read authenticator data to its end (WebAuthn L3 6.1): 37 bytes, and then the maps that its flags announce.

    Raises CeremonyError `malformed_authenticator_data`, or `malformed_cbor` where one of the maps is not canonical.
    """
    if not isinstance(data, bytes) or len(data) < 37:
        raise CeremonyError("malformed_authenticator_data", "less than 37 bytes")
    flags, at, maps = data[32], 37, 0
    if flags & ATTESTED_CREDENTIAL_DATA_INCLUDED:
        # L3 6.5.1: AAGUID (16 bytes), length of the credential id (2 bytes), credential id, public key.
        at, maps = 55 + int.from_bytes(data[53:55]), 1
    if flags & EXTENSION_DATA_INCLUDED:
        maps += 1
    for _ in range(maps):
        if at >= len(data) or data[at] >> 5 != MAP:
            raise CeremonyError("malformed_authenticator_data", "a map that is announced and missing")
        if data.startswith(REPAIRED_KEY, at):
            raise CeremonyError("malformed_cbor", "a key that the library would change")
        with refusing("malformed_cbor"):
            at = end_of(data, at)
    if at != len(data):
        raise CeremonyError("malformed_authenticator_data", "more than the flags announce")
