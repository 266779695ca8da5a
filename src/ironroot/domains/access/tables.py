"""Tables of access: no secret in any of them, only hashes."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, String, Table

from ironroot.store.tables import metadata
from ironroot.store.types import Instant

user = Table(
    "access_user",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("name", String(100), nullable=False, unique=True),
    Column("role", String(32), nullable=False),
    Column("created_at", Instant, nullable=False),
)
link = Table(
    "access_link",
    metadata,
    Column("token_hash", String(64), primary_key=True),
    Column("user_id", ForeignKey("access_user.id"), nullable=False),
    Column("expires_at", Instant, nullable=False, index=True),
    Column("used_at", Instant),
)
session = Table(
    "access_session",
    metadata,
    Column("token_hash", String(64), primary_key=True),
    Column("handle", String(40), nullable=False, unique=True),
    Column("user_id", ForeignKey("access_user.id"), nullable=False, index=True),
    Column("address", String(64), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("last_seen_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False, index=True),
)
api_key = Table(
    "access_api_key",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("name", String(100), nullable=False),
    Column("role", String(32), nullable=False),
    Column("secret_hash", String(64), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("created_by", String(80), nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("last_used_at", Instant),
    Column("revoked_at", Instant),
)
