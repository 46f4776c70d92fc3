"""A software authenticator, and the browser in front of it: real keys, real signatures, every byte made by hand.

It answers options as `PublicKeyCredential.toJSON()` would, and keeps its credentials as a device does. A test can ask
for one wrong part, and everything that depends on this part stays right. For example, a wrong flag is still signed, so
that only the check for that flag can refuse it. To change a part that the options decide, change the options.

    phone = Authenticator()
    phone.create(options)                                           a good RegistrationResponseJSON
    phone.get(options, flags=UP)                                    signed, but the user was not verified
    phone.get(options, client_data={"origin": "https://evil.example"})
    phone.get(options, extensions=cbor2.dumps({}))                  signed, with extension data
    phone.get(options, mangle={"signature": lambda signature: signature[:-1]})
    changed(phone.get(options), "userHandle", MISSING)

All section numbers are those of Web Authentication Level 3.
"""

import hashlib
import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

# The flags: one byte, section 6.1.
UP = 0x01  # user present: somebody touched it
UV = 0x04  # user verified: by a finger, a face or a PIN
BE = 0x08  # backup eligible: the credential may leave this device
BS = 0x10  # backup state: it has left
AT = 0x40  # attested credential data follows (registration only)
ED = 0x80  # extension data follows

# COSE algorithms: RFC 9053, RFC 8812.
EDDSA, ES256, RS256 = -8, -7, -257


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"


# No value at all: see `changed`.
MISSING = _Missing()

# Changes to the bytes of one part: its name, and a function from the right bytes to the wrong ones. Parts that contain
# it, and signatures over it, are made from the wrong ones.
Mangle = dict[str, Callable[[bytes], bytes]]

Json = dict[str, Any]

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
PublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey


class NotAllowedError(Exception):
    """The browser's error when there is no credential for this site, or the user cancels."""


class InvalidStateError(Exception):
    """The browser's error when the authenticator has one of `excludeCredentials`."""


class NotSupportedError(Exception):
    """The browser's error when the authenticator knows none of `pubKeyCredParams`."""


@dataclass
class Credential:
    """A discoverable credential as the device stores it. The private key never leaves the device."""

    id: bytes
    private_key: PrivateKey
    rp_id: str
    user_handle: bytes
    user_name: str
    sign_count: int = 0


class Authenticator:
    """One device.

    With `synced`, it is a phone whose passkeys are backed up in a cloud; its counter is always 0. Without, it is a
    security key that counts its signatures. A `terse` device leaves out the user handle if the options name the
    credential, as section 6.3.3 allows.
    """

    def __init__(
        self,
        origin: str = "http://localhost:8000",
        rp_id: str = "localhost",
        algorithm: int = ES256,
        aaguid: bytes = bytes(16),
        synced: bool = True,
        terse: bool = False,
    ):
        self.origin = origin
        self.rp_id = rp_id
        self.algorithm = algorithm
        self.aaguid = aaguid
        self.synced = synced
        self.terse = terse
        self.flags = UP | UV | (BE | BS if synced else 0)
        self.credentials: list[Credential] = []

    def create(
        self,
        options: Json,
        *,
        client_data: Json | None = None,
        rp_id: str | None = None,
        flags: int | None = None,
        sign_count: int = 0,
        aaguid: bytes | None = None,
        credential_id: bytes | None = None,
        public_key: dict[int, object] | None = None,
        extensions: bytes = b"",
        attestation: str | tuple[str, object] = "none",
        mangle: Mangle | None = None,
    ) -> Json:
        """Answer creation options with a RegistrationResponseJSON (5.1).

        `public_key` is a COSE key to claim instead of the real one. `extensions` is CBOR that follows it; the flag ED
        announces it. `attestation` is "none", "packed" (self-attestation, really signed), or a format and a statement.
        """
        mangle = mangle or {}
        rp, user = options["rp"], options["user"]
        offered = [parameters["alg"] for parameters in options["pubKeyCredParams"]]
        if self.algorithm not in offered:
            raise NotSupportedError(f"algorithm {self.algorithm} is not among {offered}")
        excluded = [decode(descriptor["id"]) for descriptor in options.get("excludeCredentials", [])]
        if any(credential.id in excluded for credential in self.credentials):
            raise InvalidStateError("there is a passkey for this account on this device")

        credential = Credential(
            id=credential_id or secrets.token_bytes(32),
            private_key=generate_key(self.algorithm),
            rp_id=rp.get("id", self.rp_id),
            user_handle=decode(user["id"]),
            user_name=user["name"],
            sign_count=sign_count,
        )
        key = credential.private_key.public_key()
        client_data_json = self._client_data("webauthn.create", options, client_data, mangle)

        # Attested credential data, 6.5.1: 16 bytes AAGUID | 2 bytes length of the id | the id | the key in COSE form.
        public_key_cbor = cbor2.dumps(
            cose_key(key, self.algorithm) if public_key is None else public_key, canonical=True
        )
        attested = (
            (self.aaguid if aaguid is None else aaguid)
            + len(credential.id).to_bytes(2, "big")
            + credential.id
            + mangled("publicKey", public_key_cbor, mangle)
        )
        authenticator_data = self._authenticator_data(
            rp_id or credential.rp_id,
            (self.flags if flags is None else flags) | AT,
            sign_count,
            attested,
            extensions,
            mangle,
        )

        # Attestation object, 6.5.4: a CBOR map of the format, its statement, and the authenticator data.
        format, statement = attestation if isinstance(attestation, tuple) else (attestation, {})
        if attestation == "packed":
            # Self-attestation, 8.2: the new key signs for itself. That proves only that the device has it.
            signature = sign(credential.private_key, authenticator_data + hashlib.sha256(client_data_json).digest())
            statement = {"alg": self.algorithm, "sig": mangled("signature", signature, mangle)}
        attestation_object = cbor2.dumps({"fmt": format, "attStmt": statement, "authData": authenticator_data})

        # A device has one discoverable credential per account: the new one replaces the old one.
        account = (credential.rp_id, credential.user_handle)
        self.credentials = [kept for kept in self.credentials if (kept.rp_id, kept.user_handle) != account]
        self.credentials.append(credential)
        # The browser's extension outputs, 10.1.3: every credential here is discoverable, and they say so if asked.
        outputs = {"credProps": {"rk": True}} if options.get("extensions", {}).get("credProps") else {}
        return self._to_json(
            credential,
            outputs,
            clientDataJSON=encode(client_data_json),
            attestationObject=encode(mangled("attestationObject", attestation_object, mangle)),
            # These three are for scripts. A server uses the attestation object.
            authenticatorData=encode(authenticator_data),
            publicKey=encode(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)),
            publicKeyAlgorithm=self.algorithm,
            transports=["hybrid", "internal"] if self.synced else ["usb"],
        )

    def get(
        self,
        options: Json,
        *,
        client_data: Json | None = None,
        rp_id: str | None = None,
        flags: int | None = None,
        sign_count: int | None = None,
        user_handle: bytes | None = None,
        extensions: bytes = b"",
        mangle: Mangle | None = None,
    ) -> Json:
        """Answer request options with an AuthenticationResponseJSON (5.1), by the newest credential that fits."""
        mangle = mangle or {}
        credential = self._find(options)
        if not self.synced:
            credential.sign_count += 1
        client_data_json = self._client_data("webauthn.get", options, client_data, mangle)
        authenticator_data = self._authenticator_data(
            rp_id or credential.rp_id,
            self.flags if flags is None else flags,
            credential.sign_count if sign_count is None else sign_count,
            b"",
            extensions,
            mangle,
        )
        # The assertion signature, 6.3.3: over the authenticator data and the hash of the client data.
        signature = sign(credential.private_key, authenticator_data + hashlib.sha256(client_data_json).digest())
        user_handle = credential.user_handle if user_handle is None else user_handle
        is_left_out = self.terse and options.get("allowCredentials")
        return self._to_json(
            credential,
            {},
            clientDataJSON=encode(client_data_json),
            authenticatorData=encode(authenticator_data),
            signature=encode(mangled("signature", signature, mangle)),
            **({} if is_left_out else {"userHandle": encode(user_handle)}),
        )

    def _find(self, options: Json) -> Credential:
        allowed = [decode(descriptor["id"]) for descriptor in options.get("allowCredentials", [])]
        for credential in reversed(self.credentials):
            if credential.rp_id == options.get("rpId", self.rp_id) and (not allowed or credential.id in allowed):
                return credential
        raise NotAllowedError("there is no passkey for this site on this device")

    def _client_data(self, type: str, options: Json, changes: Json | None, mangle: Mangle) -> bytes:
        """Return the client data, 5.8.1: JSON that the browser makes. None among the changes leaves a member out.

        The challenge is the same base64url text as in the options.
        """
        client_data = {
            "type": type,
            "challenge": options["challenge"],
            "origin": self.origin,
            "crossOrigin": False,
        } | (changes or {})
        present = {name: value for name, value in client_data.items() if value is not None}
        return mangled("clientDataJSON", json.dumps(present, separators=(",", ":")).encode(), mangle)

    def _authenticator_data(
        self, rp_id: str, flags: int, sign_count: int, attested: bytes, extensions: bytes, mangle: Mangle
    ) -> bytes:
        """Return the authenticator data, 6.1: 37 bytes, and the parts that the flags announce.

        32 bytes SHA-256 of the RP ID | 1 byte flags | 4 bytes signature counter, big-endian | the rest
        """
        if extensions:
            flags |= ED
        data = hashlib.sha256(rp_id.encode()).digest() + bytes([flags]) + sign_count.to_bytes(4, "big")
        return mangled("authenticatorData", data + attested + extensions, mangle)

    def _to_json(self, credential: Credential, outputs: Json, **response: object) -> Json:
        return {
            "id": encode(credential.id),
            "rawId": encode(credential.id),
            "type": "public-key",
            "authenticatorAttachment": "platform" if self.synced else "cross-platform",
            "clientExtensionResults": outputs,
            "response": response,
        }


def changed(response: Json, name: str, value: object) -> Json:
    """Return the response with one member changed, at any depth, or left out (MISSING)."""
    if name not in response:
        return response | {"response": changed(response["response"], name, value)}
    return {key: value if key == name else kept for key, kept in response.items() if (key, value) != (name, MISSING)}


def generate_key(algorithm: int) -> PrivateKey:
    """Return a new private key for a COSE algorithm."""
    if algorithm == EDDSA:
        return ed25519.Ed25519PrivateKey.generate()
    if algorithm == ES256:
        return ec.generate_private_key(ec.SECP256R1())
    assert algorithm == RS256
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def cose_key(key: PublicKey, algorithm: int) -> dict[int, int | bytes]:
    """Return a public key as a COSE_Key map (RFC 9052 7).

    1 is the key type, and 3 the algorithm. Negative numbers depend on the key type (RFC 9053 7, RFC 8230 4).
    """
    if isinstance(key, ed25519.Ed25519PublicKey):
        # 1: OKP; -1: the curve Ed25519; -2: x.
        return {1: 1, 3: algorithm, -1: 6, -2: key.public_bytes(Encoding.Raw, PublicFormat.Raw)}
    if isinstance(key, ec.EllipticCurvePublicKey):
        # 1: EC2; -1: the curve; -2 and -3: x and y, as long as the curve's field.
        point = key.public_numbers()
        curve, size = {"secp256r1": 1, "secp384r1": 2}[key.curve.name], (key.key_size + 7) // 8
        return {1: 2, 3: algorithm, -1: curve, -2: point.x.to_bytes(size, "big"), -3: point.y.to_bytes(size, "big")}
    # 1: RSA; -1: n; -2: e, without leading zeros.
    numbers = key.public_numbers()
    modulus = numbers.n.to_bytes((key.key_size + 7) // 8, "big")
    return {1: 3, 3: algorithm, -1: modulus, -2: numbers.e.to_bytes((numbers.e.bit_length() + 7) // 8, "big")}


def sign(key: PrivateKey, data: bytes) -> bytes:
    """Sign as WebAuthn requires (6.5.5): Ed25519 and PKCS #1 v1.5 as they are, ECDSA in ASN.1 DER."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(data)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(data, ec.ECDSA(SHA256()))
    return key.sign(data, padding.PKCS1v15(), SHA256())


def mangled(name: str, value: bytes, mangle: Mangle) -> bytes:
    """Return the part with the change that the test asked for."""
    return mangle[name](value) if name in mangle else value


def encode(data: bytes) -> str:
    """Return bytes as base64url without padding (RFC 4648 5), as in all of WebAuthn's JSON."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """Return the bytes of base64url text."""
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def respelled(text: str) -> str:
    """Return another base64url text for the same bytes.

    The last character has bits that belong to no byte. They should be 0 (RFC 4648 3.5), but many decoders ignore them.
    """
    assert len(text) % 4, "every bit of this text is needed"
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return text[:-1] + alphabet[alphabet.index(text[-1]) ^ 1]
