"""`flask tutorial`: the program after a chapter, in a folder."""

import pytest

import learn
from learn.tutorial.blocks import build, last_chapter


@pytest.fixture
def run(app):
    """Run the command, and return its exit code and what it says."""
    learn.init_app(app, {"FLASK_LEARN": "true"})

    def call(*words: str) -> tuple[int, str]:
        result = app.test_cli_runner().invoke(args=["tutorial", *map(str, words)])
        return result.exit_code, result.output

    return call


@pytest.mark.parametrize(("chapter", "number"), [("7", 7), ("last", last_chapter())])
def test_program_is_written_into_an_empty_folder(run, tmp_path, chapter, number):
    code, said = run(chapter, tmp_path / "my-site")
    assert code == 0
    assert "python wsgi.py" in said
    for file, text in build(number).items():
        assert (tmp_path / "my-site" / file).read_text() == text


def test_folder_that_is_not_empty_is_left_alone(run, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    code, said = run("7", tmp_path)
    assert code == 1
    assert "is not empty" in said
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(("chapter", "why"), [("99", "There is no chapter 99"), ("seven", "seven is no chapter")])
def test_chapter_that_does_not_exist_is_told(run, tmp_path, chapter, why):
    code, said = run(chapter, tmp_path / "my-site")
    assert code == 1
    assert why in said
    assert not (tmp_path / "my-site").exists()


@pytest.fixture
def folder(run, tmp_path):
    """Return a reader's folder after chapter 7."""
    run("7", tmp_path / "my-site")
    return tmp_path / "my-site"


def change(path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_folder_like_the_text_is_confirmed(run, folder):
    change(folder / "app/codes.py", "# No vowels, so no words.", "# My own comment.")
    assert run("--check", "7", folder) == (0, f"{folder} is the program after chapter 7.\n")


def test_check_names_what_is_different(run, folder):
    change(folder / "app/codes.py", "typed.upper()", "typed")
    change(folder / "app/sessions.py", "def end(", "def finish(")
    change(folder / "app/views/home.py", "from flask import Blueprint, render_template", "import flask")
    change(folder / "app/views/sign_out.py", "def sign_out():", "def sign_out()")
    change(folder / "app/templates/home.html", "<h1>", "<h2>")
    (folder / "app/mailer.py").unlink()
    code, said = run("--check", "7", folder)
    assert code == 1
    assert said.splitlines() == [
        "app/views/home.py: `the imports` is different.",
        "app/templates/home.html is different, first in line 4: it should be `<h1>One email. Then just your "
        "fingerprint.</h1>`, and is `<h2>One email. Then just your fingerprint.</h1>`.",
        "app/mailer.py is missing.",
        "app/sessions.py: `end` is missing.",
        "app/sessions.py: `finish` isn't in the text.",
        "app/views/sign_out.py is no valid Python: line 13, expected ':'.",
        "app/codes.py: `check` is different.",
    ]


def test_check_of_a_folder_that_is_not_there_says_so(run, tmp_path):
    code, said = run("--check", "7", tmp_path / "nowhere")
    assert code == 1
    assert "There is no folder" in said
