"""The databases that the tests run on: SQLite files, or databases on the PostgreSQL server of TEST_POSTGRES.

Migrating a database takes a second. So the tests migrate one, and every site gets a copy.

`python -m tests.databases` prints the test files that `make test-postgres` runs: all but those of SQLITE_IS_ENOUGH.
"""

import os
import secrets
import shutil
from pathlib import Path

import psycopg
from psycopg import sql

# The URI of a database on the server, such as postgresql://postgres@/postgres?host=/tmp/socket. Empty means SQLite.
SERVER = os.environ.get("TEST_POSTGRES", "")

Environ = dict[str, str]

# These have the same result on any database. `test_databases.py` checks that the others request every route on
# PostgreSQL.
SQLITE_IS_ENOUGH = {
    "browser": "pages and scripts: the HTTP tests send the same requests",
    "firefox": "pages and scripts: the HTTP tests send the same requests",
    "tutorial": "the program that the chapters build: it has an SQLite database of its own",
    "test_make.py": "installing: nothing is connected to",
    "test_ceremonies.py": "bad responses of authenticators: Python refuses them, whatever the database is",
    "test_authentication.py": "bad responses of authenticators: Python refuses them, whatever the database is",
    "test_registration.py": "bad responses of authenticators: Python refuses them, whatever the database is",
    "test_inside_agreement.py": "altered responses: Python judges them, whatever the database is",
    "test_inside_checks.py": "checks of responses: Python makes them, whatever the database is",
    "test_inside_ranges.py": "bytes: nothing is connected to",
    "test_lab.py": "the lab's processes: the attacks that need a database run in test_lab_attacks.py",
    "test_lab_pages.py": "pages: the lab has no table",
    "test_learn_export.py": "pages and files",
    "test_vectors.py": "the specification's test vectors: Python checks them, whatever the database is",
    "test_config.py": "settings: nothing is connected to",
    "test_mailer.py": "mail servers",
    "test_static_files.py": "files",
    "test_refusals.py": "this reads source and templates only",
    "test_docs.py": "this reads files only",
    "test_structure.py": "this reads files only",
}

TESTS = Path(__file__).parent


def postgres_files() -> list[Path]:
    """Return the test files that run on PostgreSQL, too."""
    files = TESTS.glob("**/test_*.py")
    return sorted(file for file in files if not {file.name, file.relative_to(TESTS).parts[0]} & set(SQLITE_IS_ENOUGH))


def at(instance: Path) -> Environ:
    """Return the settings for the database of this instance folder. It need not exist yet."""
    return {"FLASK_SQLALCHEMY_DATABASE_URI": _uri(_name(instance))} if SERVER else {}


def make(instance: Path, encoding: str = "UTF8") -> Environ:
    """Make the database without tables, and return the settings for it. The encoding is for PostgreSQL."""
    if SERVER:
        statement = "CREATE DATABASE {} ENCODING {} LOCALE 'C' TEMPLATE template0"
        _run(sql.SQL(statement).format(sql.Identifier(_name(instance)), sql.Literal(encoding)))
    return at(instance)


def copy(source: Path, instance: Path) -> Environ:
    """Replace the database by a copy of another one, and return the settings for it.

    Nobody may be connected to the other one.
    """
    if SERVER:
        drop(instance)
        statement = "CREATE DATABASE {} TEMPLATE {}"
        _run(sql.SQL(statement).format(sql.Identifier(_name(instance)), sql.Identifier(_name(source))))
    else:
        shutil.copy(source / "latchkey.db", instance)
    return at(instance)


def drop(instance: Path) -> None:
    """Remove the database, and close its connections."""
    if SERVER:
        _run(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(_name(instance))))


def _name(instance: Path) -> str:
    marker = Path(instance) / "database-name"
    if not marker.exists():
        marker.write_text(f"latchkey_{secrets.token_hex(8)}")
    return marker.read_text()


def _uri(name: str) -> str:
    server, _, options = SERVER.partition("?")
    return f"{server.rpartition('/')[0]}/{name}?{options}"


def _run(statement: sql.Composed) -> None:
    with psycopg.connect(SERVER, autocommit=True) as connection:
        connection.execute(statement)


if __name__ == "__main__":
    print(*(file.relative_to(TESTS.parent) for file in postgres_files()))
