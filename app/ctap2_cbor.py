"""The CBOR that an authenticator may send: CTAP 2.2, 8 "Message Encoding". A general decoder understands more."""

ATTESTED_CREDENTIAL_DATA_INCLUDED = 0x40


def check(data: bytes) -> None:
    """Raise ValueError where `data` has a tag or an item of indefinite length (that it is whole, its decoder checks).

    With tags 28 and 29, a hundred bytes stand for a trillion lists, and py_webauthn writes out what it has read.
    """
    at = 0
    # The head of every item, however deep: items follow each other, and only strings have content to skip.
    while at < len(data):
        major_type, info = data[at] >> 5, data[at] & 31
        if major_type == 6 or info > 27:
            raise ValueError("a tag, or no definite length")
        size = 1 << (info - 24) if info >= 24 else 0
        length = int.from_bytes(data[at + 1 : at + 1 + size]) if size else info
        at += 1 + size + (length if major_type in (2, 3) else 0)


def check_authenticator_data(data: bytes) -> None:
    """The same for the credential public key and the extensions in authenticator data (WebAuthn L3 6.1)."""
    start = 37
    if data[32] & ATTESTED_CREDENTIAL_DATA_INCLUDED:
        # Behind the AAGUID, the length of the credential id, and the id.
        start = 55 + int.from_bytes(data[53:55])
    check(data[start:])
