"""One answer to a ceremony, as far as it got: what is logged, kept in the account's activity, and told to the browser
when it was refused. Whatever a hostile response makes the library, CBOR or cryptography raise becomes one error."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from app.refusals import Refusal

LONGEST_TRANSCRIPT = 16 * 1024

# What the library says, by how it begins, and what we call it.
REASONS = {
    "Unexpected client data type": "wrong_type",
    "Unexpected client data origin": "wrong_origin",
    "Unexpected RP ID hash": "wrong_rp_id",
    "User was not present": "user_not_present",
    "User presence was required": "user_not_present",
    "User verification is required": "user_not_verified",
    "Could not verify authentication signature": "wrong_signature",
    "Could not verify attestation statement signature": "wrong_signature",
    "Unsupported credential public key alg": "algorithm_not_offered",
    "Single-device credential indicated": "inconsistent_backup_flags",
    "id and raw_id were not equivalent": "credential_id_mismatch",
    "clientDataJSON was malformed": "malformed_client_data",
    "attestationObject was malformed": "malformed_cbor",
    "authenticatorData was malformed": "malformed_cbor",
    "Authenticator did not provide": "malformed_authenticator_data",
    "Attestation statement was missing": "malformed_attestation",
    "Credential public key alg": "malformed_attestation",
    "Credential public key missing": "unusable_key",
    "OKP credential public key missing": "unusable_key",
    "EC2 credential public key missing": "unusable_key",
    "RSA credential public key missing": "unusable_key",
    "Unsupported credential public key type": "unusable_key",
    # A KeyError: the library looked for this parameter of the key.
    "<COSEKey.": "unusable_key",
}


@dataclass
class Attempt:
    """What is known about one answer. Nothing is kept before its challenge is spent: it may be alive elsewhere."""

    challenge: str = ""
    options: str = ""
    """JSON text, as the browser got it."""
    response: str = ""
    """JSON text, as the browser sent it."""
    began: datetime | None = None
    """When the challenge was issued."""
    user_id: int | None = None
    """Whose account it is about, where the response says so."""
    found: dict[str, Any] = field(default_factory=dict)
    """The credential record that the response was checked against, or the one that it makes."""
    counter_went_back: bool = False
    orphan: bytes = b""
    """A credential id that is proven to sign nobody in here, so that the authenticator may be told to forget it."""

    def transcript(self, refused: str = "") -> str:
        """Return all of it as JSON text of at most LONGEST_TRANSCRIPT bytes, or "" where there is nothing to keep."""
        if not self.options:
            return ""
        parts = {"options": self.options, "response": self.response, "found": self.found, "refused": refused}
        text = json.dumps(parts)
        return text if len(text) <= LONGEST_TRANSCRIPT else json.dumps({"too_long": len(text), "refused": refused})


class CeremonyError(Refusal):
    """A response was refused. `attempt` says how far it got."""

    attempt = Attempt()


@contextmanager
def refusing(reason: str) -> Iterator[None]:
    """Raise CeremonyError with this reason for whatever the block raises, unless that has a reason of its own."""
    try:
        yield
    except Refusal:
        raise
    except Exception as error:
        raise CeremonyError(reason, f"{type(error).__name__}: {error}") from error


@contextmanager
def attempt() -> Iterator[Attempt]:
    """Watch over one answer; whatever is raised becomes a CeremonyError, but for a database that is in trouble."""
    this = Attempt()
    try:
        yield this
    except SQLAlchemyError:
        raise
    except Exception as error:
        if isinstance(error, Refusal):
            refused = CeremonyError(error.reason, error.detail)
        else:
            text = str(error)
            reasons = (reason for beginning, reason in REASONS.items() if text.startswith(beginning))
            refused = CeremonyError(next(reasons, "malformed_response"), f"{type(error).__name__}: {text}")
        refused.attempt = this
        raise refused from error
