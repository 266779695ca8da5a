"""The few statements whose spelling differs between the engines."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite


def upsert(engine_name: str, table: Table) -> Any:
    """An `INSERT` that knows `on_conflict_do_update` and `on_conflict_do_nothing`, for the engine named."""
    return postgresql.insert(table) if engine_name == "postgresql" else sqlite.insert(table)
