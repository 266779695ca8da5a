"""Migrations, run for real on both engines."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, inspect, text

import ironroot.store
from ironroot.core.errors import Misconfigured
from ironroot.store.migrate import current, version_table
from ironroot.store.tables import TABLES, TableSet
from tests.support.stores import Stores, load_tables

SETS: tuple[TableSet, ...] = ("state", "telemetry")


def difference(connection: Connection, tables: TableSet) -> list[Any]:
    """What alembic would change to get from the migrated database to the declared tables."""
    own = set(TABLES[tables].tables)
    others = {version_table(one) for one in SETS} | {
        name for one in SETS if one != tables for name in TABLES[one].tables
    }

    def mine(name: str | None, kind: str, _parents: object) -> bool:
        return kind != "table" or name not in others or name in own

    options = {"version_table": version_table(tables), "include_name": mine, "compare_type": True}
    context = MigrationContext.configure(connection, opts=options)
    return list(compare_metadata(context, TABLES[tables]))


@pytest.mark.parametrize("tables", SETS)
async def test_the_revisions_make_the_tables_the_code_declares(stores: Stores, tables: TableSet) -> None:
    load_tables()
    store = stores.open()
    before, after = await store.migrate(tables)
    assert before is None
    async with store.read() as conn:
        assert await conn.run_sync(current, tables) == after
        found = await conn.run_sync(difference, tables)
    assert not found, (
        f"store/migrations/{tables}: write these by hand into a revision (the unreleased one, or a new one):\n"
        + "\n".join(str(one) for one in found)
    )


async def test_a_second_start_changes_nothing(stores: Stores) -> None:
    store = stores.open()
    _, head = await store.migrate("state")
    assert await store.migrate("state") == (head, head)


async def test_both_sets_fit_into_one_database(stores: Stores) -> None:
    load_tables()
    store = stores.open()
    for tables in SETS:
        await store.migrate(tables)
    async with store.read() as conn:
        names = set(await conn.run_sync(lambda sync: inspect(sync).get_table_names()))
        for tables in SETS:
            assert not await conn.run_sync(difference, tables)
    assert names >= {version_table("state"), version_table("telemetry"), "fact"}


async def test_two_processes_that_start_at_once_migrate_once(stores: Stores) -> None:
    results = await asyncio.gather(*(stores.open().migrate("state") for _ in range(4)))
    assert sorted(before is None for before, _ in results) == [False, False, False, True]


async def test_a_database_of_a_newer_version_is_refused_and_left_alone(stores: Stores) -> None:
    store = stores.open()
    await store.migrate("state")
    async with store.write() as tx:
        await tx.execute(text("update schema_state set version_num = '9999'"))
    with pytest.raises(Misconfigured) as e:
        await store.migrate("state")
    assert e.value.error_code == "newer-database"
    assert "9999" in e.value.message
    assert e.value.remedy
    async with store.read() as conn:
        assert await conn.run_sync(current, "state") == "9999"


async def test_a_failing_revision_leaves_nothing_behind(stores: Stores) -> None:
    """The tables of a revision come together or not at all, also on SQLite."""
    store = stores.open()
    async with store.write() as tx:
        await tx.execute(text("create table log_cursor (name text)"))  # in the way of the first revision
    with pytest.raises(Exception, match="log_cursor"):
        await store.migrate("state")
    async with store.read() as conn:
        assert await conn.run_sync(lambda sync: inspect(sync).get_table_names()) == ["log_cursor"]


def test_revisions_are_part_of_the_package() -> None:
    at = Path(ironroot.store.__path__[0], "migrations")
    for tables in SETS:
        assert (at / tables / "versions" / "0001_foundation.py").is_file()
