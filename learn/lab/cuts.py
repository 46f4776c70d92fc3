"""Cuts that several attacks make."""

from learn.lab.attacks import Cut

# Together, these two make the link work for everybody who has it, as links of most sites do.
LINK_NAMES_ITS_ACCOUNT = Cut(
    "app/sign_in_links.py",
    "browser=_digest(browser_id), asked_with",
    "browser=_digest(browser_id), email=pending.email, asked_with",
)
LINK_WORKS_IN_ANY_BROWSER = Cut(
    "app/sign_in_links.py",
    """\
    raise Refusal("newer_mail" if link.claims""",
    """\
    if email := link.claims.get("email"):
        at = int(link.made_at.timestamp())
        return PendingSignIn(link.id, email, "", asked_at=at, sent_at=at)
    raise Refusal("newer_mail" if link.claims""",
)

# A link, a code or a challenge can be used again.
TOKEN_IS_NOT_SPENT = Cut(
    "app/single_use.py",
    "    if not insert_if_absent(SpentToken, id=token.id, expires_at=token.expires_at):",
    "    if False:",
)

CHALLENGE_WORKS_IN_ANY_BROWSER = Cut(
    "app/ceremonies/verification.py",
    "single_use.read(attempt.purpose, challenge, **bound_to)",
    "single_use.read(attempt.purpose, challenge)",
)

# The site expects the origin that the answer names.
ANY_ORIGIN = Cut(
    "app/ceremonies/verification.py",
    '        "expected_origin": attempt.facts.origin,',
    '        "expected_origin": _client_data(attempt.credential)["origin"],',
)

ANY_USER_HANDLE = Cut(
    "app/ceremonies/verification.py",
    "    if handle is not None and handle != expected:",
    "    if False:",
)
