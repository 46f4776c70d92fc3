"""A recovery code is used twice."""

from learn.lab.attacks import Attack, Cut
from learn.lab.stage import ADA, Stage

ATTACK = Attack(
    title="A recovery code used twice",
    layer="sessions",
    story=(
        "Ada has lost her phone, and signs in with a mail and a recovery code from her sheet of paper. She crosses the "
        "code out and leaves the paper on her desk. Eve reads Ada’s mail already, and now has the code, too. Where a "
        "code is only compared, a crossed-out one is as good as new."
    ),
    defence=(
        "One statement finds the code and deletes it. So it works once, even if two requests arrive at the same moment."
    ),
    cuts=(
        Cut(
            "app/second_step.py",
            "return recovery_codes.spend(user.id, recovery_code)",
            "return recovery_codes.count(user.id)  # checked above, but not deleted",
        ),
    ),
    refused="wrong_recovery_code",
    wins="Eve is signed in as Ada.",
    advice=(
        "Store a hash of each code, and delete it by the statement that finds it. If that deletes no row, refuse. Tell "
        "the owner by mail that a code was used."
    ),
    test="test_second_step.py::test_recovery_code_works_once",
)


def attack(stage: Stage) -> bool:
    """Return True if Eve is signed in as Ada."""
    ada, eve = stage.person("Ada"), stage.person("Eve")
    ada.signs_in_by_mail(ADA)
    code = ada.requires_a_passkey()[0]
    ada.signs_out()
    for person in (ada, eve):
        link = person.asks_for_a_link(ADA).link
        person.opens(link)
        second_step = person.sends(link).location
        person.sends(second_step, code=code)
    assert ada.is_signed_in_as(ADA)
    return eve.is_signed_in_as(ADA)
