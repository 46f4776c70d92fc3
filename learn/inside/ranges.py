"""The bytes of a ceremony, each with a name. This reads with code of its own, and never raises on any bytes.

Each function returns ranges that follow each other: joined, their data is the input. Bytes that can't be read are one
range `unreadable` to the end.
"""

from collections.abc import Callable
from dataclasses import dataclass
from struct import unpack
from typing import Any

# The flags of authenticator data, from the lowest bit to the highest: WebAuthn L3 6.1.
FLAGS = (
    ("UP", "user present: somebody touched it"),
    ("RFU1", "reserved for later"),
    ("UV", "user verified: by a finger, a face or a PIN"),
    ("BE", "backup eligible: the passkey may be copied to other devices"),
    ("BS", "backup state: the passkey is backed up now"),
    ("RFU2", "reserved for later"),
    ("AT", "attested credential data: a new passkey follows"),
    ("ED", "extension data follows"),
)

# COSE algorithms (RFC 9053, RFC 8812) and key types (RFC 9053 7, RFC 8230 4).
ED25519, ES256, RS256 = -8, -7, -257
PARAMETERS = {1: {-1: "crv", -2: "x"}, 2: {-1: "crv", -2: "x", -3: "y"}, 3: {-1: "n", -2: "e"}}

# Major types of CBOR (RFC 8949 3.1).
UNSIGNED, NEGATIVE, BYTES, TEXT, ARRAY, MAP, TAG, SIMPLE = range(8)
SIMPLE_VALUES = {20: False, 21: True, 22: None}
FLOATS = {25: ">e", 26: ">f", 27: ">d"}

# CTAP 2.2, 8: at most 4 levels of maps and arrays.
DEEPEST = 4


@dataclass(frozen=True)
class Range:
    """Bytes with a name."""

    name: str
    start: int
    data: bytes
    value: Any = None
    """The bytes decoded, where that says more: a number, the flags by name, the value of a map's member."""

    @property
    def end(self) -> int:
        """The offset behind the last byte."""
        return self.start + len(self.data)


@dataclass(frozen=True)
class Item:
    """A CBOR item: an array is a tuple, a map is a dict."""

    start: int
    end: int
    value: Any
    is_canonical: bool
    """True if this is the one encoding that CTAP2 has for this value."""
    head: int = 0
    """The length of the head: type and length or number."""
    members: tuple["Item", ...] = ()
    """Of an array, its items. Of a map, its keys and values, in turn."""


class _Reader:
    """Takes ranges off some bytes, one after the other."""

    def __init__(self, data: bytes):
        self.data, self.at = data, 0
        self.ranges: list[Range] = []

    def take(self, name: str, size: int, decode: Callable[[bytes], Any] = lambda data: None) -> Any:
        """Name the next bytes, and return their value. Raises ValueError if there are less."""
        data = self.data[self.at : self.at + size]
        if len(data) < size:
            raise ValueError("cut short")
        self.ranges.append(Range(name, self.at, data, decode(data)))
        self.at += size
        return self.ranges[-1].value


def authenticator_data(data: bytes) -> list[Range]:
    """Return the ranges of authenticator data: WebAuthn L3 6.1, 6.5.1."""

    def read(reader: _Reader) -> None:
        reader.take("rp_id_hash", 32)
        flags = reader.take("flags", 1, lambda byte: read_flags(byte[0]))
        reader.take("counter", 4, int.from_bytes)
        if flags["AT"]:
            reader.take("aaguid", 16)
            reader.take("credential_id", reader.take("credential_id_length", 2, int.from_bytes))
            _take_item(reader, "public_key", read_cbor(data, reader.at))
        if flags["ED"]:
            _take_item(reader, "extensions", read_cbor(data, reader.at))

    return _ranges(data, read)


def attestation_object(data: bytes) -> list[Range]:
    """Return the ranges of an attestation object (L3 6.5.4): `head`, and `fmt`, `attStmt`, `authData` in their order.

    The range of a member is its name and its value. Members with other names are called `member`.
    """
    names = ("fmt", "attStmt", "authData")
    return _ranges(data, lambda reader: _take_members(reader, {name: name for name in names}))


def cose_key(data: bytes) -> list[Range]:
    """Return the ranges of a public key (RFC 9052 7): `head`, `kty`, `alg`, and the parameters of its type."""

    def read(reader: _Reader) -> None:
        key = read_cbor(data).value
        type = key.get(1) if isinstance(key, dict) else None
        known = PARAMETERS.get(type, {}) if isinstance(type, int) else {}
        _take_members(reader, {1: "kty", 3: "alg"} | known)

    return _ranges(data, read)


def signature(data: bytes, algorithm: int) -> list[Range]:
    """Return the ranges of a signature (L3 6.5.5).

    ECDSA: `header`, `r_header`, `r`, `s_header`, `s`, as ASN.1 DER has them. Ed25519: `r` (a point) and `s`. RSA: `s`.
    """

    def read(reader: _Reader) -> None:
        if algorithm == ES256:
            _take_der(reader, "header", 0x30)
            for name in ("r", "s"):
                reader.take(name, _take_der(reader, f"{name}_header", 0x02), int.from_bytes)
        elif algorithm == ED25519:
            reader.take("r", 32)
            reader.take("s", 32, lambda number: int.from_bytes(number, "little"))
        elif algorithm == RS256:
            reader.take("s", len(data), int.from_bytes)
        else:
            raise ValueError("another algorithm")

    return _ranges(data, read)


def read_flags(byte: int) -> dict[str, bool]:
    """Return the flags of this byte by their names."""
    return {name: bool(byte >> bit & 1) for bit, (name, _) in enumerate(FLAGS)}


def read_cbor(data: bytes, at: int = 0, levels: int = DEEPEST) -> Item:
    """Read the CBOR item (RFC 8949) that begins at this offset.

    Raises ValueError if it is cut short, nested too deep, has a tag, an indefinite length, text that is not UTF-8, or a
    map in which a key occurs twice.
    """
    start = at
    if at >= len(data):
        raise ValueError("cut short")
    major_type, number = data[at] >> 5, data[at] & 31
    if major_type == TAG or number > 27:
        raise ValueError("a tag, or an indefinite length")
    short, size = number, 1 << (number - 24) if number >= 24 else 0
    at += 1 + size
    head = at - start
    if at > len(data):
        raise ValueError("cut short")
    if size:
        number = int.from_bytes(data[start + 1 : at])
    # A float may have any size. Any other number must be too large for the next smaller head.
    is_canonical = major_type == SIMPLE or not size or number >= (24 if size == 1 else 1 << 4 * size)
    value: Any = number
    members: list[Item] = []
    if major_type == NEGATIVE:
        value = -1 - number
    elif major_type in (BYTES, TEXT):
        value, at = data[at : at + number], at + number
        if at > len(data):
            raise ValueError("cut short")
        if major_type == TEXT:
            value = value.decode()
    elif major_type in (ARRAY, MAP):
        if not levels:
            raise ValueError("nested too deep")
        for _ in range(number * (2 if major_type == MAP else 1)):
            members.append(read_cbor(data, at, levels - 1))
            at = members[-1].end
        is_canonical = is_canonical and all(member.is_canonical for member in members)
        value = tuple(member.value for member in members)
        if major_type == MAP:
            keys = [data[key.start : key.end] for key in members[::2]]
            # Keys are in the order of their bytes.
            is_canonical = is_canonical and keys == sorted(keys)
            value = _to_dict(value)
    elif major_type == SIMPLE:
        value = unpack(FLOATS[short], data[start + 1 : at])[0] if short in FLOATS else _simple(number, size)
    return Item(start, at, value, is_canonical, head, tuple(members))


def _to_dict(members: tuple[Any, ...]) -> dict[Any, Any]:
    try:
        value = dict(zip(members[::2], members[1::2], strict=True))
    except TypeError as error:
        raise ValueError("a map as a key") from error
    if len(value) * 2 < len(members):
        raise ValueError("a key twice")
    return value


def _simple(number: int, size: int) -> Any:
    if size and number < 32:
        raise ValueError("a simple value in two bytes")
    return SIMPLE_VALUES.get(number, f"simple({number})")


def _ranges(data: bytes, read: Callable[[_Reader], None]) -> list[Range]:
    """Return the ranges that this function takes off the data, and one more for what it leaves or can't read."""
    reader, rest = _Reader(data), "rest"
    try:
        read(reader)
    except ValueError:
        rest = "unreadable"
    if reader.at < len(data):
        reader.take(rest, len(data) - reader.at)
    return reader.ranges


def _take_item(reader: _Reader, name: str, item: Item) -> None:
    """Take the bytes up to the end of this item, with its value."""
    reader.take(name, item.end - reader.at, lambda _: item.value)


def _take_members(reader: _Reader, names: dict[Any, str]) -> None:
    """Take a map's head, and then a range for each member. Raises ValueError if this is no map."""
    item = read_cbor(reader.data)
    if not isinstance(item.value, dict):
        raise ValueError("no map")
    reader.take("head", item.head)
    for key, value in zip(item.members[::2], item.members[1::2], strict=True):
        _take_item(reader, names.get(key.value, "member"), value)


def _take_der(reader: _Reader, name: str, tag: int) -> int:
    """Take tag and length of an ASN.1 DER item with less than 256 bytes, and return the length."""
    start = reader.data[reader.at : reader.at + 3]
    size = 3 if start[1:2] == b"\x81" else 2
    if start[:1] != bytes([tag]) or len(start) < size or start[1] > 0x81:
        raise ValueError("not ASN.1 DER as expected")
    reader.take(name, size)
    return start[size - 1]
