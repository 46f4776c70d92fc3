"""The database: the extension, how SQLite is set up, and statements that SQLAlchemy can't say for both databases."""

import secrets
import sqlite3
from functools import cache
from typing import Any

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import ColumnElement, CursorResult, Delete, Engine, Executable, Insert, MetaData, delete, event, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.orm import DeclarativeBase


class Base(DeclarativeBase):
    """What the tables in models.py are made of."""

    # Constraints have names, so that a migration can change one on SQLite too.
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_name)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


db = SQLAlchemy(model_class=Base)


@event.listens_for(Engine, "connect")
def _set_up_sqlite(connection: object, _record: object) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON")


def run(statement: Executable, **values: Any) -> CursorResult[Any]:
    """Execute a statement of tables in the session's transaction. The ORM is passed by: this site loads no objects."""
    return db.session.connection().execute(statement, values)


def insert_if_absent(model: type[Base], **values: Any) -> bool:
    """Insert a row unless a unique constraint forbids it; return whether it was inserted.

    Not by catching the violation: that would roll back what the transaction has done so far.
    """
    return bool(run(_insertion_if_absent(model, db.engine.dialect.name), **values).rowcount == 1)


def is_time_to_sweep() -> bool:
    """Return true for about one insert in 16: that one also deletes expired rows."""
    return secrets.randbelow(16) == 0


def deletion_of_some(key: ColumnElement[Any], are_over: ColumnElement[bool]) -> Delete:
    """Return a DELETE of rows that are over, by their key, and of so few that no request is slow for it."""
    # Two who do it at once must not wait for each other (PostgreSQL; SQLite has one writer anyway).
    some = select(key).where(are_over).limit(160).with_for_update(skip_locked=True)
    return delete(key.table).where(key.in_(some))


def insertion(model: type[Base], dialect: str) -> Any:
    """Return an INSERT that can say what is to happen on a conflict: each database's own, and both alike."""
    insert: Any = sqlite.insert
    if dialect == "postgresql":
        # Imported late: it takes 28 ms, a twentieth of importing the app.
        from sqlalchemy.dialects import postgresql

        insert = postgresql.insert
    return insert(model.__table__)


@cache
def _insertion_if_absent(model: type[Base], dialect: str) -> Insert:
    # Making a statement costs more than running it.
    statement: Insert = insertion(model, dialect).on_conflict_do_nothing().execution_options(preserve_rowcount=True)
    return statement
