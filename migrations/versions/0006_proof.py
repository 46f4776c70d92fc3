"""Sessions get a public number, the mark of their last proof, and an end to recovering."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

RECOVERING_FOR = timedelta(hours=1)


def upgrade() -> None:
    with made_anew():
        op.create_table(
            "sessions",
            sa.Column("id", sa.Integer(), nullable=False),
            sa.Column("token", sa.String(length=22), nullable=False),
            *columns_kept(),
            sa.Column("proof_digest", sa.LargeBinary(length=32), nullable=False),
            sa.Column("recovering_until", sa.DateTime(timezone=True), nullable=True),
            sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_sessions_user_id"), ondelete="CASCADE"),
            sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
            sa.UniqueConstraint("token", name=op.f("uq_sessions_token")),
            sqlite_autoincrement=True,
        )
        # Everybody stays signed in. No cookie has a mark yet, so changes ask for proof once.
        copy = """
            INSERT INTO sessions
                (token, user_id, method, passkey_id, browser, created_at, seen_at, proved_at, proof_digest)
            SELECT id, user_id, method, passkey_id, browser, created_at, seen_at, proved_at, :none
            FROM kept ORDER BY created_at
        """
        op.execute(sa.text(copy).bindparams(none=b""))
    let_recovery_go_on()


def let_recovery_go_on() -> None:
    """Somebody may be replacing a lost passkey at this moment, with their last recovery code."""
    moments = [sa.column(name, sa.DateTime(timezone=True)) for name in ("created_at", "proved_at", "recovering_until")]
    sessions = sa.table("sessions", sa.column("id"), sa.column("method"), *moments)
    is_recovering = sa.and_(sessions.c.method == "recovery code", sessions.c.proved_at == sessions.c.created_at)
    for session in op.get_bind().execute(sa.select(sessions).where(is_recovering)).all():
        until = session.created_at + RECOVERING_FOR
        op.execute(sessions.update().where(sessions.c.id == session.id).values(recovering_until=until))


def downgrade() -> None:
    with made_anew():
        op.create_table(
            "sessions",
            sa.Column("id", sa.String(length=22), nullable=False),
            *columns_kept(),
            sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_sessions_user_id"), ondelete="CASCADE"),
            sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
            sqlite_with_rowid=False,
        )
        op.execute("""
            INSERT INTO sessions (id, user_id, method, passkey_id, browser, created_at, seen_at, proved_at)
            SELECT token, user_id, method, passkey_id, browser, created_at, seen_at, proved_at FROM kept
        """)


@contextmanager
def made_anew() -> Iterator[None]:
    """Drop the table, with its rows kept aside for the block that makes the new one."""
    op.execute("CREATE TEMPORARY TABLE kept AS SELECT * FROM sessions")
    op.drop_table("sessions")
    yield
    op.execute("DROP TABLE kept")
    op.create_index("ix_sessions_user_id_created_at", "sessions", ["user_id", "created_at"])


def columns_kept() -> list[sa.Column]:
    return [
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("method", sa.String(length=20), nullable=False),
        sa.Column("passkey_id", sa.Integer(), nullable=True),
        sa.Column("browser", sa.String(length=100), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("proved_at", sa.DateTime(timezone=True), nullable=False),
    ]
