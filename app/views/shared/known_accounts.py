"""The accounts that this browser has signed in to. Its cookie lists the last few.

An entry has two digests. The digest of the user handle names the account, even after its address has changed. The
digest of the address gives this browser its own count of mails to it. No account is looked up.
"""

from hashlib import sha256

from flask import session

MOST_ACCOUNTS = 5


def remember(user_handle: bytes, email: str) -> None:
    """Add the account to the list, or update its entry."""
    account = account_id(user_handle)
    others = [entry for entry in _entries() if entry[0] != account]
    session["known"] = [*others[1 - MOST_ACCOUNTS :], [account, _digest(email.encode())]]


def has_account(user_handle: bytes) -> bool:
    """Return True if this browser has signed in to this account before."""
    return account_id(user_handle) in [account for account, _ in _entries()]


def has_address(email: str) -> bool:
    """Return True if this browser has signed in to an account that had this address then."""
    return _digest(email.encode()) in [address for _, address in _entries()]


def account_id(user_handle: bytes) -> str:
    """Return the name of an account in the cookie: a digest of its user handle."""
    return _digest(user_handle)


def _entries() -> list[list[str]]:
    # A cookie of an earlier release has texts instead of pairs.
    return [entry for entry in session.get("known", ()) if isinstance(entry, list)]


def _digest(data: bytes) -> str:
    # This only keeps the cookie short. It hides nothing from the browser's owner, who knows the address.
    return sha256(data).hexdigest()[:16]
