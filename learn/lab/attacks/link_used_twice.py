"""A sign-in link is used twice."""

from learn.lab.attacks import Attack
from learn.lab.cuts import TOKEN_IS_NOT_SPENT
from learn.lab.stage import ADA, Stage

ATTACK = Attack(
    title="A link is used twice",
    layer="mail",
    story=(
        "Ada signs in by mail on a shared computer, and signs out again. Eve has left the developer tools open in that "
        "browser. They show her the link, and the cookie that was sent with it. Where a link works until it expires, "
        "Eve sends both again, and is Ada now."
    ),
    defence="Signing in spends the link: its id goes into a table whose primary key takes it only once.",
    cuts=(TOKEN_IS_NOT_SPENT,),
    refused="already_used",
    wins="Eve is signed in as Ada.",
    advice=(
        "Keep the ids of used links in a table, and insert the id in the same transaction that signs in. The primary "
        "key decides who is first."
    ),
    test="test_sign_in_links.py::test_used_link_is_refused",
)


def attack(stage: Stage) -> bool:
    """Return True if Eve is signed in as Ada."""
    ada = stage.person("Ada")
    mail = ada.asks_for_a_link(ADA)
    eve = stage.person("Eve")
    eve.copies_the_cookie_of(ada)  # as the developer tools have kept it
    ada.opens(mail.link)
    ada.sends(mail.link)
    ada.signs_out()
    eve.sends(mail.link)
    return eve.is_signed_in_as(ADA)
