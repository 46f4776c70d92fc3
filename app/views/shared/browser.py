"""This browser: its id, its pending sign-in, and how we describe it to the account's owner."""

from contextlib import suppress
from dataclasses import asdict

from flask import request, session

from app import single_use
from app.activity import Client
from app.sign_in_links import PendingSignIn
from app.user_agents import describe


def browser_id() -> str:
    """Return the random id of this browser. It survives signing in and out, so one tab doesn't end the ceremony that
    another has begun."""
    if "browser" not in session:
        session.permanent = True
        session["browser"] = single_use.new_id()
    return session["browser"]


def this_client() -> Client:
    """Return browser, system and IP address of this request, for the activity and for mails."""
    return Client(describe(request.user_agent.string[:300]), (request.remote_addr or "")[:45])


def pending_sign_in() -> PendingSignIn | None:
    """Return this browser's last request for a sign-in mail, unless it is abandoned. Signing in removes it."""
    with suppress(KeyError, TypeError):  # there is none, or its fields are those of another release
        pending = PendingSignIn(**session["request"])
        if not pending.is_abandoned:
            return pending
    session.pop("request", None)
    return None


def remember_pending(pending: PendingSignIn) -> None:
    """Keep the request in this browser's cookie. It is stored nowhere else."""
    session["request"] = asdict(pending)
