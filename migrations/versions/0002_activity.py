"""Sessions that know when they were used and proven; what happened to an account."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

UNKNOWN = "an unknown browser"


def upgrade() -> None:
    op.create_table(
        "activities",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=30), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("browser", sa.String(length=100), nullable=False),
        sa.Column("address", sa.String(length=45), nullable=False),
        sa.Column("detail", sa.String(length=300), nullable=False),
        sa.Column("transcript", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_activities_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_activities")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_activities_user_id_id", "activities", ["user_id", "id"])
    with op.batch_alter_table("sessions", table_kwargs={"sqlite_with_rowid": False}) as sessions:
        sessions.add_column(sa.Column("passkey_id", sa.Integer(), nullable=True))
        sessions.add_column(sa.Column("browser", sa.String(length=100), nullable=False, server_default=UNKNOWN))
        sessions.add_column(sa.Column("seen_at", sa.DateTime(timezone=True), nullable=True))
        sessions.add_column(sa.Column("proved_at", sa.DateTime(timezone=True), nullable=True))
        sessions.drop_column("user_agent")
    op.execute("UPDATE sessions SET seen_at = created_at, proved_at = created_at")
    with op.batch_alter_table("sessions", table_kwargs={"sqlite_with_rowid": False}) as sessions:
        sessions.alter_column("browser", server_default=None)
        sessions.alter_column("seen_at", nullable=False)
        sessions.alter_column("proved_at", nullable=False)
        sessions.drop_index("ix_sessions_user_id")
        sessions.create_index("ix_sessions_user_id_created_at", ["user_id", "created_at"])


def downgrade() -> None:
    with op.batch_alter_table("sessions", table_kwargs={"sqlite_with_rowid": False}) as sessions:
        sessions.drop_index("ix_sessions_user_id_created_at")
        sessions.create_index("ix_sessions_user_id", ["user_id"])
        sessions.add_column(sa.Column("user_agent", sa.String(length=300), nullable=False, server_default=""))
        sessions.drop_column("proved_at")
        sessions.drop_column("seen_at")
        sessions.drop_column("browser")
        sessions.drop_column("passkey_id")
    with op.batch_alter_table("sessions", table_kwargs={"sqlite_with_rowid": False}) as sessions:
        sessions.alter_column("user_agent", server_default=None)
    op.drop_index("ix_activities_user_id_id", "activities")
    op.drop_table("activities")
