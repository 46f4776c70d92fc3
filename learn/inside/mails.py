"""A sign-in by mail, as the activity keeps it, and the checks that it passed.

A refused one is in nobody's activity: without proof of the mailbox, there is only an address that somebody typed.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from app.views.site.templating import duration
from learn.inside.ceremonies import has_types, parse
from learn.inside.checks import PASSED, Check, Result, Texts

SINGLE_USE, LINKS, CODES = "app/single_use.py", "app/sign_in_links.py", "app/codes.py"


@dataclass(frozen=True)
class Mailed:
    """A sign-in by mail."""

    id: str
    """The id that link and code share: using either of them spends it."""
    email: str
    expires_at: datetime
    asked_at: datetime
    """The time of the first mail."""
    sent_at: datetime
    """The time of the last mail."""
    used_at: datetime
    claims: dict[str, str] | None
    """The claims of the link's token, or None if the code was typed."""
    is_new: bool

    @property
    def kind(self) -> str:
        """ "link" or "code": the way that was used."""
        return "code" if self.claims is None else "link"


def read(transcript: str) -> Mailed | None:
    """Return the sign-in of a transcript (`ProvenEmail.transcript`), or None if this text is none."""
    try:
        parts: dict[str, Any] = parse(transcript)
        if parts.pop("ceremony") != "mail":
            return None
        for name in ("asked_at", "sent_at", "expires_at", "used_at"):
            parts[name] = datetime.fromtimestamp(parts[name] / 1000, UTC)
        mailed = Mailed(**parts)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return None
    return mailed if has_types(mailed) else None


def judge(mailed: Mailed) -> list[Result]:
    """Return the checks that the site made, in its order. The site kept the sign-in, so it passed them all."""
    return [Result(check, PASSED, *check.judge(mailed)) for check in CHECKS[mailed.kind]]


def _waited(mailed: Mailed) -> Texts:
    seconds = (mailed.used_at - mailed.asked_at).total_seconds()
    return "within ten minutes of the first mail", f"after {duration(round(seconds))}"


def _browser(mailed: Mailed) -> Texts:
    asked_with = (mailed.claims or {}).get("asked_with", "")
    return "the browser that asked", f"the browser that asked: {asked_with}" if asked_with else "the browser that asked"


# `why` begins with "Without it, ".

MADE_HERE = Check(
    key="made_here",
    step="",
    group="link",
    title="The link was made here, to sign in",
    why="Without it, anybody could write a link for any account.",
    by="site",
    file=SINGLE_USE,
    name="read",
    line=".loads(text",
    tests=("test_sign_in_links.py::test_damaged_link_is_refused",),
    reasons=(
        "malformed_token",
        "from_the_future",
    ),
    judge=lambda mailed: ("signed by this site", f"signed by this site, with the id {mailed.id}"),
)
IN_TIME = Check(
    key="in_time",
    step="",
    group="link",
    title="It had not expired",
    why="Without it, an old mail would open the account for years, to anybody who finds it.",
    by="site",
    file=SINGLE_USE,
    name="read",
    line="if expires_at <= now()",
    tests=("test_sign_in_links.py::test_expired_link_is_refused",),
    reasons=("expired",),
    judge=_waited,
)
RIGHT_BROWSER = Check(
    key="right_browser",
    step="",
    group="who",
    title="This browser had asked for it",
    why=(
        "Without it, somebody could send you a link of their own. You would be signed in to their "
        "account without noticing, and they would read what you write there. And somebody "
        "who sees your mail could use your link first."
    ),
    by="site",
    file=LINKS,
    name="check_browser",
    line="pending.id == link.id",
    tests=("test_sign_in_links.py::test_link_does_not_sign_in_another_browser",),
    reasons=(
        "other_browser",
        "newer_mail",
    ),
    judge=_browser,
)
WAITING = Check(
    key="waiting",
    step="",
    group="who",
    title="This browser was waiting for a code",
    why="Without it, a code could be tried in any browser, by anybody.",
    by="site",
    file=LINKS,
    name="redeem_code",
    line="if not pending",
    tests=("test_sign_in_links.py::test_code_does_not_work_in_a_browser_that_did_not_ask",),
    reasons=("no_request",),
    judge=_browser,
)
CODE_IN_TIME = Check(
    key="code_in_time",
    step="",
    group="link",
    title="It had not expired",
    why="Without it, there would be years of time to guess it.",
    by="site",
    file=LINKS,
    name="redeem_code",
    line="if pending.expires_at <= now()",
    tests=("test_sign_in_links.py::test_expired_code_is_refused",),
    reasons=("expired",),
    judge=_waited,
)
RIGHT_CODE = Check(
    key="right_code",
    step="",
    group="link",
    title="It was the code of this request",
    why=(
        "Without it, a code that was mailed to one person would sign in another. After ten wrong codes, "
        "the request is over."
    ),
    by="site",
    file=CODES,
    name="check",
    line="hmac.compare_digest",
    tests=("test_sign_in_links.py::test_code_does_not_work_for_another_request",),
    reasons=(
        "wrong_code",
        "too_many_wrong_codes",
    ),
    judge=lambda _: ("eight letters and digits, made from the id with the site’s key", "the same ones"),
)
FIRST_TIME = Check(
    key="first_time",
    step="",
    group="site",
    title="It was used for the first time",
    why="Without it, the next person at this computer could use the link again, from the history.",
    by="site",
    file=SINGLE_USE,
    name="spend",
    line="insert_if_absent(",
    tests=("test_sign_in_links.py::test_used_link_is_refused",),
    reasons=("already_used",),
    judge=lambda _: ("never used before", "never used before"),
)
ENABLED = Check(
    key="enabled",
    step="",
    group="site",
    title="The account isn’t disabled",
    why="Without it, somebody whom the operator has locked out could come back by mail.",
    by="site",
    file=LINKS,
    name="_redeem",
    line="if user.is_disabled",
    tests=("test_cli.py::test_disabled_account_refuses_every_sign_in",),
    reasons=("account_disabled",),
    judge=lambda mailed: ("not disabled", "a new account, made just now" if mailed.is_new else "not disabled"),
)

CHECKS = {
    "link": (MADE_HERE, IN_TIME, RIGHT_BROWSER, FIRST_TIME, ENABLED),
    "code": (WAITING, CODE_IN_TIME, RIGHT_CODE, FIRST_TIME, ENABLED),
}
"""The checks of each way, in the site's order."""
