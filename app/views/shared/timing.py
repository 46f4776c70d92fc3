"""How long each way in took the visitor: for the notice after signing in by passkey, and for nothing else."""

from typing import Any

from flask import request, session
from sqlalchemy import Row

from app.models import now
from app.sign_in_links import PendingSignIn
from app.views.shared import known_accounts

# Browsers stop waiting for an answer before that.
LONGEST_CEREMONY_MS = 10 * 60 * 1000


def remember_mail(user: Row[Any], asked: PendingSignIn) -> None:
    """Remember in this browser's cookie how long this user's mail took, from sending it to confirming it."""
    took = now() - asked.mailed_at
    session["mail_took"] = {known_accounts.account_id(user.user_handle): max(1, int(took.total_seconds()))}


def mail_seconds(user: Row[Any]) -> int:
    """Return how long the last mail in this browser took, in seconds; 0 where it wasn't this user's."""
    return session.get("mail_took", {}).get(known_accounts.account_id(user.user_handle), 0)


def passkey_seconds() -> int:
    """Return how long this request's passkey took, in seconds, as the page's script measured it; 0 where unknown.

    It runs from pressing the button, or from the last click or key in the email field (autofill may have waited there
    for hours before), until the authenticator's answer. Nothing vouches for it, so only the same visitor is shown it.
    """
    milliseconds = request.form.get("took", 0, int)
    return max(1, round(milliseconds / 1000)) if 0 < milliseconds <= LONGEST_CEREMONY_MS else 0
