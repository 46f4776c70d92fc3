"""Apply the code blocks of the chapters, and so build the program as it stands after any chapter.

A block says in its info string, behind its language, what it does to which file:

    new FILE            make this file
    rewrite FILE        replace the whole file
    append FILE         add to the end of the file
    imports FILE        replace the file's imports
    replace FILE NAME   replace this function, class or constant, with its decorators
    after FILE NAME     add behind this function, class or constant
    diff FILE           change lines: " " stays, "-" goes, "+" comes; a line "..." separates hunks
    breaks FILE TEST    a diff to try out and take back; this test must fail with it

A block whose first word is none of these is prose: a command, or what the reader sees.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CHAPTERS = Path(__file__).parent / "chapters"

ARGUMENTS = {"new": 1, "rewrite": 1, "append": 1, "imports": 1, "replace": 2, "after": 2, "diff": 1, "breaks": 2}

Program = dict[str, str]
"""The text of each file, by its path."""


class BlockError(Exception):
    """A block doesn't fit. The message names chapter, block and line."""


@dataclass(frozen=True)
class Block:
    """A block of code in a chapter."""

    chapter: int
    line: int
    language: str
    operation: str
    file: str
    name: str
    text: str

    def fail(self, why: str) -> BlockError:
        """Return the error that says where this block stands, and why it doesn't fit."""
        what = f"{self.operation} {self.file} {self.name}".strip()
        return BlockError(f"Chapter {self.chapter}, block `{what}` in line {self.line}: {why}.")


def chapter_file(number: int, folder: Path = CHAPTERS) -> Path:
    """Return the file of a chapter. Raises BlockError where there is none."""
    for file in folder.glob(f"{number:02}-*.md"):
        return file
    raise BlockError(f"There is no chapter {number}: the last one is {last_chapter(folder)}.")


def last_chapter(folder: Path = CHAPTERS) -> int:
    """Return the number of the last chapter."""
    return len(list(folder.glob("[0-9][0-9]-*.md")))


def block_of(chapter: int, line: int, info: str, text: str) -> Block | None:
    """Return the block that a fence with this info string holds, or None where it is prose."""
    language, *words = info.split()
    if not words or words[0] not in ARGUMENTS:
        return None
    operation, *arguments = words
    file, name = [*arguments, "", ""][:2]
    block = Block(chapter, line, language, operation, file, name, text)
    if len(arguments) != ARGUMENTS[operation]:
        raise block.fail(f"`{operation}` takes {ARGUMENTS[operation]} arguments, and there are {len(arguments)}")
    return block


def blocks_of(chapter: int, folder: Path = CHAPTERS) -> Iterator[Block]:
    """Yield the blocks of a chapter in their order."""
    lines = chapter_file(chapter, folder).read_text().splitlines()
    start = None
    for number, line in enumerate(lines, 1):
        if start is None and (fence := re.fullmatch(r"```(\S.*)", line)):
            start, info = number, fence[1]
        elif start is not None and line == "```":
            text = "".join(f"{line}\n" for line in lines[start : number - 1])
            if block := block_of(chapter, start, info, text):
                yield block
            start = None
    if start is not None:
        raise BlockError(f"Chapter {chapter}: the block in line {start} has no end.")


def build(last: int, folder: Path = CHAPTERS) -> Program:
    """Return the program as it stands after chapter `last`. Raises BlockError where a block doesn't fit."""
    program: Program = {}
    if last > last_chapter(folder):
        chapter_file(last, folder)
    for chapter in range(1, last + 1):
        for block in blocks_of(chapter, folder):
            if block.operation != "breaks":
                program = apply(program, block)
    return program


def apply(program: Program, block: Block) -> Program:
    """Return the program with the block applied. Raises BlockError where it doesn't fit."""
    before = program.get(block.file)
    if block.operation == "new":
        if before is not None:
            raise block.fail("there is such a file already")
        return program | {block.file: block.text}
    if before is None:
        raise block.fail("there is no such file")
    return program | {block.file: _changed(before, block)}


def _changed(before: str, block: Block) -> str:
    if block.operation == "rewrite":
        return block.text
    if block.operation == "append":
        return f"{before.rstrip()}\n\n\n{block.text}" if block.file.endswith(".py") else before + block.text
    if block.operation in ("diff", "breaks"):
        return _patched(before, block)
    lines = before.splitlines(keepends=True)
    first, last = _imports(before, block) if block.operation == "imports" else _definition(before, block)
    if block.operation == "after":
        return "".join(lines[:last]) + f"\n\n{block.text}" + "".join(lines[last:])
    return "".join(lines[: first - 1]) + block.text + "".join(lines[last:])


def _patched(before: str, block: Block) -> str:
    """Change whole lines. Each hunk must fit in one place, and in one only."""
    text = before
    for hunk in re.split(r"^\.\.\.\n", block.text, flags=re.M):
        lines = hunk.splitlines(keepends=True)
        if strange := [line for line in lines if line[0] not in " +-\n"]:
            raise block.fail(f"the line {strange[0].strip()!r} begins with none of ' ', '+' and '-'")
        old = "".join(line[1:] if line != "\n" else line for line in lines if line[0] != "+")
        new = "".join(line[1:] if line != "\n" else line for line in lines if line[0] != "-")
        places = [match.start() for match in re.finditer(rf"^{re.escape(old)}", text, flags=re.M)]
        if len(places) != 1 or not old:
            raise block.fail(f"the lines {old!r} are in the file {len(places)} times, and not once")
        text = text[: places[0]] + new + text[places[0] + len(old) :]
    return text


def _imports(before: str, block: Block) -> tuple[int, int]:
    nodes = [node for node in ast.parse(before).body if isinstance(node, ast.Import | ast.ImportFrom)]
    if not nodes:
        raise block.fail("the file has no imports")
    return nodes[0].lineno, nodes[-1].end_lineno or 0


def _definition(before: str, block: Block) -> tuple[int, int]:
    """Return the first and the last line of what has the block's name at the top level of the file."""
    for node in ast.parse(before).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names = [node.name]
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names, first = [ast.unparse(target) for target in targets], node.lineno
        else:
            continue
        if block.name in names:
            return first, node.end_lineno or 0
    raise block.fail(f"the file has nothing that is called {block.name}")
