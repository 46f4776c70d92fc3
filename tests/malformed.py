"""Malformed input for both ceremonies: each table has values that must be refused in one place of a response."""

import cbor2
import pytest

# In the place of the whole response, which is JSON text.
NOT_JSON = ["", " ", "{", "\0", "9" * 5000, "[" * 40_000, '{"a":' * 8_000]

# JSON, but no credential.
NOT_A_CREDENTIAL = [
    "null",
    "true",
    "5",
    '"text"',
    "[]",
    "{}",
    '{"response": null}',
    '{"response": []}',
    '{"response": "text"}',
    '{"response": {}}',
]

# In the place of bytes.
NOT_BASE64URL = [None, 5, "", "not base64url!", "AAAAA", "AA==", "é", "\ud800", [], {}]

# The same in the place of the challenge. Without one, or with null, it is the client data that is malformed.
CHALLENGES_NOT_BASE64URL = [5, "", "not base64url!", "é", [], {}]

# In the place of the challenge, which is the text of a token.
NOT_A_TOKEN = [b"\xff" * 32, b"\0", b"...", "é.é.é".encode()]

# In the place of the client data.
NOT_CLIENT_DATA = [
    b"null",
    b"[]",
    b'["challenge"]',
    b'"challenge"',
    b"5",
    b"{",
    b"{}",
    b"[" * 20_000,
    b'{"challenge": NaN}',
]

# Encodings of the client data other than UTF-8, and the reason for which each is refused.
OTHER_ENCODINGS = [
    ("utf-16", "not_utf8"),
    ("utf-32", "not_utf8"),
    # Without a byte order mark, these bytes are UTF-8 as well: there are NULs between the characters.
    ("utf-16-le", "malformed_client_data"),
    ("utf-16-be", "malformed_client_data"),
    ("utf-32-le", "malformed_client_data"),
    ("utf-32-be", "malformed_client_data"),
]

# Origins other than http://localhost:8000.
OTHER_ORIGINS = [
    "https://evil.example",
    "https://localhost:8000",
    "http://localhost:8001",
    "http://localhost",
    "http://localhost:8000/",
    "http://LOCALHOST:8000",
    "http://localhost:8000.evil.example",
    "null",
    "",
]

# In the place of extension data, which is a CBOR map (L3 6.1).
NOT_A_MAP = [0, "credProtect", b"", [], ["credProtect"], True, None]

# Extension data that CTAP2 writes in another form. Each is a map of `credProtect`, `hmac-secret` or numbers, in hex.
NOT_CANONICAL = [
    pytest.param("a16b6372656450726f746563741802", id="a number with a longer head than it needs"),
    pytest.param("a1780b6372656450726f7465637402", id="a length with a longer head than it needs"),
    pytest.param("b8016b6372656450726f7465637402", id="a map with a longer head than it needs"),
    pytest.param("bf6b6372656450726f7465637402ff", id="a map of indefinite length"),
    pytest.param("a17f6b6372656450726f74656374ff02", id="a text of indefinite length"),
    pytest.param("a26b686d61632d736563726574f56b6372656450726f7465637402", id="keys in another order"),
    pytest.param("a22000186400", id="-1 before 100"),
    pytest.param("a26b6372656450726f74656374026b6372656450726f7465637402", id="a key twice"),
    pytest.param("a16b6372656450726f74656374c102", id="a tag"),
    pytest.param("a1008181818100", id="five levels"),
    pytest.param("a16b6372656450726f74656374", id="a value that is missing"),
    pytest.param("a16bff72656450726f7465637402", id="a text that is not UTF-8"),
    pytest.param("a16b6372656450726f74656374f814", id="false in two bytes"),
]


def unfolding_cbor() -> bytes:
    """Return 75 bytes of CBOR that stand for 4096 lists.

    Each list has the list before it twice: written once, and then referred to (tags 28 and 29). Forty such lists would
    stand for a trillion. Twelve show whether a decoder follows the references.
    """
    lists: list = []
    for _ in range(12):
        lists = [lists, lists]
    return cbor2.dumps(lists, value_sharing=True)
