"""Stores for tests: the same test runs on SQLite and on PostgreSQL.

`store` is an empty open store with all state tables, on each engine in turn; `sqlite_store` is the quick one for
tests that are not about the engine; `telemetry_store` is what the intake worker writes. `stores` and
`sqlite_stores` are a database without tables, to open as often as the test likes (processes, restarts).
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

import pytest
from sqlalchemy import MetaData

import ironroot.domains
from ironroot.store.engine import Durability, Store
from ironroot.store.tables import metadata, telemetry_metadata
from tests.support.postgres import Postgres

ENGINES = ("sqlite", "postgresql")


@cache
def load_tables() -> None:
    """Import every module of tables, so that the metadata is whole."""
    importlib.import_module("ironroot.eventlog.tables")
    importlib.import_module("ironroot.app.projections")
    domains = (f"ironroot.domains.{module.name}" for module in pkgutil.iter_modules(ironroot.domains.__path__))
    for package in ("ironroot.trust", *domains):
        for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
            if module.name.endswith("tables"):
                importlib.import_module(f"{package}.{module.name}")


class Stores:
    """One database of one test, opened as often as the test likes; everything is closed at its end."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine = "sqlite" if url.startswith("sqlite") else "postgresql"
        self._open: list[Store] = []

    def open(self, *, durability: Durability = "process", read_only: bool = False) -> Store:
        store = Store(self.url, durability=durability, read_only=read_only)
        self._open.append(store)
        return store

    async def create(self, tables: MetaData = metadata) -> Store:
        """Opened, with its tables made."""
        load_tables()
        store = self.open()
        async with store.write() as tx:
            await tx.conn.run_sync(tables.create_all)
        return store

    async def close(self) -> None:
        for store in self._open:
            await store.close()


@asynccontextmanager
async def _on_sqlite(at: Path) -> AsyncIterator[Stores]:
    made = Stores(f"sqlite+aiosqlite:///{at}/state.db")
    try:
        yield made
    finally:
        await made.close()


@asynccontextmanager
async def _on_postgres(server: Postgres) -> AsyncIterator[Stores]:
    async with server.database() as name:
        made = Stores(server.url(name))
        try:
            yield made
        finally:
            await made.close()


async def _with(request: pytest.FixtureRequest, at: Path, tables: MetaData) -> AsyncIterator[Store]:
    if request.param == "sqlite":
        async with _on_sqlite(at) as made:
            yield await made.create(tables)
        return
    server: Postgres = request.getfixturevalue("postgres")
    ready = server.ready.setdefault("state" if tables is metadata else "telemetry", [])
    fresh = not ready
    name = await server.make() if fresh else ready.pop()
    made = Stores(server.url(name))
    try:
        yield await made.create(tables) if fresh else made.open()
    finally:
        await made.close()
        await server.empty(name)
        ready.append(name)


@pytest.fixture(params=ENGINES)
async def stores(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stores]:
    """An empty database on each engine, without tables."""
    if request.param == "sqlite":
        async with _on_sqlite(tmp_path) as made:
            yield made
    else:
        async with _on_postgres(request.getfixturevalue("postgres")) as made:
            yield made


@pytest.fixture(params=ENGINES)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """All state tables, on each engine."""
    async for made in _with(request, tmp_path, metadata):
        yield made


@pytest.fixture(params=ENGINES)
async def telemetry_store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """The intake worker's tables, on each engine."""
    async for made in _with(request, tmp_path, telemetry_metadata):
        yield made


@pytest.fixture
async def sqlite_stores(tmp_path: Path) -> AsyncIterator[Stores]:
    """An empty SQLite database, without tables."""
    async with _on_sqlite(tmp_path) as made:
        yield made


@pytest.fixture
async def sqlite_store(sqlite_stores: Stores) -> Store:
    """All state tables, on SQLite alone."""
    return await sqlite_stores.create()
