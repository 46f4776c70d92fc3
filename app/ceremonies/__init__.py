"""The two ceremonies of WebAuthn, from the relying party's side: registration and authentication.

Sections refer to Web Authentication Level 3. The rows that ceremonies leave behind belong to app/passkeys.py.
"""
