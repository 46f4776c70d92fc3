"""The program after every chapter: it comes from the text alone, its tests pass, and they can fail."""

import ast
import io
import re
import tokenize

import pytest

from bench import server, visitor
from learn.tutorial.blocks import Block, apply, blocks_of, build, chapter_file, last_chapter
from tests.conftest import ROOT
from tests.smtp import Mailbox, free_port
from tests.tutorial import readers_folder

CHAPTERS = range(1, last_chapter() + 1)
BREAKS = [block for chapter in CHAPTERS for block in blocks_of(chapter) if block.operation == "breaks"]

REAL_SITE = "\n## In the real site\n"


def text_of(chapter: int) -> str:
    return chapter_file(chapter).read_text()


def prose_of(chapter: int) -> str:
    return re.sub(r"^```.*?^```$", "", text_of(chapter), flags=re.M | re.S)


def named(block: Block) -> str:
    return f"{block.chapter}-{block.file}-{block.name.rpartition('::')[2]}"


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_readers_tests_pass_as_they_stand_by_then(chapter, tmp_path):
    readers_folder.write(build(chapter), tmp_path / "my-site")
    result = readers_folder.run_tests(tmp_path / "my-site")
    [promised] = re.findall(r"It says `(\d+) passed`", text_of(chapter))
    assert readers_folder.passed(result) == int(promised), f"Chapter {chapter}: {result.stdout}{result.stderr}"


@pytest.mark.parametrize("block", BREAKS, ids=named)
def test_broken_line_makes_the_named_test_fail(block, tmp_path):
    program = build(block.chapter)
    readers_folder.write(apply(program, block), tmp_path / "my-site")
    result = readers_folder.run_tests(tmp_path / "my-site", block.name)
    # 1: a test has failed. More would be a name that doesn't exist, or a program that doesn't start.
    assert result.returncode == 1, str(
        block.fail(f"`{block.name}` doesn't fail with it:\n{result.stdout}{result.stderr}")
    )
    assert "failed" in result.stdout
    assert "error" not in result.stdout.splitlines()[-1], result.stdout


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_chapter_breaks_something(chapter):
    assert any(block.chapter == chapter for block in BREAKS)


def test_test_that_cannot_fail_would_be_found(tmp_path):
    [block] = [block for block in BREAKS if block.chapter == 1]
    harmless = Block(1, 5, "diff", "breaks", "app/views/home.py", block.name, '-"""The front page."""\n+"""Page."""\n')
    with pytest.raises(
        AssertionError, match=r"Chapter 1, block `breaks app/views/home.py .*` in line 5: .* doesn't fail"
    ):
        test_broken_line_makes_the_named_test_fail(harmless, tmp_path)


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_line_of_the_program_comes_from_a_chapter(chapter):
    lines = {
        line.removeprefix("+") if "diff" in (block.operation, block.language) else line
        for number in range(1, chapter + 1)
        for block in blocks_of(number)
        if block.operation != "breaks"
        for line in block.text.splitlines()
    }
    for file, text in build(chapter).items():
        for line in text.splitlines():
            assert line in lines or not line, f"{file}: {line!r} comes from no chapter up to {chapter}"


def test_finished_program_mails_over_tls_on_a_public_site(tmp_path):
    mailbox = Mailbox()
    program = server.public_program(tmp_path / "my-site", free_port(), mailbox)
    with program.running():
        visitor.passkey_sign_in(program, visitor.register(program))
    # This server speaks nothing but TLS.
    assert [(login.login, login.password) for login in mailbox.logins] == [(b"site", b"password")]


def code_lines(text: str) -> int:
    """Count the lines that are neither blank nor comment nor docstring."""
    strings = {
        line
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    silent = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    tokens = [token for token in tokenize.generate_tokens(io.StringIO(text).readline) if token.type not in silent]
    return len({line for token in tokens for line in range(token.start[0], token.end[0] + 1)} - strings)


def test_program_stays_small():
    program = {file: text for file, text in build(last_chapter()).items() if not file.startswith(("tests/", "evil/"))}
    python = [text for file, text in program.items() if file.endswith(".py")]
    assert sum(len(text.splitlines()) for text in python) < 900
    assert sum(map(code_lines, python)) <= 550
    assert sum(len(text.splitlines()) for file, text in program.items() if file.endswith(".js")) <= 120
    assert sum(len(text.splitlines()) for file, text in program.items() if "/templates/" in file) <= 160


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_chapter_is_as_long_as_one_sitting(chapter):
    words = len(re.findall(r"\b[\w’'`./-]+", prose_of(chapter)))
    assert 600 <= words <= 1200, f"Chapter {chapter} has {words} words"


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_chapter_says_before_each_block_which_file_it_changes(chapter):
    lines = text_of(chapter).splitlines()
    for block in blocks_of(chapter):
        before = next(line for line in reversed(lines[: block.line - 1]) if line)
        # Two blocks for one file may follow each other.
        if before != "```":
            assert f"`{block.file}`" in before, str(block.fail(f"the text before it doesn't name the file: {before!r}"))


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_chapter_has_its_parts(chapter):
    text = text_of(chapter)
    title, lead, picture = [line for line in text.splitlines() if line][:3]
    assert title.startswith("# ")
    assert lead.startswith("At the end of this chapter ")
    assert re.fullmatch(rf"!\[.+\]\(pictures/{chapter:02}\.png\)", picture)
    for heading in ("\n## Run it\n", "\n## Test it\n", "\n## Break it\n", REAL_SITE):
        assert text.count(heading) == 1, f"Chapter {chapter} has no part {heading.strip()}"


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_places_in_the_real_site_are_there(chapter):
    section = text_of(chapter).partition(REAL_SITE)[2]
    assert section.count("\n- ") >= 1
    for file, name in re.findall(r"`((?:app|static|migrations)/[^`]+)`(?: `(\w+)`)?", section):
        path = ROOT / file
        assert path.exists(), f"Chapter {chapter} names {file}, which is gone"
        if name:
            known = {
                node.name
                for node in ast.walk(ast.parse(path.read_text()))
                if isinstance(node, ast.FunctionDef | ast.ClassDef)
            }
            assert name in known, f"Chapter {chapter} names `{name}` in {file}, which is gone"


def test_names_of_the_program_that_a_chapter_mentions_are_there():
    for chapter in CHAPTERS:
        program = build(chapter)
        for file in re.findall(r"`((?:app|tests|evil)/[\w/.-]+\.\w+)`", text_of(chapter).partition(REAL_SITE)[0]):
            assert file in program, f"Chapter {chapter} names {file}, which the program doesn't have by then"


def test_packages_are_those_that_the_project_is_tested_with():
    locked = dict(re.findall(r"^([\w-]+)==(\S+)", (ROOT / "requirements-dev.txt").read_text(), flags=re.M))
    wanted = build(1)["requirements.txt"] + "\n".join(re.findall(r"playwright==\S+", text_of(12)))
    for name, version in re.findall(r"^([\w-]+)==(\S+)$", wanted, flags=re.M):
        assert locked[name] == version


def test_glossary_has_every_word_that_a_chapter_explains():
    glossary = chapter_file(1).with_name("glossary.md").read_text().lower()
    for chapter in CHAPTERS:
        for word in re.findall(r"(?<![*\w])\*(?!\*)([\w -]+)\*(?![*\w])", prose_of(chapter).partition(REAL_SITE)[0]):
            assert word.lower().removesuffix("s") in glossary, f"Chapter {chapter} stresses {word!r}"


def test_every_file_that_the_way_to_the_real_thing_names_is_there():
    named = set(re.findall(r"`((?:app|static|docs|tests|migrations)/[\w/.]*)`", (ROOT / "docs/adopt.md").read_text()))
    assert len(named) > 20
    assert not [name for name in named if not (ROOT / name).exists()]


# The site needs no such name, because of this.
NOT_IN_THE_SITE = {
    ("app/sessions.py", "LIFETIME"): "it is a setting there: FLASK_SESSION_DAYS",
    ("app/views/__init__.py", "PAGES"): "its pages depend on the settings",
    ("app/mailer.py", "mail"): "`init_app` binds Flask-Mail there",
}

# The site has a module or package of its own for these.
ELSEWHERE = {"REGISTRATION", "AUTHENTICATION", "CHALLENGE_LIFETIME", "now"}


def public_names(source: str) -> set[str]:
    """Return the names of the functions, classes and constants at the top of a module, without private ones."""
    names = set()
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return {name for name in names if not name.startswith("_")}


def test_public_name_of_the_finished_program_is_one_of_the_site_too():
    """It is in the module of the same name, if the site has that module. So a reader finds it there."""
    site = {str(path.relative_to(ROOT)): public_names(path.read_text()) for path in (ROOT / "app").rglob("*.py")}
    everywhere = set().union(*site.values())
    missing = []
    for file, source in build(last_chapter()).items():
        if file.startswith("app/") and file.endswith(".py"):
            names = {name for name in public_names(source) if (file, name) not in NOT_IN_THE_SITE}
            there = site.get(file, everywhere) if file != "app/views/__init__.py" else everywhere
            missing += [f"{file} {name}" for name in names - there if not (name in ELSEWHERE and name in everywhere)]
    assert not missing
