"""One store: write transactions one after the other on SQLite, side by side on PostgreSQL; reads never wait.

A write is `async with store.write() as tx`: everything inside commits together or not at all, and the calls
given to `tx.on_commit` run once it is durable, before the block returns to its caller. A commit that failed
raises (Unavailable for a full disk, a lost connection, a deadlock); what was reported as committed stays.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from typing import Any, Literal

import structlog
from sqlalchemy import CursorResult, Executable
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoFreeConnection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ironroot.core.errors import Fault, Misconfigured
from ironroot.store.failures import translate
from ironroot.store.postgres import postgres_engine
from ironroot.store.sqlite import sqlite_engine
from ironroot.store.tables import TableSet

Durability = Literal["process", "power"]
"""What a commit survives: the death of any process (SQLite synchronous=NORMAL), or power loss as well (FULL)."""

_log = structlog.get_logger(__name__)


class Tx:
    """One write transaction."""

    __slots__ = ("after_commit", "conn")

    def __init__(self, conn: AsyncConnection) -> None:
        self.conn = conn
        self.after_commit: list[Callable[[], None]] = []

    def on_commit(self, call: Callable[[], None]) -> None:
        """Run `call` (quick, not failing) once the transaction is durable; never if it rolls back."""
        self.after_commit.append(call)

    async def execute(self, statement: Executable, parameters: Any = None) -> CursorResult[Any]:
        """Run one statement inside the transaction; a list of parameters runs it for each of them in one go."""
        return await self.conn.execute(statement, parameters)


class Store:
    """An open database. Connections are made when they are needed; `close` ends them."""

    def __init__(self, url: str, *, durability: Durability = "process", read_only: bool = False) -> None:
        """`url`: `sqlite+aiosqlite:///FILE` or `postgresql+asyncpg://...`. Raises Misconfigured for any other."""
        backend = make_url(url).get_backend_name()
        if backend not in {"sqlite", "postgresql"}:
            raise Misconfigured(f"no store for {backend!r}", remedy="use sqlite+aiosqlite:/// or postgresql+asyncpg://")
        self.url = url
        self.read_only = read_only
        self.engine_name: str = backend
        self._turn: AbstractAsyncContextManager[object] = asyncio.Lock() if backend == "sqlite" else nullcontext()
        if backend == "sqlite":
            synchronous: Literal["NORMAL", "FULL"] = "FULL" if durability == "power" else "NORMAL"
            self._writer = sqlite_engine(url, synchronous=synchronous, size=1, read_only=read_only)
            self._reader = sqlite_engine(url, synchronous=synchronous, size=8, read_only=True)
        else:
            self._writer = postgres_engine(url, "READ COMMITTED")
            self._reader = postgres_engine(url, "REPEATABLE READ").execution_options(postgresql_readonly=True)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Tx]:
        """A write transaction. On SQLite one at a time; on PostgreSQL concurrent, read committed.

        Raises Unavailable when the engine cannot do it now, Corrupt when its file is damaged, Fault in a process
        that may only read. What the block itself raises rolls everything back and goes on unchanged.
        """
        if self.read_only:
            raise Fault("this process opened the store for reading only", code="store-read-only")
        try:
            async with self._turn, _connected(self._writer) as conn:
                await conn.begin()
                tx = Tx(conn)
                yield tx
                await _uninterrupted(_commit(tx))
        except DBAPIError as e:
            raise translate(e) from e

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A read-only connection with one consistent snapshot, taken at the first statement, for the length of the
        block. Raises Unavailable or Corrupt as `write` does.
        """
        try:
            async with _connected(self._reader) as conn:
                yield conn
        except DBAPIError as e:
            raise translate(e) from e

    async def migrate(self, tables: TableSet) -> tuple[str | None, str]:
        """Bring a set of tables to what this code expects; returns the revision before (None: new) and after.

        Raises Misconfigured for a database of a newer version, which stays as it is.
        """
        from ironroot.store.migrate import upgrade  # noqa: PLC0415 (Alembic is for the one process that migrates)

        async with self.write() as tx:
            return await tx.conn.run_sync(upgrade, tables)

    async def close(self) -> None:
        """Close every connection."""
        await self._writer.dispose()
        await self._reader.dispose()


@asynccontextmanager
async def _connected(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A connection; the block's own OSErrors stay what they are."""
    async with AsyncExitStack() as stack:
        try:
            conn = await stack.enter_async_context(engine.connect())
        except (OSError, NoFreeConnection) as e:
            raise translate(e) from e
        yield conn


async def _commit(tx: Tx) -> None:
    await tx.conn.commit()
    for call in tx.after_commit:
        try:
            call()
        except Exception:  # noqa: BLE001 (logged; the commit is done, and the other calls are due)
            _log.exception("a call after the commit failed", call=repr(call))


async def _uninterrupted(work: Coroutine[Any, Any, None]) -> None:
    """Finish `work` although the caller is cancelled: a commit half waited for would leave its outcome unknown,
    its calls undone and the next writer in the middle of it.
    """
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise
