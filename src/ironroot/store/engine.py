"""One store: write transactions one after the other on SQLite, side by side on PostgreSQL; reads never wait.

A write is `async with store.write() as tx`: everything inside commits together or not at all, and the calls
given to `tx.on_commit` run after the commit, before the block returns to its caller.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any, Literal

from sqlalchemy import CursorResult, Executable, event
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from ironroot.core.errors import Misconfigured

Durability = Literal["process", "power"]
"""What a commit survives: the death of any process (SQLite synchronous=NORMAL), or power loss as well (FULL)."""


class Tx:
    """One write transaction."""

    def __init__(self, conn: AsyncConnection) -> None:
        self.conn = conn
        self.after_commit: list[Callable[[], None]] = []

    def on_commit(self, call: Callable[[], None]) -> None:
        """Run `call` (quick, not failing) once the transaction is durable; never if it rolls back."""
        self.after_commit.append(call)

    async def execute(self, statement: Executable, parameters: Any = None) -> CursorResult[Any]:
        """Run one statement inside the transaction."""
        return await self.conn.execute(statement, parameters)


class Store:
    """An open database. Make one with `Store.open`."""

    def __init__(self, url: str, *, durability: Durability = "process", read_only: bool = False) -> None:
        """`url`: `sqlite+aiosqlite:///FILE` or `postgresql+asyncpg://...`. Raises Misconfigured for any other."""
        backend = make_url(url).get_backend_name()
        if backend not in {"sqlite", "postgresql"}:
            raise Misconfigured(f"no store for {backend!r}", remedy="use sqlite+aiosqlite:/// or postgresql+asyncpg://")
        self.url = url
        self.engine_name: str = backend
        self._turn: AbstractAsyncContextManager[object] = asyncio.Lock() if backend == "sqlite" else nullcontext()
        self._writer: AsyncEngine
        self._reader: AsyncEngine
        if backend == "sqlite":
            self._writer = _sqlite(url, durability=durability, size=1, read_only=read_only)
            self._reader = _sqlite(url, durability=durability, size=8, read_only=True)
        else:
            self._writer = self._reader = create_async_engine(url, pool_size=10, max_overflow=10, pool_pre_ping=True)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Tx]:
        """A write transaction. On SQLite one at a time; on PostgreSQL concurrent, read committed."""
        async with self._turn, self._writer.begin() as conn:
            tx = Tx(conn)
            yield tx
        for call in tx.after_commit:
            call()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A read-only connection with one consistent snapshot for the length of the block."""
        async with self._reader.connect() as conn:
            yield conn

    async def close(self) -> None:
        """Close every connection."""
        await self._writer.dispose()
        if self._reader is not self._writer:
            await self._reader.dispose()


def _sqlite(url: str, *, durability: Durability, size: int, read_only: bool) -> AsyncEngine:
    engine = create_async_engine(url, pool_size=size, max_overflow=0, connect_args={"timeout": 30})

    @event.listens_for(engine.sync_engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # SQLAlchemy's BEGIN is ours to say, below
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute(f"PRAGMA synchronous={'FULL' if durability == 'power' else 'NORMAL'}")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA busy_timeout=30000")
        if read_only:
            cursor.execute("PRAGMA query_only=ON")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    return engine
