"""The migrations make the database that the models describe, from nothing and back."""

import pytest
from flask import Flask
from flask_migrate import Migrate, check, downgrade, upgrade
from sqlalchemy import inspect

from app import create_app
from app.extensions import db
from tests.conftest import ROOT


@pytest.fixture
def empty(tmp_path) -> Flask:
    """A site whose database has no tables yet."""
    app = create_app(environ={}, instance_path=str(tmp_path))
    Migrate(app, db, directory=str(ROOT / "migrations"))
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()


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
