"""The source of the functions that make the checks, as the site runs them."""

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from learn.inside import checks
from learn.inside.checks import Check

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Source:
    """A function of a file: its lines as numbers and HTML, and the line that makes the check."""

    file: str
    line: int
    lines: list[tuple[int, str]]


@cache
def highlighted(file: str) -> list[str]:
    """Return the lines of a Python file as HTML."""
    # Imported late, because few requests need it.
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    text = (ROOT / file).read_text()
    return highlight(text, PythonLexer(stripnl=False), HtmlFormatter(nowrap=True)).splitlines()


@cache
def function_of(check: Check) -> Source:
    """Return the function that makes this check."""
    text, line = (ROOT / check.file).read_text(), checks.line_of(check)
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)]
    around = [node for node in functions if node.lineno <= line <= (node.end_lineno or 0)]
    first, last = (around[0].lineno, around[0].end_lineno or line) if around else (max(1, line - 3), line + 3)
    return Source(check.file, line, list(enumerate(highlighted(check.file)[first - 1 : last], first)))
