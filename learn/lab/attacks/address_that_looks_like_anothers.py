"""Eve signs up with an address that looks like Ada's."""

from learn.lab.attacks import Attack, Cut
from learn.lab.stage import Stage

# The first two letters after the @ are Cyrillic.
LOOKALIKE = "ada@\N{CYRILLIC SMALL LETTER IE}\N{CYRILLIC SMALL LETTER HA}ample.com"
AS_ASCII = "ada@xn--ample-ywe6i.com"

ATTACK = Attack(
    title="An address that looks like another’s",
    layer="mail",
    story=(
        "Eve registers a domain that looks like example.com, but its e and x are Cyrillic letters. She signs in with "
        f"{LOOKALIKE}. A colleague who shares a file with Ada picks this address, and Eve gets the file. Sites make a "
        "similar mistake: GitHub and Django took two spellings for one, and mailed one person’s link to another."
    ),
    defence=(
        "The site stores, compares, shows and mails one form of an address. It is ASCII, and other letters in the "
        "domain are encoded (xn--). Before the @, only ASCII is accepted."
    ),
    cuts=(Cut("app/email_addresses.py", "{valid.ascii_domain}", "{valid.domain}"),),
    refused="",
    wins="Eve has an account whose address looks like Ada’s.",
    advice=(
        "Bring each address into one ASCII form as soon as it is typed. Use only that form: to store, to compare, to "
        "show, and to send mail."
    ),
    test="test_email_addresses.py::test_address_has_one_form",
    sources=(
        (
            "Xudong Zheng: Phishing with Unicode Domains (2017)",
            "https://www.xudongz.com/blog/2017/idn-phishing/",
        ),
        (
            "Hacking GitHub with Unicode’s dotless i: a password reset went to another spelling (2019)",
            "https://eng.getwisdom.io/hacking-github-with-unicode-dotless-i/",
        ),
        (
            "Django security releases: CVE-2019-19844, potential account hijack via password reset form",
            "https://www.djangoproject.com/weblog/2019/dec/18/security-releases/",
        ),
    ),
)


def attack(stage: Stage) -> bool:
    """Return True if Eve is signed in, and her page shows the lookalike."""
    eve = stage.person("Eve")
    eve.sends("/sign-in", email=LOOKALIKE)
    link = stage.mailbox(AS_ASCII)[0].link
    eve.opens(link)
    eve.sends(link)
    return eve.is_signed_in_as(LOOKALIKE)
