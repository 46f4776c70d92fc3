"""A mail scanner opens the link before its owner does."""

from learn.lab.attacks import Attack, Cut
from learn.lab.cuts import LINK_NAMES_ITS_ACCOUNT, LINK_WORKS_IN_ANY_BROWSER
from learn.lab.stage import ADA, Stage

ATTACK = Attack(
    title="A scanner opens the link",
    layer="mail",
    story=(
        "Nobody means harm here. Ada’s company has a mail server that opens every link in every mail, to look for "
        "malware. Where opening a link signs in, the scanner is signed in as Ada. The link is used up before she sees "
        "it. The same scanner would confirm an account that Eve has opened with Ada’s address."
    ),
    defence=(
        "Opening a link changes nothing: GET only shows a page with a button, and scanners press no buttons. Besides, "
        "the link works only in the browser that asked for it."
    ),
    cuts=(
        Cut(
            "app/views/sign_in/link.py",
            """return render_template("sign_in/confirm.html", pending=pending, action=url_for(".use", token=token))""",
            "return use(token)",
        ),
        LINK_NAMES_ITS_ACCOUNT,
        LINK_WORKS_IN_ANY_BROWSER,
    ),
    refused="",
    wins="The scanner is signed in as Ada, and Ada’s link no longer works.",
    advice=(
        "Let GET show a page with a button, and let only its POST use the link. Don’t submit that form by a script, "
        "because some scanners run scripts."
    ),
    test="test_sign_in_links.py::test_opening_a_link_many_times_changes_nothing",
    alone=(
        "If GET signs in, the site still refuses the scanner, because another browser asked for the link. If the link "
        "works in any browser, or names its account, the scanner still presses no button."
    ),
    sources=(
        (
            "Ghost Forum: Magic links don’t work when Outlook “safe links” are enabled",
            "https://forum.ghost.org/t/magic-links-don-t-work-when-outlook-safe-links-are-enabled/18033",
        ),
        (
            "Supabase: link scanners use up magic links",
            "https://github.com/supabase/auth/issues/1214",
        ),
    ),
)


def attack(stage: Stage) -> bool:
    """Return True if the scanner is signed in as Ada, and she can't use her link."""
    ada, scanner = stage.person("Ada"), stage.person("Scanner")
    link = ada.asks_for_a_link(ADA).link
    scanner.opens(link)
    ada.opens(link)
    ada.sends(link)
    return scanner.is_signed_in_as(ADA) and not ada.is_signed_in_as(ADA)
