"""The tables and their constraints.

A relationship raises an error unless its query has loaded it (`lazy="raise"`), so no page runs a hidden query.
"""

from datetime import UTC, datetime

from flask_login import UserMixin
from sqlalchemy import BigInteger, DateTime, ForeignKey, Index, LargeBinary, String, TypeDecorator
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.database import db


def now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)


def milliseconds(moment: datetime) -> int:
    """Return a time in milliseconds since 1970."""
    return round(moment.timestamp() * 1000)


class UtcDateTime(TypeDecorator[datetime]):
    """A point in time, in UTC. SQLite doesn't store the time zone, so we add it when reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: object) -> datetime | None:
        return value.astimezone(UTC) if value else None

    def process_result_value(self, value: datetime | None, dialect: object) -> datetime | None:
        return value.replace(tzinfo=UTC) if value and value.tzinfo is None else value


# SQLite then keeps the rows in the primary key's index, instead of in a table beside it: one page less to write.
WITHOUT_ROWID = ({"sqlite_with_rowid": False},)


class User(db.Model):
    """An account. It exists once its email address is proven."""

    __tablename__ = "users"
    # No id is ever used twice: a token for a deleted account must not fit a later one.
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(254), unique=True)
    user_handle: Mapped[bytes] = mapped_column(LargeBinary(64), unique=True)
    """WebAuthn L3 14.6.1: 64 random bytes, so that it says nothing about the person."""
    wants_passkey_offer: Mapped[bool]
    """False if the owner asked not to be offered a passkey again."""
    requires_passkey: Mapped[bool] = mapped_column(default=False)
    """True if the owner decided that an email link is not enough to sign in."""
    is_disabled: Mapped[bool] = mapped_column(default=False)
    """True if the operator decided that nobody can sign in."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)

    @property
    def form_mark(self) -> str:
        """Each form on an account's page carries this mark. So an old page can't change the next visitor's account."""
        return self.user_handle.hex()[:16]


class Invitation(db.Model):
    """An address that may sign up on a site by invitation."""

    __tablename__ = "invitations"
    __table_args__ = WITHOUT_ROWID

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

    user: Mapped[User] = relationship(lazy="raise")


class RecoveryCode(db.Model):
    """A recovery code that has not been used."""

    __tablename__ = "recovery_codes"
    __table_args__ = WITHOUT_ROWID

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    """SHA-256. A slower hash isn't needed, because nobody can guess 71 random bits."""


class Session(UserMixin, db.Model):
    """One sign-in of one browser. The signed cookie holds its token. Deleting the row ends it."""

    __tablename__ = "sessions"
    __table_args__ = (
        Index("ix_sessions_user_id_created_at", "user_id", "created_at"),
        # No id is ever used twice: a challenge of an ended session must not fit a later one.
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    """The name of the session in pages, paths and challenges. It gives no access."""
    token: Mapped[str] = mapped_column(String(22), unique=True)
    """Random, and only in the cookie."""
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    method: Mapped[str] = mapped_column(String(20))
    """A value of `sessions.Method`."""
    passkey_id: Mapped[int | None]
    """The passkey that opened the session. It may have been removed since, so this is no foreign key."""
    browser: Mapped[str] = mapped_column(String(100))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    proved_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """The time of the last proof of identity: see proof.py."""
    proof_digest: Mapped[bytes] = mapped_column(LargeBinary(32))
    """SHA-256 of the mark that the last proof left in the cookie. Empty if no proof counts."""
    recovering_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Set if a recovery code opened the session: until then it may add a passkey without fresh proof."""

    user: Mapped[User] = relationship(lazy="raise")

    # Not a column: True if this request's cookie has the mark of the last proof. See `sessions.find`.
    has_proof_mark = False

    def get_id(self) -> str:
        """Return the text that Flask-Login keeps in the cookie."""
        return self.token


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
    """From begin to finish, if it was measured."""
    transcript: Mapped[str]
    """JSON text of a ceremony (see ceremonies/attempts.py) or of a sign-in by mail (see sign_in_links.py), or ""."""


class Counter(db.Model):
    """How often something was done in a period of time: see limits.py."""

    __tablename__ = "counters"
    __table_args__ = WITHOUT_ROWID

    key: Mapped[str] = mapped_column(String(32), primary_key=True)
    count: Mapped[int]
    ends_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class SpentToken(db.Model):
    """The id of a signed token that has been used. Its primary key decides who is first."""

    __tablename__ = "spent_tokens"
    __table_args__ = WITHOUT_ROWID

    id: Mapped[str] = mapped_column(String(22), primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class Notice(db.Model):
    """A mail to an account's owner that has not been sent yet: see notices.py."""

    __tablename__ = "notices"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(index=True)
    """No foreign key, because the notice that an account was deleted outlives the account."""
    recipient: Mapped[str] = mapped_column(String(254))
    kind: Mapped[str] = mapped_column(String(30))
    context: Mapped[str]
    """JSON text of the other values for the mail's template."""
    message_id: Mapped[str] = mapped_column(String(300))
    """The Message-ID of the mail. It stays the same if a crash causes the mail to be sent twice."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    next_try: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    tries: Mapped[int]
