"""The parts of a response, read by code of its own and not by the site's."""

import json
import re
from base64 import urlsafe_b64decode
from functools import cached_property
from hashlib import sha256
from typing import Any

from app.ceremonies.base64url import encode
from learn.inside.ceremonies import Ceremony
from learn.inside.ranges import Item, Range, authenticator_data, read_cbor, read_flags


class No(Exception):
    """A check fails, for this reason. `expected` and `found` are short texts for the page."""

    def __init__(self, reason: str, expected: str, found: str):
        super().__init__(reason)
        self.reason, self.expected, self.found = reason, expected, found


class Unknown(Exception):
    """A check can't be made: the site hasn't recorded this fact."""


class Response:
    """The parts of a ceremony's response, and the site's facts. Each part raises `No` if it can't be read."""

    def __init__(self, ceremony: Ceremony):
        self.kind, self.text = ceremony.kind, ceremony.response
        self.facts, self.refused = ceremony.facts, ceremony.refused

    def fact(self, name: str, member: str = "") -> Any:
        """Return a fact, or a member of it. Raises Unknown if the site hasn't recorded it."""
        value = getattr(self.facts, name)
        if member:
            value = value.get(member) if isinstance(value, dict) else None
        if value is None or value == "":
            raise Unknown(name)
        return value

    @property
    def offered(self) -> list[Any]:
        """The algorithms of creation options."""
        try:
            return [each["alg"] for each in self.fact("options", "pubKeyCredParams")]
        except (TypeError, KeyError) as error:
            raise Unknown("pubKeyCredParams") from error

    @cached_property
    def credential(self) -> Any:
        """The PublicKeyCredential (WebAuthn L3 5.1), or any other JSON."""
        try:
            return json.loads(self.text)
        except (ValueError, RecursionError) as error:
            raise No("not_json", "JSON", f"{len(self.text)} characters that are not JSON") from error

    def member(self, *path: str) -> Any:
        """Return this member of the credential."""
        value = self.credential
        for name in path:
            if not isinstance(value, dict) or name not in value:
                raise No("malformed_response", ".".join(path), "missing")
            value = value[name]
        return value

    def bytes_of(self, *path: str) -> bytes:
        """Return the bytes of this member of the credential."""
        return base64url(self.member(*path), path[-1])

    @cached_property
    def raw_id(self) -> bytes:
        """The credential id."""
        return self.bytes_of("rawId")

    @cached_property
    def user_handle(self) -> bytes | None:
        """The user handle. It may be missing if the account was known before the ceremony: L3 7.2 step 6."""
        if self.kind == "confirmation" and self.member("response").get("userHandle") in (None, ""):
            return None
        return self.bytes_of("response", "userHandle")

    @cached_property
    def client_data_json(self) -> bytes:
        """The client data, as the browser wrote it: L3 5.8.1."""
        return self.bytes_of("response", "clientDataJSON")

    @cached_property
    def client_data(self) -> dict[str, Any]:
        """The client data, as an object that has a challenge."""
        try:
            # The specification drops a byte order mark.
            text = self.client_data_json.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise No("not_utf8", "UTF-8", "bytes that are not UTF-8") from error
        try:
            client_data = json.loads(text, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise No("malformed_client_data", "JSON", text) from error
        if not isinstance(client_data, dict) or "challenge" not in client_data:
            raise No("malformed_client_data", "a JSON object with a challenge", text)
        return client_data

    @cached_property
    def attestation(self) -> dict[str, Any]:
        """The attestation object: L3 6.5.4."""
        data = self.bytes_of("response", "attestationObject")
        item = cbor(data)
        if item.end < len(data):
            raise No("malformed_cbor", "nothing after the attestation object", f"{len(data) - item.end} bytes")
        if not isinstance(item.value, dict) or item.value.keys() != {"fmt", "attStmt", "authData"}:
            raise No("malformed_attestation", "fmt, attStmt and authData", shown(item.value))
        return item.value

    @cached_property
    def authenticator_data(self) -> bytes:
        """The authenticator data: L3 6.1."""
        if self.kind != "registration":
            return self.bytes_of("response", "authenticatorData")
        data = self.attestation["authData"]
        if not isinstance(data, bytes):
            raise No("malformed_authenticator_data", "bytes", shown(data))
        return data

    @cached_property
    def ranges(self) -> dict[str, Range]:
        """The ranges of the authenticator data, by their names."""
        return {range.name: range for range in authenticator_data(self.authenticator_data)}

    @cached_property
    def flags(self) -> dict[str, bool]:
        """The flags of the authenticator data, by their names."""
        return read_flags(self.authenticator_data[32])

    @cached_property
    def signed(self) -> bytes:
        """The bytes that a signature signs."""
        return self.authenticator_data + sha256(self.client_data_json).digest()


def base64url(text: object, name: str) -> bytes:
    """Return the bytes of a text in base64url (RFC 4648 5), without padding. The bits that are left over are zero."""
    if not isinstance(text, str) or not re.fullmatch("[A-Za-z0-9_-]+", text) or len(text) % 4 == 1:
        raise No("not_base64url", f"{name} in base64url", shown(text))
    data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if encode(data) != text:
        raise No("not_base64url", f"… {encode(data)[-4:]}", f"… {text[-4:]}")
    return data


def cbor(data: bytes, at: int = 0) -> Item:
    """Return the CBOR item that begins here."""
    try:
        return read_cbor(data, at)
    except ValueError as error:
        raise No("malformed_cbor", "CBOR", str(error)) from error


def shown(value: object) -> str:
    """Return a value of JSON or CBOR as a short text."""
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return "an object"
    return "a list" if isinstance(value, list | tuple) else json.dumps(value)


def _refuse_constant(name: str) -> None:
    """Refuse NaN and Infinity. Python's decoder accepts them, but JSON doesn't have them."""
    raise ValueError(f"{name} is not JSON")
