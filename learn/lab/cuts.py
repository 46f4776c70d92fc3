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

CHALLENGE_WORKS_IN_ANY_BROWSER = Cut(
    "app/ceremonies/verification.py",
    "token = single_use.read(attempt.purpose, challenge, **bound_to)",
    "token = single_use.read(attempt.purpose, challenge)",
)
