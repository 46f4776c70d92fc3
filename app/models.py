"""The tables, their constraints, and nothing else."""

from datetime import UTC, datetime

from sqlalchemy import BigInteger, DateTime, ForeignKey, Index, LargeBinary, String, TypeDecorator
from sqlalchemy.orm import Mapped, mapped_column

from app.database import db


def now() -> datetime:
    """The present time in UTC."""
    return datetime.now(UTC)


class UtcDateTime(TypeDecorator[datetime]):
    """A point in time. SQLite forgets the time zone, so it is put back: what goes in and comes out is UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: object) -> datetime | None:
        return value.astimezone(UTC) if value else None

    def process_result_value(self, value: datetime | None, dialect: object) -> datetime | None:
        return value.replace(tzinfo=UTC) if value and value.tzinfo is None else value


# SQLite keeps such a table in the order of its text key, without numbering the rows too: one page less to write.
BY_PRIMARY_KEY = ({"sqlite_with_rowid": False},)


class User(db.Model):
    """An account: it exists from the moment its address is proven."""

    __tablename__ = "users"
    # No row number is ever given twice: a token for a deleted account must not fit the next one.
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(254), unique=True)
    user_handle: Mapped[bytes] = mapped_column(LargeBinary(64), unique=True)
    wants_passkey_offer: Mapped[bool]
    requires_passkey: Mapped[bool] = mapped_column(default=False)
    """Whether email alone signs nobody in."""
    is_disabled: Mapped[bool] = mapped_column(default=False)
    """Whether nothing signs anybody in: the operator's decision."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Invitation(db.Model):
    """An address that may sign up where not everybody may."""

    __tablename__ = "invitations"
    __table_args__ = BY_PRIMARY_KEY

    email: Mapped[str] = mapped_column(String(254), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Passkey(db.Model):
    """A credential record (WebAuthn L3 4, "credential record")."""

    __tablename__ = "passkeys"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    credential_id: Mapped[bytes] = mapped_column(LargeBinary(1023), unique=True)
    public_key: Mapped[bytes]
    sign_count: Mapped[int] = mapped_column(BigInteger)
    transports: Mapped[str]
    """Space-separated, in the words of WebAuthn L3 5.8.4."""
    backup_eligible: Mapped[bool]
    backup_state: Mapped[bool]
    aaguid: Mapped[str] = mapped_column(String(36))
    name: Mapped[str] = mapped_column(String(60))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class RecoveryCode(db.Model):
    """A recovery code that has not been used."""

    __tablename__ = "recovery_codes"
    __table_args__ = BY_PRIMARY_KEY

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    """SHA-256: nobody can guess their way back to 71 random bits, so nothing slower is needed."""


class Session(db.Model):
    """One sign-in of one browser. The signed cookie holds its token; deleting the row ends it."""

    __tablename__ = "sessions"
    __table_args__ = (
        Index("ix_sessions_user_id_created_at", "user_id", "created_at"),
        # What was begun in one session must not fit a later one: no number is given twice.
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    """Its name in pages, addresses and challenges. The number opens nothing."""
    token: Mapped[str] = mapped_column(String(22), unique=True)
    """Random, and only in the cookie."""
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    method: Mapped[str] = mapped_column(String(20))
    passkey_id: Mapped[int | None]
    """The passkey that opened it; that may have been removed since, and numbers are never given twice."""
    browser: Mapped[str] = mapped_column(String(100))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    proved_at: Mapped[datetime] = mapped_column(UtcDateTime)
    proof_digest: Mapped[bytes] = mapped_column(LargeBinary(32))
    """SHA-256 of the mark that the last proof left in the cookie; empty where no proof counts."""
    recovering_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Until when the recovery code that opened it allows adding a passkey."""


class Activity(db.Model):
    """Something that happened to an account."""

    __tablename__ = "activities"
    __table_args__ = (Index("ix_activities_user_id_id", "user_id", "id"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(30))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    browser: Mapped[str] = mapped_column(String(100))
    address: Mapped[str] = mapped_column(String(45))
    detail: Mapped[str] = mapped_column(String(300))
    milliseconds: Mapped[int | None]
    """From begin to finish, where somebody took the time."""
    transcript: Mapped[str]
    """JSON text of a ceremony (see attempts.py), or ""."""


class Counter(db.Model):
    """How often something was done in a while that ends: see limits.py."""

    __tablename__ = "counters"
    __table_args__ = BY_PRIMARY_KEY

    key: Mapped[str] = mapped_column(String(32), primary_key=True)
    count: Mapped[int]
    ends_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class SpentToken(db.Model):
    """The id of a signed token that has been used. Its primary key decides who was first."""

    __tablename__ = "spent_tokens"
    __table_args__ = BY_PRIMARY_KEY

    id: Mapped[str] = mapped_column(String(22), primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class Notice(db.Model):
    """A mail to an owner that has not been sent yet: see notices.py."""

    __tablename__ = "notices"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(index=True)
    """No foreign key: the notice that an account was deleted outlives it, and no number is ever given twice."""
    recipient: Mapped[str] = mapped_column(String(254))
    kind: Mapped[str] = mapped_column(String(30))
    context: Mapped[str]
    """JSON text of what else the mail's template needs."""
    message_id: Mapped[str] = mapped_column(String(300))
    """Of the mail, however often it is sent: after a crash, that may be twice."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    next_try: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    tries: Mapped[int]
