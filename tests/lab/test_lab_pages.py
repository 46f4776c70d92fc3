"""The pages of the lab: attacks with their results, runs by button, and who may use them."""

import json
import re
from collections.abc import Iterator
from contextlib import closing

import html5lib
import pytest
from flask import Flask
from html5lib.constants import E
from werkzeug.test import TestResponse

import learn
from learn.lab import results, runner, views
from tests.conftest import PUBLIC, ROOT, Visitor, expect, parse, text_of

ATTACKS = runner.all_attacks()
NAME, TWO_CUTS = "link_used_twice", "link_of_a_stranger"


@pytest.fixture
def app(app) -> Flask:
    """The site with its teaching parts."""
    learn.init_app(app, {})
    return app


@pytest.fixture(autouse=True)
def no_runs(monkeypatch) -> None:
    """Begin without any run in this process."""
    monkeypatch.setattr(results, "_last", {})


@pytest.fixture
def free_places() -> Iterator[None]:
    """Assert that the test leaves both places free."""
    yield
    free = [runner.places.acquire(timeout=10) for _ in range(2)]
    runner.places.release(2)
    assert free == [True, True]


def run(visitor: Visitor, name: str, without: str = "") -> TestResponse:
    """Press a button of the attack's page, and wait for the whole answer."""
    return visitor.post(f"/lab/{name}", {"without": without}, buffered=True)


def problems(page: TestResponse) -> list[str]:
    """Return what is wrong with the page's HTML."""
    parser = html5lib.HTMLParser()
    parser.parse(page.text)
    return [f"{E[code] % values} (line {line})" for (line, _), code, values in parser.errors]


def part(page: TestResponse, id: str) -> str:
    """Return the text of the element with this id."""
    return text_of(parse(page).find(f".//*[@id='{id}']"))


# Without a run.


def test_index_has_every_attack_with_its_recorded_result(visitor):
    page = expect(visitor.get("/lab/"), 200)
    assert problems(page) == []
    cards = {card.find(".//a").get("href"): text_of(card) for card in parse(page).findall(".//ul[@class='cards']/li")}
    assert list(cards) == [f"/lab/{name}" for name in ATTACKS]
    for name, attack in ATTACKS.items():
        assert (f"Refused {attack.refused}" if attack.refused else "Comes to nothing") in cards[f"/lab/{name}"]
        assert "Succeeds without it" in cards[f"/lab/{name}"]
    assert "You have run none yet" in page.text


@pytest.mark.parametrize("name", ATTACKS)
def test_page_of_each_attack_tells_all_about_it(visitor, name):
    page, attack = expect(visitor.get(f"/lab/{name}"), 200), ATTACKS[name]
    assert problems(page) == []
    text = text_of(parse(page).find(".//main"))
    for words in (attack.title, attack.lead, attack.defence, attack.wins, attack.advice, attack.alone):
        assert " ".join(words.replace("`", "").split()) in text
    assert attack.test.partition("::")[2] in text
    links = {link.get("href") for link in parse(page).iter("a")}
    assert {url for _, url in attack.sources} <= links
    assert all(link.removeprefix("#") in page.text for link in links if link.startswith("#"))
    assert "def attack(stage: Stage)" in text
    for cut in attack.cuts:
        assert cut.file in part(page, "as-it-is")
        assert cut.file in part(page, "without")
    assert "recorded" in part(page, "as-it-is")
    assert (f"Refused: {attack.refused}" if attack.refused else "It comes to nothing") in part(page, "as-it-is")


def test_cut_is_shown_with_its_line_in_the_file(visitor):
    page = parse(visitor.get(f"/lab/{NAME}"))
    [cut] = ATTACKS[NAME].cuts
    [removed], [added] = page.findall(".//del"), page.findall(".//ins")
    assert "".join(removed.itertext()).strip() == cut.old.strip()
    assert "".join(added.itertext()).strip() == "if False:"
    number = (ROOT / cut.file).read_text().partition(cut.old)[0].count("\n") + 1
    assert removed.get("data-line") == f"− {number}"


def test_refused_ceremony_shows_its_checks_with_the_failing_one_open(visitor):
    page = parse(visitor.get("/lab/phishing_site"))
    [opened] = [each for each in page.iter("details") if each.get("data-step") and "open" in each.attrib]
    assert opened.get("data-reason") == "wrong_origin"
    assert [text_of(each) for each in opened.iter("u")] == ["8000", "6660"]


@pytest.mark.parametrize("path", ["/lab/no_such_attack", "/lab/__init__", "/lab/..%2Fcuts", "/lab/link_used_twice.py"])
def test_unknown_attack_is_not_found(visitor, path, monkeypatch):
    monkeypatch.setattr(runner, "run_in_place", None)  # nothing may start
    expect(visitor.get(path), 404)
    expect(visitor.post(path, {"without": ""}), 404)


@pytest.mark.parametrize("without", ["2", "0", "-1", "everything", "app/codes.py"])
def test_unknown_cut_is_not_found(visitor, without, monkeypatch):
    monkeypatch.setattr(runner, "run_in_place", None)
    expect(run(visitor, NAME, without), 404)


# Runs.


@pytest.mark.slow
def test_attack_is_refused_and_succeeds_without_the_defence(visitor, free_places, reasons):
    held = expect(run(visitor, NAME), 200)
    assert problems(held) == []
    assert "run just now" in part(held, "as-it-is")
    assert "Refused: already_used" in part(held, "as-it-is")
    lost = expect(run(visitor, NAME, "all"), 200)
    assert problems(lost) == []
    assert "Eve is signed in as Ada." in part(lost, "without")
    assert "recorded" not in part(lost, "as-it-is") + part(lost, "without")
    # This process has met neither run.
    assert reasons == []
    index = expect(visitor.get("/lab/"), 200)
    assert f"1 of {len(ATTACKS)} run here, none came through · 1 seen without the defence" in text_of(parse(index))


@pytest.mark.slow
def test_one_cut_of_several_is_run_alone(visitor, free_places):
    page = expect(run(visitor, TWO_CUTS, "2"), 200)
    assert problems(page) == []
    assert "Taking out this one alone changes nothing." in part(page, "alone-2")
    assert "Taking out" not in part(page, "alone-1")


@pytest.mark.slow
def test_steps_are_sent_as_they_happen(visitor, free_places):
    sent = ""
    with closing(visitor.post(f"/lab/{NAME}", {"without": ""}, buffered=False)) as answer:
        for chunk in answer.iter_encoded():
            sent += chunk.decode()
            if "asks for a mail" in sent:
                break
    # The attack has only begun: the step of signing out has not been sent yet.
    assert "GET" not in sent


@pytest.mark.slow
def test_run_ends_when_its_visitor_leaves(visitor, free_places):
    with closing(visitor.post(f"/lab/{NAME}", {"without": ""}, buffered=False)) as answer:
        next(answer.iter_encoded())
    assert results.last(NAME, "").at is None


def test_third_run_at_once_is_told_to_wait(visitor, monkeypatch, reasons, free_places):
    monkeypatch.setattr(views, "PATIENCE_SECONDS", 0)
    with runner.places, runner.places:
        page = expect(run(visitor, NAME), 429)
    assert problems(page) == []
    assert Visitor.alert(page) == "Two attacks are running already. Wait a few seconds, and try again."
    assert reasons == ["too_many_runs"]


def test_crash_of_a_run_is_shown_as_void(visitor, monkeypatch, free_places):
    verdict = {"step": "verdict", "verdict": "void", "reasons": [], "line": None, "error": "<KeyError>"}
    monkeypatch.setattr(runner, "run_in_place", lambda name, cuts: (step for step in [verdict]))
    page = expect(run(visitor, NAME), 200)
    assert problems(page) == []
    assert "The run is void" in part(page, "as-it-is")
    assert "<KeyError>" in part(page, "as-it-is")


def test_signed_in_visitor_sees_the_lab_too(ada, free_places, monkeypatch):
    steps = results.recorded()[NAME, ""].steps
    monkeypatch.setattr(runner, "run_in_place", lambda name, cuts: (step for step in steps))
    page = expect(run(ada, NAME), 200)
    assert "ada@example.org" in page.text
    assert ada.is_signed_in()


# Who may use it.


@pytest.mark.parametrize("path", ["/lab/", f"/lab/{NAME}"])
def test_lab_answers_this_machine_only(visitor, path):
    expect(visitor.get(path, environ_base={"REMOTE_ADDR": "192.0.2.1"}), 404)
    expect(visitor.get(path, headers={"X-Forwarded-For": "192.0.2.1"}), 404)


def test_run_is_started_from_this_machine_only(visitor, monkeypatch):
    monkeypatch.setattr(runner, "run_in_place", None)
    expect(visitor.post(f"/lab/{NAME}", {"without": ""}, environ_base={"REMOTE_ADDR": "192.0.2.1"}), 404)


def test_form_of_another_site_starts_no_run(visitor, monkeypatch):
    monkeypatch.setattr(runner, "run_in_place", None)
    expect(visitor.post(f"/lab/{NAME}", {"without": ""}, headers={"Sec-Fetch-Site": "cross-site"}), 403)


def test_header_leads_to_the_lab(visitor):
    links = [
        each.get("href") for each in parse(visitor.get("/")).findall(".//header//a") if text_of(each) == "Attack it"
    ]
    assert links == ["/lab/"]


def test_public_site_has_no_lab(make_app):
    app = make_app(**PUBLIC)
    learn.init_app(app, {"FLASK_LEARN": "true"})
    visitor = Visitor(app)
    expect(visitor.get("/lab/"), 404)
    assert "Attack it" not in visitor.get("/").text


def test_site_without_the_teaching_parts_has_no_link_to_the_lab(make_app):
    visitor = Visitor(make_app())
    expect(visitor.get("/lab/"), 404)
    assert "Attack it" not in visitor.get("/").text


# What was recorded. `test_lab_attacks.py` compares it with real runs.


def test_recording_has_every_attack_and_no_other():
    recorded = json.loads(results.RECORDED.read_text())
    assert list(recorded) == list(ATTACKS), "run `flask lab run --all --record`"
    assert set(results.recorded()) == {(name, without) for name in ATTACKS for without in ("", "all")}


@pytest.mark.slow
def test_two_recordings_of_an_attack_are_the_same(tmp_path, monkeypatch):
    recordings = []
    for number in range(2):
        monkeypatch.setattr(results, "RECORDED", tmp_path / f"{number}.json")
        results.record({"user_handle_swapped": {"": list(runner.run("user_handle_swapped"))}})
        recordings.append(results.RECORDED.read_text())
    assert "wrong_user_handle" in recordings[0]
    assert recordings[0] == recordings[1]


@pytest.mark.parametrize("name", ATTACKS)
def test_lines_of_the_recording_are_in_the_code_as_it_is_now(name):
    held, lost = results.recorded()[name, ""], results.recorded()[name, "all"]
    assert bool(held.verdict["line"]) == bool(ATTACKS[name].refused), "run `flask lab run --all --record`"
    numbers = {line.number for line in views.listings.of_attack(name).lines}
    assert {step["at"] for step in held.steps + lost.steps if step.get("at")} <= numbers


def test_table_of_the_readme_is_from_the_recording():
    table = re.search(r"<!-- The table .*?-->\n(.*?)<!--", (ROOT / "README.md").read_text(), re.DOTALL)[1]
    assert table == results.matrix(), "put the output of `flask lab matrix` into the README"


@pytest.mark.parametrize("name", ATTACKS)
def test_each_attack_is_in_the_row_of_its_test(name):
    rows = (ROOT / "docs/security.md").read_text().splitlines()
    own = [row for row in rows if f"[`{name}`](../learn/lab/attacks/{name}.py)" in row]
    assert own, f"docs/security.md has no row with {name}"
    assert all(ATTACKS[name].test in row for row in own)


def test_rows_name_attacks_that_exist():
    named = re.findall(r"\(\.\./learn/lab/attacks/(\w+)\.py\)", (ROOT / "docs/security.md").read_text())
    assert set(named) == set(ATTACKS)
