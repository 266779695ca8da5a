"""The rows keys live in. Every private part is an envelope; the context is `TABLE/COLUMN/ROW`."""

from __future__ import annotations

from sqlalchemy import Column, Integer, LargeBinary, Table, Text

from ironroot.store.tables import metadata
from ironroot.store.types import Instant

secret_key = Table(
    "secret_key",
    metadata,
    Column("name", Text, primary_key=True),
    Column("generation", Integer, primary_key=True),
    Column("wrapped", LargeBinary, nullable=False),
    Column("created_at", Instant, nullable=False),
)
"""Purpose keys, wrapped by the master key."""

signing_key = Table(
    "signing_key",
    metadata,
    Column("name", Text, primary_key=True),
    Column("algorithm", Text, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    Column("public", LargeBinary, nullable=False),
    Column("created_at", Instant, nullable=False),
)
"""Private keys (PKCS#8), sealed by the purpose key `seal`; `public` is the SubjectPublicKeyInfo in DER."""

person_key = Table(
    "person_key",
    metadata,
    Column("person", Text, primary_key=True),
    Column("generation", Integer, nullable=False),
    Column("wrapped", LargeBinary),
    Column("created_at", Instant, nullable=False),
    Column("erased_at", Instant),
)
"""One key per person, sealed by `seal`. Erased: `wrapped` is NULL; a later key has a higher generation."""
