"""One link is used by 32 requests at the same moment."""

from learn.lab.attacks import Attack, Cut
from learn.lab.stage import ADA, Stage

ATTACK = Attack(
    title="32 threads use one link",
    layer="mail",
    story=(
        "Many sites check if a link was used, and then write that it was. Eve has a copy of Ada’s cookie and mail, and "
        "sends 32 requests at the same moment. All of them check before the first one has written. With a link she "
        "gets many sessions, and with a voucher she gets its money many times."
    ),
    defence=(
        "One statement inserts the link’s id into a table, and its primary key lets only one request in. The site "
        "doesn’t check first."
    ),
    cuts=(
        Cut(
            "app/single_use.py",
            "    if not insert_if_absent(SpentToken, id=token.id, expires_at=token.expires_at):",
            """\
    was_used = is_spent(token.id)
    insert_if_absent(SpentToken, id=token.id, expires_at=token.expires_at)
    if was_used:""",
        ),
    ),
    refused="already_used",
    wins="One link has opened several sessions.",
    advice=(
        "Let one statement decide who is first: an insert under a unique key, an update with a condition, or a delete "
        "that returns its row. Test it with many threads at a barrier."
    ),
    test="test_once.py::test_one_link_signs_in_once",
    sources=(
        (
            "James Kettle: Smashing the state machine, the true potential of web race conditions (2023)",
            "https://portswigger.net/research/smashing-the-state-machine",
        ),
    ),
)


def attack(stage: Stage) -> bool:
    """Return True if more than one request was signed in."""
    ada = stage.person("Ada")
    link = ada.asks_for_a_link(ADA).link
    eve = stage.person("Eve")
    eve.copies_the_cookie_of(ada)
    tabs = eve.opens_tabs(32)
    answers = stage.at_once(tabs, lambda tab: tab.sends(link))
    winners = [tab for tab, answer in zip(tabs, answers, strict=True) if answer.status_code == 303]
    return len(winners) > 1 and all(tab.is_signed_in_as(ADA) for tab in winners)
