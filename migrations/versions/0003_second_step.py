"""Accounts that require a passkey, recovery codes, and what the operator decides."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "recovery_codes",
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_recovery_codes_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", "digest", name=op.f("pk_recovery_codes")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "invitations",
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("email", name=op.f("pk_invitations")),
        sqlite_with_rowid=False,
    )
    # Columns that SQLite can add in place: to make such a table anew would take along all that refers to it.
    for name in ("requires_passkey", "is_disabled"):
        op.add_column("users", sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("activities", sa.Column("milliseconds", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column("activities", "milliseconds")
    for name in ("requires_passkey", "is_disabled"):
        op.drop_column("users", name)
    op.drop_table("invitations")
    op.drop_table("recovery_codes")
