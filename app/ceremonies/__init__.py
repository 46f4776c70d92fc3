"""The two ceremonies of WebAuthn."""
