"""How Alembic reaches the site's database: shorter than Flask-Migrate's template, and quiet."""

from alembic import context
from flask import current_app


def render_item(kind, item, _):
    """A UtcDateTime is an ordinary column to the database: migrations don't depend on the models."""
    return f"sa.{item.impl!r}" if kind == "type" and type(item).__name__ == "UtcDateTime" else False


db = current_app.extensions["migrate"].db

with db.engine.connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=db.metadata,
        # SQLite can't alter a table in place: Alembic makes a new one and copies.
        render_as_batch=True,
        compare_type=True,
        render_item=render_item,
    )
    with context.begin_transaction():
        context.run_migrations()
