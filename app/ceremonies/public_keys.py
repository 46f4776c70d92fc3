"""The check of a new public key. A key that loads may still be unusable, or so weak that anybody can sign with it."""

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from app.ceremonies.attempts import CeremonyError

# The y coordinates of the eight points of Ed25519 (RFC 8032 5.1) whose order is 1, 2, 4 or 8. With one of them as the
# public key, signatures can be made without a private key. Sources: `ge25519_has_small_order` in libsodium, and
# https://github.com/C2SP/CCTV/tree/main/ed25519.
PRIME = 2**255 - 19
ORDER_8 = 0x5FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
SMALL_ORDER = (0, 1, PRIME - 1, ORDER_8, PRIME - ORDER_8)


def check(key: object, algorithm: int) -> None:
    """Check that a key of `cryptography` is of the kind that the COSE algorithm needs (RFC 9053, L3 5.8.5).

    Raises CeremonyError `unusable_key`, or `weak_key` if anybody could sign.
    """
    usable = {
        -8: isinstance(key, ed25519.Ed25519PublicKey),
        -7: isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name == "secp256r1",
        -257: isinstance(key, rsa.RSAPublicKey) and 2048 <= key.key_size <= 8192,
    }
    if not usable[algorithm]:
        raise CeremonyError("unusable_key", f"{type(key).__name__} for algorithm {algorithm:d}")
    if isinstance(key, ed25519.Ed25519PublicKey):
        # The highest bit is the sign of x (RFC 8032 5.1.2). A y less than 19 has a second encoding: plus PRIME.
        y = int.from_bytes(key.public_bytes_raw(), "little") % 2**255
        if y % PRIME in SMALL_ORDER:
            raise CeremonyError("weak_key", "an Ed25519 point of small order")
