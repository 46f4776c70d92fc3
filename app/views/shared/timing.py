"""How long each method of signing in took. The visitor sees it after signing in by passkey, and nobody else does."""

from flask import request, session

from app.ceremonies.options import TIMEOUT_MS
from app.models import User, now
from app.sign_in_links import PendingSignIn
from app.views.shared import known_accounts


def remember_mail(user: User, pending: PendingSignIn) -> None:
    """Keep in this browser's cookie how long this user's mail took, from sending it to confirming it."""
    took = now() - pending.mailed_at
    session["mail_took"] = {known_accounts.account_id(user.user_handle): max(1, int(took.total_seconds()))}


def mail_seconds(user: User) -> int:
    """Return how long the last mail in this browser took, in seconds, or 0 if it wasn't this user's."""
    return session.get("mail_took", {}).get(known_accounts.account_id(user.user_handle), 0)


def passkey_seconds() -> int:
    """Return how long this request's passkey took, in seconds, as the page's script measured it. 0 if unknown.

    The time starts when the visitor presses the button, or with their last click or key in the email field. It ends
    with the authenticator's response. A client can send any number, so only the same visitor sees it.
    """
    milliseconds = request.form.get("took", 0, int)
    return max(1, round(milliseconds / 1000)) if 0 < milliseconds <= TIMEOUT_MS else 0
