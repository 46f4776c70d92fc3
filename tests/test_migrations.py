"""The migrations make the tables of the models from an empty database, and remove them again."""

from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from flask_migrate import Migrate, check, downgrade, upgrade
from sqlalchemy import bindparam, create_engine, inspect, select, text

from app import create_app
from app.database import db
from app.models import Session, UtcDateTime
from bench.load import plans
from tests import databases
from tests.conftest import ROOT

AN_HOUR = timedelta(hours=1)


@pytest.fixture
def empty(tmp_path) -> Flask:
    """Return a site whose database has no tables."""
    app = create_app(environ=databases.make(tmp_path), instance_path=str(tmp_path))
    Migrate(app, db, directory=str(ROOT / "migrations"))
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()
    databases.drop(tmp_path)


def tables() -> set[str]:
    """Return the names of the tables, without Alembic's."""
    return set(inspect(db.engine).get_table_names()) - {"alembic_version", "sqlite_sequence"}


def test_migrations_make_the_tables_of_the_models(empty):
    upgrade()
    assert tables() == set(db.metadata.tables)
    # Exits with 1 where `flask db migrate` would find something to do.
    check()


def test_migrations_can_be_undone_and_repeated(empty):
    upgrade()
    downgrade(revision="base")
    assert tables() == set()
    upgrade()
    check()


def test_migration_0002_keeps_visitors_signed_in(empty):
    upgrade(revision="0001")
    at = "2026-11-20 12:00:00.000000+00" if databases.SERVER else "2026-11-20 12:00:00.000000"
    with db.engine.begin() as connection:
        values = {"handle": b"0", "yes": True, "at": at}
        connection.execute(text("INSERT INTO users VALUES (1, 'ada@example.org', :handle, :yes, :at)"), values)
        connection.execute(text("INSERT INTO sessions VALUES ('id', 1, 'link', 'Mozilla/5.0', :at)"), {"at": at})
    upgrade(revision="0002")
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


def test_migrations_to_0006_keep_visitors_signed_in(empty):
    upgrade(revision="0004")
    at = datetime(2026, 11, 20, 12, tzinfo=UTC)
    rows = [
        ("newer", "link", at + AN_HOUR, at + AN_HOUR),
        ("older", "link", at, at),
        ("recovering", "recovery code", at + 2 * AN_HOUR, at + 2 * AN_HOUR),
        ("recovered", "recovery code", at + 3 * AN_HOUR, at + 4 * AN_HOUR),
    ]
    users = (
        "INSERT INTO users (id, email, user_handle, wants_passkey_offer, created_at) VALUES (1, 'ada', '', :yes, :at)"
    )
    sessions = """
        INSERT INTO sessions (id, user_id, method, passkey_id, browser, created_at, seen_at, proved_at)
        VALUES (:id, 1, :method, 7, 'Chrome', :at, :at, :proved_at)
    """
    moments = [bindparam(name, type_=UtcDateTime) for name in ("at", "proved_at")]
    with db.engine.begin() as connection:
        connection.execute(text(users).bindparams(moments[0]), {"yes": True, "at": at})
        for id, method, created, proved in rows:
            values = {"id": id, "method": method, "at": created, "proved_at": proved}
            connection.execute(text(sessions).bindparams(*moments), values)
    upgrade(revision="0006")
    with db.engine.connect() as connection:
        kept = connection.execute(select(Session.__table__).order_by(Session.id)).all()
    assert [(row.id, row.token) for row in kept] == [(1, "older"), (2, "newer"), (3, "recovering"), (4, "recovered")]
    assert {(row.user_id, row.passkey_id, row.browser, row.proof_digest) for row in kept} == {(1, 7, "Chrome", b"")}
    assert [row.recovering_until for row in kept] == [None, None, at + 3 * AN_HOUR, None]
    assert [row.proved_at for row in kept] == [at, at + AN_HOUR, at + 2 * AN_HOUR, at + 4 * AN_HOUR]
    downgrade(revision="0004")
    with db.engine.connect() as connection:
        ids = connection.execute(text("SELECT id FROM sessions ORDER BY created_at")).scalars().all()
    assert ids == ["older", "newer", "recovering", "recovered"]


def test_newest_migration_is_the_last_by_file_name(empty):
    """gunicorn.conf.py relies on that: it compares the database's version with this name."""
    upgrade()
    with db.engine.connect() as connection:
        revision = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
    newest = max(path.name for path in (ROOT / "migrations" / "versions").glob("*.py"))
    assert newest.startswith(f"{revision}_")


def test_sqlite_answers_each_question_of_a_sign_in_from_an_index():
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        db.metadata.create_all(connection)
        steps = plans(connection.connection.dbapi_connection)
    engine.dispose()
    assert [step for plan in steps.values() for step in plan if step.startswith("SCAN")] == []
