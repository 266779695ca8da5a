"""The two sets of tables. On SQLite each is a file of its own, so that each file has exactly one writing process.

`metadata`: state and facts, written by the platform. `telemetry_metadata`: what devices report, written by the
intake worker. On PostgreSQL both live in one database.
"""

from __future__ import annotations

from typing import Literal

from sqlalchemy import MetaData

_NAMES = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

metadata = MetaData(naming_convention=_NAMES)
telemetry_metadata = MetaData(naming_convention=_NAMES)

TableSet = Literal["state", "telemetry"]
TABLES: dict[TableSet, MetaData] = {"state": metadata, "telemetry": telemetry_metadata}
"""The sets by the names their migrations go by."""
