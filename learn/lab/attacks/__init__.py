"""The attacks, one module each. `ATTACK` describes it, and `attack(stage)` returns True if the attacker has won."""

import re
from dataclasses import dataclass, field

LONGEST_LEAD = 125


@dataclass(frozen=True)
class Cut:
    """A change that takes out a defence. `old` occurs exactly once in the file."""

    file: str
    old: str
    new: str


@dataclass(frozen=True)
class Attack:
    """An attack, in words for its page."""

    title: str
    layer: str
    """"mail", "passkeys" or "sessions"."""
    story: str
    """The attacker's aim, and the reason why it works elsewhere. About three sentences."""
    defence: str
    """The defence, in one to three sentences. The first one stands in the table of the README."""
    cuts: tuple[Cut, ...]
    """They take the defence out. With all of them, the attack succeeds."""
    refused: str
    """The reason of the refusal, or "" if the attack is not refused but comes to nothing."""
    wins: str
    """The attacker's gain if it succeeds."""
    advice: str
    """Advice for an application of one's own."""
    test: str
    """The test of the site: "test_sign_in_links.py::test_used_link_is_refused"."""
    alone: str = ""
    """If it takes several cuts: why one of them alone changes nothing."""
    always: tuple[Cut, ...] = ()
    """Changes for both runs. `story` says so."""
    event: str = ""
    """If nothing is refused: the event in the log that shows that the defence worked."""
    sources: tuple[tuple[str, str], ...] = ()
    """Real incidents or published reports: a title and a URL."""
    settings: dict[str, str] = field(default_factory=dict)
    """Settings of the site for both runs: `{"limit_mails": "2 per 15 minutes"}`."""

    @property
    def lead(self) -> str:
        """The first sentences of the story, for the card of the attack."""
        sentences = re.split(r"(?<=[.?!])\s+", self.story)
        count = 1
        while len(" ".join(sentences[: count + 1])) <= LONGEST_LEAD and count < len(sentences):
            count += 1
        return " ".join(sentences[:count])
