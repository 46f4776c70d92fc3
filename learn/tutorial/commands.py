"""`flask tutorial`: for readers who got lost, and for those who want a place to start from."""

import ast
import sys
from pathlib import Path

import click

from learn.tutorial.blocks import BlockError, Program, build, last_chapter


@click.command()
@click.option("--check", is_flag=True, help="Compare your folder with the program, and write nothing.")
@click.argument("chapter")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def tutorial(check: bool, chapter: str, folder: Path) -> None:
    """Write the tutorial's program, as it is after CHAPTER, into an empty FOLDER.

    CHAPTER is a number, or `last` for the finished program.
    """
    if chapter != "last" and not chapter.isdecimal():
        _stop(f"{chapter} is no chapter: give a number from 1 to {last_chapter()}, or last.")
    number = last_chapter() if chapter == "last" else int(chapter)
    try:
        program = build(number)
    except BlockError as error:
        _stop(str(error))
    if check:
        if not folder.is_dir():
            _stop(f"There is no folder {folder}.")
        differences = compare(program, folder)
        for difference in differences:
            click.echo(difference)
        if differences:
            sys.exit(1)
        click.echo(f"{folder} is the program after chapter {number}.")
        return
    if folder.exists() and any(folder.iterdir()):
        _stop(f"{folder} is not empty. Name a folder that is empty, or isn't there yet.")
    for file, text in program.items():
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    click.echo(f"The program after chapter {number} is in {folder}. To run it:\n")
    click.echo(f"  cd {folder}\n  python3 -m venv .venv\n  source .venv/bin/activate")
    click.echo("  python -m pip install -r requirements.txt\n  python wsgi.py\n")
    click.echo("On Windows: py -m venv .venv, and then .venv\\Scripts\\Activate.ps1")


def compare(program: Program, folder: Path) -> list[str]:
    """Return in words what is different in the folder: which function of which file."""
    differences = []
    for file, text in program.items():
        path = folder / file
        if not path.exists():
            differences.append(f"{file} is missing.")
            continue
        yours = path.read_text(encoding="utf-8")
        if yours.split() != text.split():
            differences += _in_words(file, text, yours)
    return differences


def _in_words(file: str, text: str, yours: str) -> list[str]:
    if not file.endswith(".py"):
        return [f"{file} is different{_first_line(text, yours)}."]
    try:
        parts, own = _parts(text), _parts(yours)
    except SyntaxError as error:
        return [f"{file} is no valid Python: line {error.lineno}, {error.msg}."]
    said = []
    for name, source in parts.items():
        if name not in own:
            said.append(f"{file}: `{name}` is missing.")
        elif own[name] != source:
            said.append(f"{file}: `{name}` is different.")
    said += [f"{file}: `{name}` isn't in the text." for name in own if name not in parts]
    # Comments, or the order of things: nothing that changes what the program does.
    return said


def _first_line(text: str, yours: str) -> str:
    for number, (line, own) in enumerate(zip(text.splitlines(), yours.splitlines(), strict=False), 1):
        if line.strip() != own.strip():
            return f", first in line {number}: it should be `{line.strip()}`, and is `{own.strip()}`"
    return " at its end"


def _parts(text: str) -> dict[str, str]:
    """Return the source of each function, class and constant of a module, without comments and layout."""
    parts: dict[str, str] = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            name = node.name
        elif isinstance(node, ast.Assign):
            name = ast.unparse(node.targets[0])
        elif isinstance(node, ast.Import | ast.ImportFrom):
            name = "the imports"
        else:
            name = "the lines outside of functions"
        parts[name] = parts.get(name, "") + ast.unparse(node)
    return parts


def _stop(why: str) -> None:
    raise click.ClickException(why)
