"""The code of one request is typed for another."""

from learn.lab.attacks import Attack, Cut
from learn.lab.stage import ADA, EVE, Stage

ATTACK = Attack(
    title="A code of one request is typed for another",
    layer="mail",
    story=(
        "Eve asks for a mail to her own address, and reads the code. Then she asks for a mail to Ada’s address in the "
        "same browser, and types the code that she has. Some sites only check that they have sent this code to "
        "somebody. There, she is Ada now."
    ),
    defence=(
        "The code is derived from the id of one request, and the request holds the address. So each code fits one "
        "request only."
    ),
    cuts=(Cut("app/codes.py", "latchkey.code.{purpose.name}.{id}", "latchkey.code.{purpose.name}"),),
    refused="wrong_code",
    wins="Eve is signed in as Ada.",
    advice=(
        "Keep address, code and attempts in one record, and sign in the address of that record. Never take the address "
        "from the form or from a later request."
    ),
    test="test_sign_in_links.py::test_code_does_not_work_for_another_request",
)


def attack(stage: Stage) -> bool:
    """Return True if Eve is signed in as Ada."""
    eve = stage.person("Eve")
    code = eve.asks_for_a_link(EVE).code
    eve.asks_for_a_link(ADA)
    eve.sends("/sign-in/code", code=code)
    return eve.is_signed_in_as(ADA)
