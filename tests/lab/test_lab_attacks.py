"""Every attack of the lab, both ways: the site refuses it, and without the defence it succeeds."""

import re

import pytest

from learn.lab import results, runner
from tests import databases
from tests.conftest import ROOT

ATTACKS = runner.all_attacks()

# On PostgreSQL, only those where the database decides who is first.
if databases.SERVER:
    ATTACKS = {name: ATTACKS[name] for name in ("link_used_twice", "link_in_32_threads", "recovery_code_used_twice")}

# An attack that takes several cuts: each of them alone must leave it without success.
ALONE = [
    (name, number) for name, attack in ATTACKS.items() if len(attack.cuts) > 1 for number in range(len(attack.cuts))
]


@pytest.fixture
def verdict_of(tmp_path):
    """Return a function that runs an attack on an empty database of its own, and returns the verdict."""

    def run(name: str, cuts=()) -> dict:
        uri = databases.make(tmp_path).get("FLASK_SQLALCHEMY_DATABASE_URI", "")
        *steps, verdict = runner.run(name, cuts, uri)
        assert steps, verdict["error"]
        assert verdict["verdict"] != "void", verdict["error"]
        return verdict

    yield run
    databases.drop(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ATTACKS)
def test_site_refuses_the_attack_for_its_reason(name, verdict_of):
    verdict = verdict_of(name)
    assert runner.holds(ATTACKS[name], verdict), verdict
    assert bool(verdict["line"]) == bool(ATTACKS[name].refused)
    # The pages show what was recorded. If this differs, run `flask lab run --all --record`.
    recorded = results.recorded()[name, ""].verdict
    assert (recorded["verdict"], set(recorded["reasons"])) == ("held", set(verdict["reasons"]))
    # Which of two lines refuses the last of 32 threads depends on the race.
    if name != "link_in_32_threads":
        assert (recorded["line"] or {}).get("line") == (verdict["line"] or {}).get("line")


@pytest.mark.slow
@pytest.mark.parametrize("name", ATTACKS)
def test_attack_succeeds_without_the_defence(name, verdict_of):
    assert verdict_of(name, ATTACKS[name].cuts)["verdict"] == "succeeded"
    assert results.recorded()[name, "all"].verdict["verdict"] == "succeeded"


@pytest.mark.slow
@pytest.mark.parametrize(("name", "number"), ALONE)
def test_taking_out_one_of_several_defences_changes_nothing(name, number, verdict_of):
    assert verdict_of(name, [ATTACKS[name].cuts[number]])["verdict"] == "held"


@pytest.mark.parametrize("name", ATTACKS)
def test_attack_is_told_in_full(name):
    attack = ATTACKS[name]
    assert attack.layer in runner.LAYERS
    assert attack.cuts
    assert bool(attack.alone) == (len(attack.cuts) > 1)
    sentences = len(re.findall(r"[.?!](?:\s|$)", attack.story))
    assert 2 <= sentences <= 5, f"the story of {name} has {sentences} sentences"
    file, _, test = attack.test.partition("::")
    assert f"def {test}(" in (ROOT / "tests" / file).read_text()
    for cut in attack.cuts:
        assert (ROOT / cut.file).read_text().count(cut.old) == 1, f"a cut of {name} doesn't fit {cut.file}"
