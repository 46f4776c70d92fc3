"""Public keys and signatures, checked without the site's library."""

from collections.abc import Callable
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from learn.inside.ranges import ED25519, ES256, RS256

Key = ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey | rsa.RSAPublicKey

# COSE numbers of the key types and curves: RFC 9053 7, RFC 8230 4.
OKP, EC2, RSA = 1, 2, 3
CURVE_ED25519 = 6
CURVES: dict[int, Callable[[], ec.EllipticCurve]] = {1: ec.SECP256R1, 2: ec.SECP384R1, 3: ec.SECP521R1}


def load(key: dict[Any, Any]) -> Key:
    """Return the key of a COSE map (RFC 9052 7). Raises ValueError, KeyError or TypeError if it is none."""
    if key[1] == OKP and key[3] == ED25519 and key[-1] == CURVE_ED25519:
        return ed25519.Ed25519PublicKey.from_public_bytes(key[-2])
    if key[1] == EC2:
        x, y = int.from_bytes(key[-2]), int.from_bytes(key[-3])
        return ec.EllipticCurvePublicNumbers(x, y, CURVES[key[-1]]()).public_key()
    if key[1] == RSA:
        n, e = int.from_bytes(key[-1]), int.from_bytes(key[-2])
        return rsa.RSAPublicNumbers(e, n).public_key()
    raise ValueError("a key of another type")


def fits(key: Key, algorithm: int) -> bool:
    """Return True if the key is of the kind that this algorithm needs (WebAuthn L3 5.8.5)."""
    if isinstance(key, ed25519.Ed25519PublicKey):
        return algorithm == ED25519
    if isinstance(key, ec.EllipticCurvePublicKey):
        return algorithm == ES256 and isinstance(key.curve, ec.SECP256R1)
    return algorithm == RS256 and 2048 <= key.key_size <= 8192


def is_weak(key: Key) -> bool:
    """Return True if anybody can sign for this key: it is an Ed25519 point of order 1, 2, 4 or 8.

    On the curve -x² + y² = 1 + d x² y² (RFC 8032 5.1), points of order 1 and 2 have y² = 1, and those of order 4 have
    y = 0. A point of order 8 is half of one of order 4, so y² = -x². Then d y⁴ + 2 y² - 1 = 0, with d = -121665/121666.
    """
    if not isinstance(key, ed25519.Ed25519PublicKey):
        return False
    y = int.from_bytes(key.public_bytes_raw(), "little") % 2**255
    return y * (y**2 - 1) * (121666 * (2 * y**2 - 1) - 121665 * y**4) % (2**255 - 19) == 0


def is_signed(key: Key, algorithm: int, signature: bytes, data: bytes) -> bool:
    """Return True if this key has signed the data. Raises ValueError if the algorithm is for another type of key."""
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, data)
        elif isinstance(key, ec.EllipticCurvePublicKey) and algorithm == ES256:
            key.verify(signature, data, ec.ECDSA(SHA256()))
        elif isinstance(key, rsa.RSAPublicKey) and algorithm == RS256:
            key.verify(signature, data, padding.PKCS1v15(), SHA256())
        else:
            raise ValueError("an algorithm for another type of key")
    except InvalidSignature:
        return False
    return True
