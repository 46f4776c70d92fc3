"""The options and the response of any site, put together as a ceremony. Nothing of them is kept."""

from typing import Any
from urllib.parse import urlsplit

import cbor2
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from app.ceremonies.attempts import CeremonyError, Facts
from app.ceremonies.base64url import decode, encode
from app.refusals import Refusal
from authenticator import EDDSA, ES256, RS256, cose_key
from learn.inside.ceremonies import Ceremony, parse

LONGEST = 16 * 1024


def ceremony(options: str, response: str, origin: str, public_key: str) -> Ceremony:
    """Return the ceremony of pasted texts.

    `options` and `response` are JSON as `parse...OptionsFromJSON()` takes it and `toJSON()` makes it (WebAuthn L3 5.1).
    `origin` is the site's, or "". `public_key` is PEM, or the stored COSE key in base64url, or "". Raises Refusal
    `too_long`, `malformed_options`, `malformed_origin` or `malformed_key`.
    """
    if max(map(len, (options, response, public_key))) > LONGEST or len(origin) > 300:
        raise Refusal("too_long")
    parsed = _options(options)
    kind = "registration" if "rp" in parsed or "attestationObject" in response else "authentication"
    host = _host(origin) if origin else ""
    named = parsed.get("rp") if kind == "registration" else {"id": parsed.get("rpId")}
    rp_id = named.get("id") if isinstance(named, dict) else None
    key = _cose(public_key.strip()) if public_key.strip() else b""
    facts = Facts(
        origin=origin,
        # The browser takes the host of the page if the options don't say.
        rp_id=rp_id if isinstance(rp_id, str) else host,
        options=parsed,
        are_options_as_sent=True,
        passkey={"public_key": encode(key)} if key else None,
    )
    return Ceremony(kind, response, facts)


def _host(origin: str) -> str:
    """Return the host of an origin, such as `https://shop.example`."""
    try:
        parts = urlsplit(origin)
        if parts.scheme in ("http", "https") and parts.hostname and origin == f"{parts.scheme}://{parts.netloc}":
            return parts.hostname
    except ValueError:
        pass  # such as "http://["
    raise Refusal("malformed_origin")


def _options(text: str) -> dict[str, Any]:
    try:
        parsed = parse(text)
        # Some sites send the argument of `navigator.credentials.get()`, which has the options inside.
        parsed = parsed.get("publicKey", parsed)
    except (ValueError, AttributeError) as error:
        raise Refusal("malformed_options") from error
    if not isinstance(parsed, dict):
        raise Refusal("malformed_options")
    return parsed


def _cose(text: str) -> bytes:
    """Return a public key as COSE, from PEM or from the same COSE in base64url."""
    try:
        if not text.startswith("-----BEGIN"):
            return decode(text)
        key = load_pem_public_key(text.encode())
    except (CeremonyError, ValueError, UnsupportedAlgorithm) as error:
        raise Refusal("malformed_key") from error
    if isinstance(key, ed25519.Ed25519PublicKey):
        return cbor2.dumps(cose_key(key, EDDSA), canonical=True)
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name == "secp256r1":
        return cbor2.dumps(cose_key(key, ES256), canonical=True)
    if isinstance(key, rsa.RSAPublicKey):
        return cbor2.dumps(cose_key(key, RS256), canonical=True)
    raise Refusal("malformed_key")
