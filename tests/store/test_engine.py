"""The unit of work, the same on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, Text, insert, select, text
from sqlalchemy.exc import IntegrityError, StatementError

from ironroot.core.errors import Fault, Misconfigured, Unavailable
from ironroot.store.engine import Durability, Store
from ironroot.store.sql import upsert
from tests.support.postgres import Postgres
from tests.support.stores import Stores

notes = Table(
    "notes",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("text", Text, nullable=False),
)


@pytest.fixture
async def opened(store: Store) -> Store:
    async with store.write() as tx:
        await tx.conn.run_sync(notes.metadata.create_all)
    return store


async def count(store: Store) -> int:
    async with store.read() as conn:
        return len((await conn.execute(select(notes.c.id))).all())


async def write(store: Store, *ids: int) -> None:
    async with store.write() as tx:
        await tx.execute(insert(notes), [{"id": one, "text": "x"} for one in ids])


async def test_what_is_written_together_commits_together(opened: Store) -> None:
    await write(opened, 1, 2)
    with pytest.raises(IntegrityError):  # noqa: PT012 (the block is the transaction)
        async with opened.write() as tx:
            await tx.execute(insert(notes).values(id=3, text="x"))
            await tx.execute(insert(notes).values(id=1, text="again"))
    assert await count(opened) == 2


async def test_an_error_of_the_block_rolls_back_and_goes_on_unchanged(opened: Store) -> None:
    class Own(OSError):
        pass

    with pytest.raises(Own):  # noqa: PT012 (the block is the transaction)
        async with opened.write() as tx:
            await tx.execute(insert(notes).values(id=1, text="x"))
            raise Own
    assert await count(opened) == 0
    await write(opened, 1)


async def test_calls_after_the_commit(opened: Store) -> None:
    calls: list[str] = []
    async with opened.write() as tx:
        tx.on_commit(lambda: calls.append("a"))
        tx.on_commit(lambda: calls.append("b"))
        await tx.execute(insert(notes).values(id=1, text="x"))
        assert calls == []
    assert calls == ["a", "b"]

    with pytest.raises(ZeroDivisionError):  # noqa: PT012 (the block is the transaction)
        async with opened.write() as tx:
            tx.on_commit(lambda: calls.append("never"))
            raise ZeroDivisionError
    assert calls == ["a", "b"]


async def test_a_failing_call_does_not_keep_the_others_from_their_turn(opened: Store) -> None:
    calls: list[str] = []
    async with opened.write() as tx:
        tx.on_commit(lambda: calls.append(str(1 // 0)))
        tx.on_commit(lambda: calls.append("b"))
    assert calls == ["b"]


async def test_a_reader_sees_one_moment_while_writers_go_on(opened: Store) -> None:
    await write(opened, 1)
    async with opened.read() as conn:
        first = (await conn.execute(select(notes.c.id))).all()
        await write(opened, 2)
        again = (await conn.execute(select(notes.c.id))).all()
    assert len(first) == len(again) == 1
    assert await count(opened) == 2


async def test_a_reader_cannot_write(opened: Store) -> None:
    with pytest.raises(Exception, match=r"read-?only"):
        async with opened.read() as conn:
            await conn.execute(insert(notes).values(id=1, text="x"))


async def test_writers_side_by_side_lose_nothing(opened: Store) -> None:
    await asyncio.gather(*(write(opened, n) for n in range(40)))
    assert await count(opened) == 40


async def test_a_cancelled_writer_leaves_nothing_and_blocks_nobody(opened: Store) -> None:
    inside = asyncio.Event()

    async def forever() -> None:
        async with opened.write() as tx:
            await tx.execute(insert(notes).values(id=1, text="x"))
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(forever())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await write(opened, 1)
    assert await count(opened) == 1


@pytest.mark.parametrize("turns", range(12))
async def test_a_writer_cancelled_anywhere_is_whole_or_nothing(opened: Store, turns: int) -> None:
    """Cancelled after so many turns of the loop: inside BEGIN, the statement, the commit. What the calls after the
    commit were told is what the database holds.
    """
    told: list[int] = []

    async def one() -> None:
        async with opened.write() as tx:
            tx.on_commit(lambda: told.append(1))
            await tx.execute(insert(notes).values(id=1, text="x"))

    task = asyncio.create_task(one())
    for _ in range(turns * 3):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    assert await count(opened) == len(told)
    await write(opened, 2)
    assert await count(opened) == len(told) + 1


async def test_upsert(opened: Store) -> None:
    async with opened.write() as tx:
        for words in ("a", "b"):
            statement = upsert(opened.engine_name, notes).values(id=1, text=words)
            await tx.execute(statement.on_conflict_do_update(index_elements=["id"], set_={"text": words}))
        ignored = upsert(opened.engine_name, notes).values(id=1, text="c").on_conflict_do_nothing()
        await tx.execute(ignored)
    async with opened.read() as conn:
        assert (await conn.execute(select(notes.c.text))).scalars().all() == ["b"]


async def test_a_process_that_only_reads_cannot_write(stores: Stores) -> None:
    await stores.create(notes.metadata)
    watching = stores.open(read_only=True)
    with pytest.raises(Fault):
        async with watching.write():
            pass
    assert await count(watching) == 0


async def test_what_one_process_commits_another_reads_at_once(stores: Stores) -> None:
    one = await stores.create(notes.metadata)
    other = stores.open(read_only=True)
    for n in range(5):
        await write(one, n)
        assert await count(other) == n + 1


def test_other_engines_are_refused() -> None:
    with pytest.raises(Misconfigured):
        Store("mysql://x/y")


async def test_a_server_that_is_away_is_unavailable(tmp_path: Any) -> None:
    store = Store(f"postgresql+asyncpg://ironroot@/x?host={tmp_path}")
    with pytest.raises(Unavailable) as e:
        async with store.read():
            pass
    assert e.value.remedy
    with pytest.raises(Unavailable):
        async with store.write():
            pass
    await store.close()


async def test_a_wrong_statement_is_our_bug_not_an_outage(opened: Store) -> None:
    with pytest.raises(Exception, match=r"nowhere") as e:
        async with opened.write() as tx:
            await tx.execute(text("select * from nowhere"))
    assert not isinstance(e.value, Fault)


@pytest.mark.parametrize(("durability", "level"), [("process", 1), ("power", 2)])
async def test_durability_is_what_was_asked_for(sqlite_stores: Stores, durability: Durability, level: int) -> None:
    async with sqlite_stores.open(durability=durability).write() as tx:
        assert (await tx.execute(text("pragma synchronous"))).scalar() == level
        assert (await tx.execute(text("pragma journal_mode"))).scalar() == "wal"
        assert (await tx.execute(text("pragma foreign_keys"))).scalar() == 1


async def test_results_are_not_streamed(sqlite_stores: Stores) -> None:
    store = await sqlite_stores.create(notes.metadata)
    with pytest.raises(StatementError, match="page through"):
        async with store.read() as conn:
            await conn.stream(select(notes))


async def test_a_statement_for_many_parameters(opened: Store) -> None:
    async with opened.write() as tx:
        await tx.execute(insert(notes), [{"id": n, "text": f"ä{n}\x01"} for n in range(600)])
        got = await tx.execute(insert(notes).values(id=601, text="one").returning(notes.c.text))
        assert got.scalar() == "one"
    assert await count(opened) == 601


# --- PostgreSQL alone


@pytest.fixture
async def remote(postgres: Postgres) -> AsyncIterator[Stores]:
    async with postgres.database() as name:
        made = Stores(postgres.url(name))
        yield made
        await made.close()


async def cut(server: Postgres) -> None:
    """End every connection but the one that says so."""
    await server.run("select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()")


async def one(store: Store) -> object:
    async with store.read() as conn:
        return (await conn.execute(text("select 1"))).scalar()


async def test_a_connection_cut_while_idle_is_not_noticed(
    remote: Stores, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ironroot.store.postgres.IDLE_S", 0.0)
    store = remote.open()
    assert await one(store) == 1
    await cut(postgres)
    assert await one(store) == 1


async def test_a_connection_cut_in_use_is_unavailable_once(remote: Stores, postgres: Postgres) -> None:
    store = remote.open()
    with pytest.raises(Unavailable):  # noqa: PT012 (the block is the transaction)
        async with store.write() as tx:
            await cut(postgres)
            await tx.execute(text("select 1"))
    assert await one(store) == 1


async def test_a_wrong_name_in_the_url_is_a_wrong_configuration(postgres: Postgres) -> None:
    for url in (postgres.url("nowhere"), postgres.url("postgres").replace("ironroot@", "stranger@")):
        store = Store(url)
        with pytest.raises(Misconfigured) as e:
            await one(store)
        assert "URL" in e.value.remedy
        await store.close()


async def test_no_free_connection_is_unavailable(sqlite_stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    store = sqlite_stores.open()
    monkeypatch.setattr(store._reader.sync_engine.pool, "_timeout", 0.01)
    async with AsyncExitStack() as stack:
        for _ in range(8):
            await stack.enter_async_context(store.read())
        with pytest.raises(Unavailable) as e:
            await one(store)
    assert e.value.error_code == "store-busy"
