"""Count the lines of code in folders of Python files: `python -m tests.code_lines app learn`.

Blank lines, comments, docstrings and imports don't count. `make check` prints the numbers.
"""

import ast
import io
import sys
import tokenize
from pathlib import Path

NO_CODE = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)


def code_lines(source: str) -> int:
    """Return how many lines of this Python source are code."""
    left_out: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if is_docstring or isinstance(node, ast.Import | ast.ImportFrom):
            left_out |= {*range(node.lineno, (node.end_lineno or node.lineno) + 1)}
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in NO_CODE:
            lines |= {*range(token.start[0], token.end[0] + 1)}
    return len(lines - left_out)


def count(folder: Path) -> tuple[int, int, int]:
    """Return the numbers of files, lines and lines of code in a folder."""
    sources = [path.read_text() for path in folder.rglob("*.py")]
    return len(sources), sum(source.count("\n") for source in sources), sum(map(code_lines, sources))


if __name__ == "__main__":
    for name in sys.argv[1:]:
        files, lines, code = count(Path(name))
        print(f"{name}/: {files} files, {lines:,} lines, {code:,} of them code")
