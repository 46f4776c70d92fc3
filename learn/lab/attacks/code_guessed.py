"""The mailed code is guessed."""

from app.codes import ALPHABET
from learn.lab.attacks import Attack, Cut
from learn.lab.stage import ADA, Stage

ATTACK = Attack(
    title="The code is guessed",
    layer="mail",
    story=(
        "Eve asks for a mail to Ada’s address. She can’t read the mail, but its code is short, and her program tries "
        "many. Where nobody counts, a code of six digits falls: a program sends a million requests within hours. (So "
        "that you needn’t wait here, codes have two letters in both runs, and her thirtieth guess is right.)"
    ),
    defence=(
        "The site counts every code that is typed for a request, and compares afterwards. The tenth wrong one ends the "
        "request, so that even the right code and the link are refused. A real code is one of 55 billion."
    ),
    always=(Cut("app/codes.py", "LENGTH = 8", "LENGTH = 2"),),
    cuts=(Cut("app/codes.py", "count = limits.count_code(token.id)", "count = 0"),),
    refused="too_many_wrong_codes",
    wins="Eve is signed in as Ada.",
    advice=(
        "Count attempts per code in the database, before you compare, and end the code after ten. A count per IP "
        "address isn’t enough, because addresses are cheap."
    ),
    test="test_limits.py::test_link_and_code_stop_working_after_ten_wrong_codes",
    sources=(
        (
            "Laxman Muthiyah: How I Could Have Hacked Any Instagram Account (2019)",
            "https://thezerohack.com/hack-any-instagram",
        ),
    ),
)


def attack(stage: Stage) -> bool:
    """Return True if Eve is signed in as Ada."""
    eve = stage.person("Eve")
    right = eve.asks_for_a_link(ADA).code
    wrong = [first + second for first in ALPHABET for second in ALPHABET if first + second != right]
    for guess in (*wrong[:29], right):
        eve.sends("/sign-in/code", code=guess)
    return eve.is_signed_in_as(ADA)
