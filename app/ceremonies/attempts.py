"""An attempt: one response to a ceremony's options, from its arrival to the verdict.

The attempt collects facts for the log, for the account's activity, and for the browser. A hostile response makes the
library, CBOR and cryptography raise many kinds of exceptions. The attempt turns all of them into one, with a reason.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from sqlalchemy.exc import SQLAlchemyError

from app.refusals import Refusal
from app.single_use import Purpose

LONGEST_TRANSCRIPT = 16 * 1024

# The beginnings of the library's messages (pyproject.toml pins its minor version), and our reasons for them.
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
    "Unexpected token_binding status": "malformed_client_data",
    "attestationObject was malformed": "malformed_cbor",
    "authenticatorData was malformed": "malformed_cbor",
    "Authenticator did not provide": "malformed_authenticator_data",
    "Attestation statement was missing": "malformed_attestation",
    "Credential public key alg": "malformed_attestation",
    "Credential public key missing": "unusable_key",
    "OKP credential public key missing": "unusable_key",
    "EC2 credential public key missing": "unusable_key",
    "RSA credential public key missing": "unusable_key",
    "ML-DSA credential public key missing": "unusable_key",
    "Unsupported credential public key type": "unusable_key",
    # A KeyError: the library looked for this parameter of the key.
    "<COSEKey.": "unusable_key",
}


class CeremonyError(Refusal):
    """A response was refused. `attempt` has the facts that are known by then."""

    attempt: "Attempt | None" = None


@dataclass
class Facts:
    """Everything that the checks depend on, besides the response. Transcripts keep it as JSON.

    Times are in milliseconds since 1970, and bytes are base64url. A fact is None or "" if the ceremony ended before it
    was known, or if this kind of ceremony doesn't have it.
    """

    origin: str = ""
    """The site's own."""
    rp_id: str = ""
    """The site's own."""
    bound_to: str = ""
    """"session" or "browser": the challenge was for this one only."""
    issued_at: int | None = None
    arrived_at: int | None = None
    options: dict[str, Any] | None = None
    """The options with their challenge."""
    are_options_as_sent: bool | None = None
    """False if something has changed since the browser got them, such as the list of passkeys."""
    passkeys: int | None = None
    """How many passkeys the account had (registration)."""
    proof: dict[str, Any] | None = None
    """The last proof of the session (registration): whether the cookie has its mark, and times."""
    lookup: str = ""
    """The result of looking for the passkey: "found", "unknown", "removed" (its user is known), or "other_account"."""
    passkey: dict[str, Any] | None = None
    """The credential record (L3 4) that the response is checked against, or that it creates."""
    account: dict[str, Any] | None = None
    """The account of that passkey, or of the session: user handle, address, whether it is disabled."""
    email: str = ""
    """The address that the visitor typed (sign-in)."""
    is_duplicate: bool | None = None
    """True if the credential id is registered already (registration)."""


@dataclass
class Attempt:
    """A response to a ceremony's options. Use it as a context manager around everything that looks at the response. An
    exception in the block becomes a CeremonyError, except for errors of the database."""

    purpose: Purpose
    response: str
    """JSON text from the browser."""
    credential: dict[str, Any] = field(default_factory=dict)
    """The parsed response: a PublicKeyCredential (L3 5.1)."""
    challenge: str = ""
    """Known once it can't be used any more: it has been spent, or it has expired."""
    began: datetime | None = None
    """The time when the challenge was issued, if it was valid."""
    user_id: int | None = None
    """The account that the response is about, if it says so."""
    facts: Facts = field(default_factory=Facts)
    counter_went_back: bool = False
    unknown_credential_id: bytes = b""
    """Set if it is proven that this passkey signs nobody in here. Then the authenticator is told to forget it."""

    def transcript(self, refused: str = "") -> str:
        """Return the ceremony as JSON text, or "" while its challenge may still be valid somewhere.

        A text over LONGEST_TRANSCRIPT bytes is replaced by its length. `refused` is the reason of the refusal.
        """
        if not self.challenge:
            return ""
        parts = {"ceremony": self.purpose.name, "refused": refused}
        text = json.dumps(parts | {"response": self.response} | asdict(self.facts))
        return text if len(text) <= LONGEST_TRANSCRIPT else json.dumps(parts | {"too_long": len(text)})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, Exception) and not isinstance(error, SQLAlchemyError):
            reason, detail = _reason_and_detail(error)
            refused = CeremonyError(reason, detail)
            refused.attempt = self
            raise refused from error


@contextmanager
def refusing(reason: str) -> Iterator[None]:
    """Raise CeremonyError with this reason for any exception of the block that has no reason of its own."""
    try:
        yield
    except Refusal:
        raise
    except Exception as error:
        raise CeremonyError(reason, f"{type(error).__name__}: {error}") from error


def _reason_and_detail(error: Exception) -> tuple[str, str]:
    if isinstance(error, Refusal):
        return error.reason, error.detail
    message = str(error)
    reasons = (reason for beginning, reason in REASONS.items() if message.startswith(beginning))
    reason = next(reasons, "malformed_response")
    return reason, f"{type(error).__name__}: {message}"
