"""PostgreSQL behind SQLAlchemy's async engine: two pools, so that no reader waits for writers' connections.

A connection that has lain idle is asked whether it still stands before it is used, so a server that was restarted
is not noticed by the next request. One that was just used is not asked: that would cost a round trip each time.
"""

from __future__ import annotations

import time
from typing import Any, Literal

from sqlalchemy import event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

IDLE_S = 1.0
"""Idle for longer: ask first."""
POOL, OVERFLOW = 10, 10


def postgres_engine(url: str, isolation: Literal["READ COMMITTED", "REPEATABLE READ"]) -> AsyncEngine:
    """An engine with that isolation. What a commit survives is the server's `synchronous_commit`, power loss by
    default: not ours to weaken.
    """
    engine = create_async_engine(url, pool_size=POOL, max_overflow=OVERFLOW, isolation_level=isolation)
    dialect: Any = engine.sync_engine.dialect

    @event.listens_for(engine.sync_engine, "checkin")
    def _rests(_connection: object, record: Any) -> None:
        record.info["rests_since"] = time.monotonic()

    @event.listens_for(engine.sync_engine, "checkout")
    def _stands(connection: object, record: Any, _proxy: object) -> None:
        since = record.info.get("rests_since")
        if since is None or time.monotonic() - since < IDLE_S:
            return
        try:
            dialect.do_ping(connection)
        except Exception as e:
            raise DisconnectionError from e  # SQLAlchemy makes another one

    return engine
