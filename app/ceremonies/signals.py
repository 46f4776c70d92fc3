"""Signals to the authenticator about credentials that have changed (L3 5.1.10). We send only proven facts.

Every site on every port of a machine shares the RP ID `localhost`, and a wrong signal destroys a good passkey. So each
signal names a credential or a user handle of this site. The list of accepted credentials is only ever sent empty.
"""

from flask import current_app

from app.ceremonies.base64url import encode

Signal = dict[str, object]


def unknown_credential(credential_id: bytes) -> Signal:
    """Say that this passkey signs nobody in (L3 5.1.10.2). The authenticator stops offering it."""
    return _signal("signalUnknownCredential", credentialId=encode(credential_id))


def no_credentials(user_handle: bytes) -> Signal:
    """Say that the account is deleted (L3 5.1.10.3). The authenticator stops offering its passkeys."""
    return _signal("signalAllAcceptedCredentials", userId=encode(user_handle), allAcceptedCredentialIds=[])


def user_details(user_handle: bytes, name: str) -> Signal:
    """Say that the account has another name now (L3 5.1.10.4)."""
    return _signal("signalCurrentUserDetails", userId=encode(user_handle), name=name, displayName=name)


def _signal(method: str, **details: object) -> Signal:
    return {"method": method, "rpId": current_app.config["RP_ID"], **details}
