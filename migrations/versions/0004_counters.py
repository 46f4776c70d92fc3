"""Counters, for limits."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "counters",
        sa.Column("key", sa.String(length=32), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_counters")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_counters_ends_at", "counters", ["ends_at"])


def downgrade() -> None:
    op.drop_index("ix_counters_ends_at", "counters")
    op.drop_table("counters")
