"""SQLite behind SQLAlchemy's async engine, with one visit to the connection's thread per statement.

aiosqlite runs a connection in a thread of its own. SQLAlchemy's adapter goes there four times for each statement
(make a cursor, execute, fetch, close) and for BEGIN as often, and each visit costs more than the statement. Here
a statement is one visit, BEGIN rides along with the first, and a rollback of nothing is none: a third of the time
per transaction. What is said to SQLite is the same. Rows are fetched at once, so streaming results are refused;
lists have limits anyway.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import aiosqlite
from sqlalchemy import event
from sqlalchemy.dialects.sqlite.aiosqlite import AsyncAdapt_aiosqlite_connection, AsyncAdapt_aiosqlite_dbapi
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.util import await_only

BUSY_MS = 30_000
"""How long a statement waits for another process's write."""
WAL_KEPT_BYTES = 64 * 1024 * 1024


def sqlite_engine(url: str, *, synchronous: Literal["NORMAL", "FULL"], size: int, read_only: bool) -> AsyncEngine:
    """An engine of `size` connections whose transactions are ours to begin: IMMEDIATE, or a snapshot to read."""
    engine = create_async_engine(url, pool_size=size, max_overflow=0, module=_Dbapi(aiosqlite, sqlite3))

    @event.listens_for(engine.sync_engine, "connect")
    def _configure(connection: _Connection, _record: object) -> None:
        connection.isolation_level = None
        for pragma in (
            f"busy_timeout={BUSY_MS}",
            "journal_mode=WAL",
            f"journal_size_limit={WAL_KEPT_BYTES}",
            f"synchronous={synchronous}",
            "foreign_keys=ON",
            "secure_delete=ON",  # an erased person's key leaves the file too
            f"query_only={'ON' if read_only else 'OFF'}",
        ):
            cursor = _Cursor(connection)
            cursor.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Any) -> None:
        connection.connection.dbapi_connection.begin("BEGIN" if read_only else "BEGIN IMMEDIATE")

    return engine


class _Connection(AsyncAdapt_aiosqlite_connection):
    """One connection. `open` says that a transaction was, or is about to be, begun in the thread."""

    __slots__ = ("_begin", "_open")

    def __init__(self, dbapi: Any, connection: Any) -> None:
        super().__init__(dbapi, connection)
        self._begin: str | None = None
        self._open = False

    def begin(self, statement: str) -> None:
        """Say `statement` before the next one."""
        self._begin, self._open = statement, True

    def cursor(self, server_side: bool = False) -> Any:
        if server_side:
            raise NotImplementedError("results are not streamed: page through them")
        return _Cursor(self)

    def commit(self) -> None:
        if self._ended():
            super().commit()
            self._open = False

    def rollback(self) -> None:
        if self._ended():
            super().rollback()
            self._open = False

    def _ended(self) -> bool:
        """Whether there is anything to end. A statement whose caller was cancelled may still be on its way to the
        thread, so the answer is what was sent there, not what SQLite says at this moment.
        """
        if self._begin is not None:
            self._begin, self._open = None, False
        return self._open

    def visit(self, call: Callable[[sqlite3.Cursor], object]) -> _Outcome:
        """Run `call` with a cursor in the connection's thread and bring everything back."""
        begin, self._begin = self._begin, None
        raw = self._connection._conn  # noqa: SLF001 (the adapter's job)

        def work() -> _Outcome:
            if begin is not None:
                raw.execute(begin)
            cursor = raw.cursor()
            try:
                call(cursor)
                rows = cursor.fetchall() if cursor.description else ()
                return rows, cursor.description, cursor.rowcount, cursor.lastrowid
            finally:
                cursor.close()

        try:
            outcome: _Outcome = await_only(self._connection._execute(work))  # noqa: SLF001 (the adapter's job)
        except Exception as error:  # noqa: BLE001 (turned into SQLAlchemy's, whatever it is)
            self._handle_exception(error)
        return outcome


_Outcome = tuple[Sequence[Any], Any, int, int | None]


class _Cursor:
    """The rows of one statement; the real cursor lives and ends inside `execute`."""

    __slots__ = ("_connection", "_rows", "arraysize", "description", "lastrowid", "rowcount")
    server_side = False

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection
        self._rows: deque[Any] = deque()
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid: int | None = None
        self.arraysize = 1

    def execute(self, statement: str, parameters: Any = None) -> None:
        self._keep(self._connection.visit(lambda cursor: cursor.execute(statement, parameters or ())))

    def executemany(self, statement: str, parameters: Any) -> None:
        self._keep(self._connection.visit(lambda cursor: cursor.executemany(statement, parameters)))

    def _keep(self, outcome: _Outcome) -> None:
        rows, self.description, self.rowcount, self.lastrowid = outcome
        self._rows = deque(rows)

    def fetchone(self) -> Any:
        return self._rows.popleft() if self._rows else None

    def fetchmany(self, size: int | None = None) -> list[Any]:
        return [self._rows.popleft() for _ in range(min(size or self.arraysize, len(self._rows)))]

    def fetchall(self) -> list[Any]:
        rows, self._rows = list(self._rows), deque()
        return rows

    def __iter__(self) -> Iterator[Any]:
        while self._rows:
            yield self._rows.popleft()

    def close(self) -> None:
        self._rows.clear()

    async def _async_soft_close(self) -> None:
        """SQLAlchemy's way to close a cursor and keep its rows: here it is closed already."""


class _Dbapi(AsyncAdapt_aiosqlite_dbapi):
    """aiosqlite with connections of ours."""

    def connect(self, *args: Any, **options: Any) -> AsyncAdapt_aiosqlite_connection:
        return _Connection(self, super().connect(*args, **options)._connection)  # noqa: SLF001 (the adapter's job)
