"""The code that the pages show: an attack, the line that refused it, and a defence as it is and taken out."""

import inspect
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cache
from html import escape
from importlib import import_module
from pathlib import Path

from learn.inside.sources import highlighted
from learn.lab.attacks import Cut

ROOT = Path(__file__).parents[2]

# Lines shown before and after the telling ones.
CONTEXT = 3

WORDS = re.compile(r"\w+|\s+|[^\w\s]")


@dataclass(frozen=True)
class Line:
    """A line of a listing."""

    number: int
    html: str
    kind: str = ""
    """"here" (look at this), "removed", "added", or ""."""


@dataclass(frozen=True)
class Listing:
    """Some lines of a file."""

    file: str
    lines: list[Line]

    @property
    def place(self) -> int:
        """The number of the first telling line."""
        return next((line.number for line in self.lines if line.kind), self.lines[0].number)


def of_attack(name: str) -> Listing:
    """Return the attack's code: its function, without the words about it."""
    lines, first = _function(name)
    file = f"learn/lab/attacks/{name}.py"
    return _listing(file, _unchanged(file, first, len(lines)))


def first_line(name: str) -> int:
    """Return the number of the first line of the attack's function."""
    return _function(name)[1]


@cache
def _function(name: str) -> tuple[list[str], int]:
    return inspect.getsourcelines(import_module(f"learn.lab.attacks.{name}").attack)


@cache
def text(file: str) -> list[str]:
    """Return the lines of a file of the project."""
    return (ROOT / file).read_text().splitlines()


def around(file: str, number: int) -> Listing:
    """Return a line of a file, and its neighbours."""
    return _listing(file, [*_before(file, number), *_unchanged(file, number, 1, "here"), *_after(file, number)])


def defence(cut: Cut, refused_at: int | None = None) -> Listing:
    """Return the lines that a cut changes, as they are. If the line that refused is among their neighbours, mark it."""
    lines = [line if line.kind != "removed" else _original(cut, line) for line in _lines(cut) if line.kind != "added"]
    if not any(line.kind for line in lines):  # a cut that only adds something
        place = next(index for index, line in enumerate(_lines(cut)) if line.kind == "added")
        lines[place] = _original(cut, lines[place])
    return _listing(
        cut.file, [_original(cut, line) if line.number == refused_at and not line.kind else line for line in lines]
    )


def without(cut: Cut) -> Listing:
    """Return the same lines with the cut: the removed ones, and what takes their place."""
    return _listing(cut.file, list(_lines(cut)))


def _original(cut: Cut, line: Line) -> Line:
    return Line(line.number, highlighted(cut.file)[line.number - 1], "here")


@cache
def _lines(cut: Cut) -> Sequence[Line]:
    """Return the lines around a cut, with the removed and the added ones."""
    text = (ROOT / cut.file).read_text()
    begin = text.index(cut.old)
    # From the beginning of the first line to the end of the last one.
    start = text.rfind("\n", 0, begin) + 1
    end = text.find("\n", begin + len(cut.old))
    first = text.count("\n", 0, start) + 1
    old, new = text[start:end], text[start:begin] + cut.new + text[begin + len(cut.old) : end]
    changed = list(_difference(cut.file, first, old.split("\n"), new.split("\n") if new else []))
    return [*_before(cut.file, first), *changed, *_after(cut.file, first + old.count("\n"))]


def _difference(file: str, first: int, old: list[str], new: list[str]) -> Iterator[Line]:
    for kind, start, end, new_start, new_end in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            yield from _unchanged(file, first + start, end - start)
            continue
        removed, added = old[start:end], new[new_start:new_end]
        pairs = [_marked(*pair) for pair in zip(removed, added, strict=True)] if len(removed) == len(added) else []
        for index, line in enumerate(removed):
            yield Line(first + start + index, pairs[index][0] if pairs else _whole(line), "removed")
        for index, line in enumerate(added):
            yield Line(first + start + index, pairs[index][1] if pairs else _whole(line), "added")


def _marked(old: str, new: str) -> tuple[str, str]:
    """Return two versions of a line as HTML. What differs is marked."""
    ours, theirs = WORDS.findall(old), WORDS.findall(new)
    shorter = min(len(ours), len(theirs))
    before = next((i for i in range(shorter) if ours[i] != theirs[i]), shorter)
    after = next((i for i in range(shorter - before) if ours[-1 - i] != theirs[-1 - i]), shorter - before)
    while after and not all(_is_balanced(words[before : len(words) - after]) for words in (ours, theirs)):
        after -= 1

    def html(words: list[str]) -> str:
        parts = words[:before], words[before : len(words) - after], words[len(words) - after :]
        head, middle, tail = (escape("".join(part), quote=False) for part in parts)
        return f"{head}<u>{middle}</u>{tail}" if middle else head + tail

    return html(ours), html(theirs)


def _is_balanced(words: list[str]) -> bool:
    return all(words.count(opening) == words.count(closing) for opening, closing in ("()", "[]", "{}"))


def _whole(line: str) -> str:
    text = line.lstrip(" ")
    return " " * (len(line) - len(text)) + (f"<u>{escape(text, quote=False)}</u>" if text else "")


def _before(file: str, number: int) -> list[Line]:
    """Return the lines before this one, in the same function and after its docstring."""
    lines = _unchanged(file, number - CONTEXT, CONTEXT)
    while any(not line.html or '"""' in text(file)[line.number - 1] for line in lines):
        lines.pop(0)
    return lines


def _after(file: str, number: int) -> list[Line]:
    """Return the lines after this one, in the same function."""
    lines = _unchanged(file, number + 1, CONTEXT)
    while lines and not all(line.html for line in lines):
        lines.pop()
    return lines


def _unchanged(file: str, first: int, count: int, kind: str = "") -> list[Line]:
    lines = highlighted(file)
    return [Line(n, lines[n - 1], kind) for n in range(max(first, 1), min(first + count, len(lines) + 1))]


def _listing(file: str, lines: list[Line]) -> Listing:
    """Return the lines, moved to the left as far as they go."""
    texts = [re.sub(r"<[^>]+>", "", line.html) for line in lines]
    indent = min((len(text) - len(text.lstrip()) for text in texts if text.strip()), default=0)
    moved = [Line(line.number, re.sub(rf"^((?:<[^>]+>)*) {{{indent}}}", r"\1", line.html), line.kind) for line in lines]
    return Listing(file, moved)
