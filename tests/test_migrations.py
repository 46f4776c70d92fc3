"""The migrations make the database that the models describe, from nothing and back."""

import pytest
from flask import Flask
from flask_migrate import Migrate, check, downgrade, upgrade
from sqlalchemy import inspect, text

from app import create_app
from app.extensions import db
from tests import databases
from tests.conftest import ROOT


@pytest.fixture
def empty(tmp_path) -> Flask:
    """A site whose database has no tables yet."""
    app = create_app(environ=databases.make(tmp_path), instance_path=str(tmp_path))
    Migrate(app, db, directory=str(ROOT / "migrations"))
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()
    databases.drop(tmp_path)


def tables() -> set[str]:
    """The tables that are there, but for Alembic's own."""
    return set(inspect(db.engine).get_table_names()) - {"alembic_version", "sqlite_sequence"}


def test_the_migrations_make_what_the_models_describe(empty):
    upgrade()
    assert tables() == set(db.metadata.tables)
    # Exits with 1 where `flask db migrate` would find something to do.
    check()


def test_the_migrations_can_be_taken_back_and_made_again(empty):
    upgrade()
    downgrade(revision="base")
    assert tables() == set()
    upgrade()
    check()


def test_whoever_is_signed_in_stays_so_when_sessions_learn_more(empty):
    upgrade(revision="0001")
    at = "2026-11-20 12:00:00.000000+00" if databases.SERVER else "2026-11-20 12:00:00.000000"
    with db.engine.begin() as connection:
        values = {"handle": b"0", "yes": True, "at": at}
        connection.execute(text("INSERT INTO users VALUES (1, 'ada@example.org', :handle, :yes, :at)"), values)
        connection.execute(text("INSERT INTO sessions VALUES ('id', 1, 'link', 'Mozilla/5.0', :at)"), {"at": at})
    upgrade()
    with db.engine.connect() as connection:
        kept = connection.execute(text("SELECT id, browser, seen_at, proved_at FROM sessions")).one()
        assert (kept.id, kept.browser) == ("id", "an unknown browser")
        assert [str(each).startswith("2026-11-20 12:00:00") for each in (kept.seen_at, kept.proved_at)] == [True, True]
        if not databases.SERVER:
            [definition] = connection.execute(text("SELECT sql FROM sqlite_master WHERE name = 'sessions'")).scalars()
            assert "WITHOUT ROWID" in definition
    downgrade(revision="0001")
    with db.engine.connect() as connection:
        assert tuple(connection.execute(text("SELECT id, user_agent FROM sessions")).one()) == ("id", "")


def test_newest_migration_is_the_last_by_file_name(empty):
    """gunicorn.conf.py relies on it: it compares the database with that name."""
    upgrade()
    with db.engine.connect() as connection:
        revision = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
    newest = max(path.name for path in (ROOT / "migrations" / "versions").glob("*.py"))
    assert newest.startswith(f"{revision}_")
