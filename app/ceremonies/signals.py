"""What the authenticator is told (WebAuthn L3 5.1.10, "Signal Credential Changes"): only what is proven.

RP ID `localhost` is shared by every site on every port of a machine, and a wrong signal destroys a good passkey. So
each names a credential or a user handle of this site's own, and the list of all accepted ones is only sent empty.
"""

from flask import current_app

from app.ceremonies.verification import encode

Signal = dict[str, object]


def unknown_credential(credential_id: bytes) -> Signal:
    """This passkey signs nobody in (5.1.10.2): stop offering it."""
    return _signal("signalUnknownCredential", credentialId=encode(credential_id))


def no_credentials(user_handle: bytes) -> Signal:
    """The account is gone (5.1.10.3): stop offering any of its passkeys."""
    return _signal("signalAllAcceptedCredentials", userId=encode(user_handle), allAcceptedCredentialIds=[])


def user_details(user_handle: bytes, name: str) -> Signal:
    """The account is called something else now (5.1.10.4)."""
    return _signal("signalCurrentUserDetails", userId=encode(user_handle), name=name, displayName=name)


def _signal(method: str, **details: object) -> Signal:
    return {"method": method, "rpId": current_app.config["RP_ID"], **details}
