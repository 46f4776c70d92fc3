"""The choice of tests that run on PostgreSQL: together they must request every route there."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.databases import SQLITE_IS_ENOUGH, TESTS, postgres_files

# These routes read files only.
NO_DATABASE = ("/static/", "/dev/mail/")

# Imports of tests that use a database directly. Another database might answer them differently.
OF_ONE_DATABASE = re.compile(r"psycopg|sqlite3|tests\.databases|(from|import) sqlalchemy(?! import select$)")


def paths(file: Path) -> Iterator[str]:
    """Yield the paths that the file requests. `{...}` in a path stands for `1`."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else "1" for part in node.values]
            yield "".join(map(str, parts)).partition("?")[0]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value.partition("?")[0]


def test_every_route_is_requested_on_postgresql(app):
    asked = {path for file in [TESTS / "conftest.py", *postgres_files()] for path in paths(file)}

    def is_asked_for(rule: str) -> bool:
        return any(map(re.compile(re.sub("<.*?>", "[^/]+", rule)).fullmatch, asked))

    rules = [rule.rule for rule in app.url_map.iter_rules() if not rule.rule.startswith(NO_DATABASE)]
    assert [rule for rule in rules if not is_asked_for(rule)] == []


def test_files_that_run_on_sqlite_alone_exist_and_depend_on_no_database():
    for name in SQLITE_IS_ENOUGH:
        files = [*(TESTS.rglob(name) if name.endswith(".py") else (TESTS / name).rglob("test_*.py"))]
        assert files, f"there is no {name}"
        for file in files:
            imports = [line for line in file.read_text().splitlines() if re.match("(from|import) ", line)]
            assert not [line for line in imports if OF_ONE_DATABASE.search(line)], f"{file.name} belongs on PostgreSQL"
