"""Column types that mean the same on SQLite and PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Dialect, Integer
from sqlalchemy.types import TypeDecorator

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

Big = BigInteger().with_variant(Integer, "sqlite")
"""64-bit integer; as a primary key it numbers itself on both engines."""


def microseconds(at: datetime) -> int:
    """How `Instant` stores a time, for arithmetic in a query. Raises ValueError for a time without a zone."""
    if at.tzinfo is None:
        raise ValueError("a stored instant has a zone")
    return (at - _EPOCH) // _MICROSECOND


class Instant(TypeDecorator[datetime]):
    """A UTC instant as microseconds since 1970 in a 64-bit integer: exact, sortable, the same on every engine."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002 (interface)
        """To the database. Raises ValueError for a time without a zone."""
        return None if value is None else microseconds(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002 (interface)
        """From the database, aware, UTC."""
        return None if value is None else _EPOCH + timedelta(microseconds=int(value))
