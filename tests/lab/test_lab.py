"""The lab itself: it notices a missing defence, and a run reaches nothing outside of its folder."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import pytest

import learn
from learn.lab import runner
from learn.lab.attacks import Attack, Cut
from tests.conftest import PUBLIC, ROOT

NAME = "link_used_twice"
[CUT] = runner.all_attacks()[NAME].cuts

# The attack's own module can be changed like a module of the site. So these tests can have any program run.
ATTACK_FILE = f"learn/lab/attacks/{NAME}.py"
FIRST_LINE = '    ada = stage.person("Ada")'

# A crash while a link is redeemed.
CRASH = Cut(CUT.file, CUT.old, f"    raise KeyError(token)\n{CUT.old}")


def program(*lines: str) -> Cut:
    """Return a cut that runs these lines at the beginning of the attack."""
    return Cut(ATTACK_FILE, FIRST_LINE, "\n".join([*(f"    {line}" for line in lines), FIRST_LINE]))


def verdict_of(*cuts: Cut) -> dict:
    """Run the attack with these cuts, and return the verdict."""
    *_, verdict = runner.run(NAME, cuts)
    return verdict


def words_of(*lines: str) -> str:
    """Run these lines in an attack, and return what the first `stage.says` of them says."""
    steps = list(runner.run(NAME, [program(*lines)]))
    assert steps[-1]["verdict"] == "held", steps[-1]["error"]
    return next(step["words"] for step in steps if step["step"] == "words")


@pytest.fixture
def copy(tmp_path) -> Path:
    """Return a copy of the project without bytecode. Its lab has one attack."""
    for folder in ("app", "learn", "templates", "static"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("authenticator.py", "wsgi.py"):
        shutil.copy(ROOT / file, tmp_path)
    for file in (tmp_path / "learn" / "lab" / "attacks").iterdir():
        if file.stem not in ("__init__", NAME):
            file.unlink()
    return tmp_path


def lab(folder: Path, *words: str) -> tuple[int, str]:
    """Run `flask lab` in a copy of the project. Return its exit code and what it says."""
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "lab", *words]
    result = subprocess.run(command, cwd=folder, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True)
    assert not result.stderr, result.stderr
    return result.returncode, result.stdout


# The commands.


@pytest.fixture
def flask_lab(app):
    """Run `flask lab`, and return its exit code and what it says."""
    learn.init_app(app, {})

    def call(*words: str) -> tuple[int, str]:
        result = app.test_cli_runner().invoke(args=["lab", *words])
        return result.exit_code, result.output

    return call


def test_list_has_every_attack(flask_lab):
    code, said = flask_lab("list")
    assert code == 0
    names = {file.stem for file in (ROOT / "learn" / "lab" / "attacks").glob("*.py")} - {"__init__"}
    assert {line.split()[0] for line in said.splitlines()} == names


@pytest.mark.slow
def test_run_shows_each_step_and_the_line_that_refused(flask_lab):
    code, said = flask_lab("run", NAME)
    assert code == 0
    assert "A link is used twice" in said
    assert re.search(r"Eve +POST /sign-in/link/\S+ +4\d\d .*\[already_used\]", said)
    assert re.search(r"^Held app/\w+\.py:\d+ in \w+$", said, flags=re.M)


@pytest.mark.slow
def test_run_without_the_defence_succeeds(flask_lab):
    code, said = flask_lab("run", NAME, "--without-defence")
    assert code == 0
    assert said.endswith("Eve is signed in as ada@example.com.\n\nSucceeded\n")


def test_unknown_attack_is_told(flask_lab):
    code, said = flask_lab("run", "nonsense")
    assert code == 2
    assert "There is no attack 'nonsense'. `flask lab list` names them all." in said


def test_lab_exists_on_localhost_only(make_app):
    app = make_app(**PUBLIC)
    learn.init_app(app, {"FLASK_LEARN": "true"})
    assert "tutorial" in app.cli.commands
    assert "lab" not in app.cli.commands


# True: the lab notices.


@pytest.mark.slow
def test_lab_says_that_a_defence_is_missing(copy):
    file = copy / CUT.file
    file.write_text(file.read_text().replace(CUT.old, CUT.new))
    code, said = lab(copy, "run", NAME)
    assert code == 1
    assert said.endswith("\nSucceeded\n")
    code, said = lab(copy, "run", "--all")
    assert code == 1
    assert "NOT HELD" in said
    # It can't be taken out, either.
    code, said = lab(copy, "run", NAME, "--without-defence")
    assert code == 1
    assert "Void" in said
    assert "app/single_use.py contains this 0 times" in said


@pytest.mark.slow
def test_lab_says_that_a_defence_is_not_the_one_that_stops_the_attack(copy):
    file = copy / "learn" / "lab" / "cuts.py"
    file.write_text(file.read_text().replace(json.dumps(CUT.new), json.dumps(CUT.old)))
    assert lab(copy, "run", NAME)[0] == 0
    assert lab(copy, "run", NAME, "--without-defence")[0] == 1
    code, said = lab(copy, "run", "--all")
    assert code == 1
    assert "DOES NOT SUCCEED" in said


@pytest.mark.slow
def test_refusal_for_another_reason_does_not_count():
    attack = Attack(**(vars(runner.all_attacks()[NAME]) | {"refused": "expired"}))
    verdict = verdict_of()
    assert runner.holds(runner.all_attacks()[NAME], verdict)
    assert not runner.holds(attack, verdict)


@pytest.mark.parametrize("old", ["there is no such line", "raise Refusal"])
def test_cut_that_does_not_fit_once_makes_the_run_void(old):
    times = (ROOT / CUT.file).read_text().count(old)
    assert times != 1
    verdict = verdict_of(Cut(CUT.file, old, ""))
    assert verdict["verdict"] == "void"
    assert f"app/single_use.py contains this {times} times:\n{old}" in verdict["error"]


@pytest.mark.slow
def test_cut_that_is_not_python_makes_the_run_void():
    verdict = verdict_of(Cut(CUT.file, CUT.old, "    if"))
    assert verdict["verdict"] == "void"
    assert "SyntaxError" in verdict["error"]


@pytest.mark.slow
def test_crash_of_the_attack_makes_the_run_void():
    verdict = verdict_of(program("raise KeyError('Ada')"))
    assert verdict["verdict"] == "void"
    assert "KeyError: 'Ada'" in verdict["error"]


@pytest.mark.slow
def test_crash_of_the_site_makes_the_run_void_even_if_the_attack_claims_success():
    verdict = verdict_of(CRASH, Cut(ATTACK_FILE, "    return eve.is_signed_in_as(ADA)", "    return True"))
    assert (verdict["verdict"], verdict["error"]) == ("void", "the site has crashed")


# Bytecode: the changed code must not stay in `__pycache__`, and the real code there must not be run in its place.


def play(folder: Path, *cuts: Cut) -> str:
    """Run the attack in a copy of the project, with nothing in the environment. Return the verdict."""
    (folder / "instance").mkdir(exist_ok=True)
    order = {"attack": NAME, "cuts": [asdict(cut) for cut in cuts], "folder": str(folder / "instance"), "database": ""}
    result = subprocess.run(
        [sys.executable, str(folder / "learn" / "lab" / "child.py")],
        env={"PATH": os.environ["PATH"]},
        input=json.dumps(order),
        capture_output=True,
        text=True,
        check=True,
    )
    shutil.rmtree(folder / "instance")
    verdict = json.loads(result.stdout.splitlines()[-1])
    assert not verdict["error"]
    return verdict["verdict"]


def contents(folder: Path) -> dict[Path, bytes]:
    """Return the files in this folder, with their contents."""
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.slow
def test_changed_code_is_not_written_to_a_cold_cache(copy):
    before = contents(copy / "app")
    assert play(copy, CUT) == "succeeded"
    after = contents(copy / "app")
    assert {file: data for file, data in after.items() if file.suffix == ".py"} == before
    cached = {file.name.partition(".")[0] for file in after if file.suffix == ".pyc"}
    assert "limits" in cached, "this test needs a process that writes bytecode"
    assert "single_use" not in cached
    # The next start has its defence.
    assert play(copy) == "held"


@pytest.mark.slow
def test_warm_cache_is_neither_read_nor_changed(copy):
    assert play(copy) == "held"
    before = contents(copy / "app")
    assert "single_use" in {file.name.partition(".")[0] for file in before if file.suffix == ".pyc"}
    assert play(copy, CUT) == "succeeded"
    assert contents(copy / "app") == before
    assert play(copy) == "held"


# Safe: a run has a process of its own, and reaches nothing of ours.


@pytest.mark.slow
def test_run_has_no_environment_of_ours(monkeypatch):
    monkeypatch.setenv("FLASK_SQLALCHEMY_DATABASE_URI", "postgresql://db.example/real")
    monkeypatch.setenv("FLASK_MAIL_SERVER", "mail.example.org")
    monkeypatch.setenv("FLASK_SECRET_KEY", "secret")
    names = words_of("import os", "stage.says(' '.join(os.environ))").split()
    # Python itself sets LC_CTYPE where there is no locale.
    assert set(names) - {"LC_CTYPE"} == {"PATH"}


@pytest.mark.slow
def test_database_and_outbox_of_a_run_are_in_its_folder_and_are_deleted():
    lines = (
        "import os",
        "from app import mailer",
        "from app.database import db",
        "context = stage.app.app_context(); context.push()",
        "stage.says(f'{os.getcwd()} {db.engine.url.database} {mailer.outbox(stage.app)}')",
    )
    folder, *paths = words_of(*lines).split()
    assert len(paths) == 2
    for path in paths:
        assert Path(path).is_relative_to(folder)
    assert not Path(folder).exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "use",
    [
        "socket.socket().connect(('192.0.2.1', 80))",
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 53))",
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendmsg([b'x'], [], 0, ('192.0.2.1', 53))",
        "socket.getaddrinfo('192.0.2.1', 80)",
    ],
)
def test_run_reaches_no_other_machine(use):
    verdict = verdict_of(program("import socket", use))
    assert verdict["verdict"] == "void"
    assert "the lab has no network: 192.0.2.1" in verdict["error"]


@pytest.mark.slow
def test_time_limit_ends_a_run(monkeypatch):
    monkeypatch.setattr(runner, "TIME_LIMIT_SECONDS", 3)
    began = time.monotonic()
    verdict = verdict_of(program("while True: pass"))
    assert time.monotonic() - began < 10
    assert (verdict["verdict"], verdict["error"]) == ("void", "It took longer than 3 seconds.")


@pytest.mark.slow
def test_run_ends_when_nobody_reads_its_steps_any_more():
    steps = runner.run(NAME, [program("import os, time", "stage.says(str(os.getpid()))", "time.sleep(60)")])
    process = int(next(steps)["words"])
    os.kill(process, 0)
    steps.close()
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


@pytest.mark.slow
def test_this_process_keeps_its_defences():
    from app import single_use

    before = single_use.spend.__code__
    finders = list(sys.meta_path)
    assert verdict_of(CUT)["verdict"] == "succeeded"
    assert single_use.spend.__code__ is before
    assert sys.meta_path == finders


def test_site_has_no_switch_for_the_lab():
    """Nothing in `app/` names the lab or the teaching parts, and nothing there changes how modules are imported."""
    switch = re.compile(r"\blab\b|import learn|from learn|LEARN|meta_path|importlib|\bexec\(|\beval\(")
    found = [
        f"{file.relative_to(ROOT)}:{number}: {line.strip()}"
        for file in sorted((ROOT / "app").rglob("*.py"))
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if switch.search(line)
    ]
    assert not found
