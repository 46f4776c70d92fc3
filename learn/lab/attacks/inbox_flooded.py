"""Eve has many mails sent to Ada."""

from learn.lab.attacks import Attack, Cut
from learn.lab.stage import ADA, Stage

ATTACK = Attack(
    title="One inbox is flooded",
    layer="mail",
    story=(
        "Eve wants to bury one mail to Ada, such as a warning from her bank, among hundreds of others. So she types "
        "Ada’s address into the forms of many sites, and each of them mails Ada. A limit per IP address doesn’t stop "
        "her, because she has rented many. (The limit here is five mails an hour in both runs, instead of twenty.)"
    ),
    defence=(
        "The site counts the mails to each inbox, no matter who asks for them, and refuses more. It counts each client "
        "as well, and each client with each inbox."
    ),
    cuts=(
        Cut(
            "app/views/shared/allowances.py",
            '"mails_to_address": (inbox,), ',
            "",
        ),
    ),
    refused="too_many_mails_to_address",
    settings={"limit_mails_to_address": "5 per 60 minutes"},
    wins="The site has sent Ada ten mails that she didn’t ask for.",
    advice=(
        "Wherever a stranger can make your site send a mail, count per recipient and per client, in the database. "
        "Count before you send."
    ),
    test="test_limits.py::test_one_address_gets_twenty_mails_an_hour",
    sources=(
        (
            "Brian Krebs: Massive Email Bombs Target .Gov Addresses (2016)",
            "https://krebsonsecurity.com/2016/08/massive-email-bombs-target-gov-addresses/",
        ),
    ),
)


def attack(stage: Stage) -> bool:
    """Return True if all ten mails have arrived."""
    for number in range(10):
        eve = stage.person("Eve")
        eve.ip = f"192.0.2.{number}"
        eve.sends("/sign-in", email=ADA)
    return len(stage.mailbox(ADA)) == 10
