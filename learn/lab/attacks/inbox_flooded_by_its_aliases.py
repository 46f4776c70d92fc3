"""Eve has many mails sent to Ada, each to another spelling of her address."""

from learn.lab.attacks import Attack, Cut
from learn.lab.stage import Stage

ATTACK = Attack(
    title="One inbox is flooded by its aliases",
    layer="mail",
    story=(
        "Eve wants to flood Ada’s inbox, but sites limit the mails to one address. Many providers deliver mail for "
        "ada+1@example.com, ada+2@example.com and so on to ada@example.com. To a site that counts mails per address, "
        "each of them is new, and none reaches its limit. (The limit here is five mails an hour in both runs, instead "
        "of twenty.)"
    ),
    defence=(
        "All addresses of an inbox share one count: the site leaves out a part after “+”, and at Gmail the dots. Only "
        "the count does so, because accounts keep their exact address."
    ),
    cuts=(
        Cut(
            "app/views/shared/allowances.py",
            "inbox, client = limits.inbox(email), _this_client()",
            "inbox, client = email, _this_client()",
        ),
    ),
    refused="too_many_mails_to_address",
    settings={"limit_mails_to_address": "5 per 60 minutes"},
    wins="The site has sent Ada ten mails that she didn’t ask for.",
    advice=(
        "Count by inbox: without a part after “+”, and without dots at Gmail. Never use this form to find an account, "
        "or mail for one person may reach another."
    ),
    test="test_limits.py::test_all_addresses_of_one_inbox_share_one_count",
)


def attack(stage: Stage) -> bool:
    """Return True if all ten mails have arrived."""
    aliases = [f"ada+{number}@example.com" for number in range(10)]
    for number, alias in enumerate(aliases):
        eve = stage.person("Eve")
        eve.ip = f"192.0.2.{number}"
        eve.sends("/sign-in", email=alias)
    return all(stage.mailbox(alias) for alias in aliases)
