"""Followers see every fact, in order, at least once; projections count each exactly once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, Text, delete, insert, select

from ironroot.eventlog import followers
from ironroot.eventlog.log import EventLog
from ironroot.eventlog.model import Fact
from ironroot.eventlog.projections import Projector
from ironroot.eventlog.signal import Signal
from ironroot.eventlog.tables import log_cursor
from ironroot.store.engine import Store, Tx
from tests.eventlog.conftest import Running
from tests.eventlog.facts import append, made
from tests.support.clock import ManualClock
from tests.support.stores import Stores


class Reader:
    """Remembers the numbers it was given."""

    def __init__(self, fail: int = 0) -> None:
        self.seqs: list[int] = []
        self.fail = fail
        self.news = Signal()

    async def __call__(self, facts: Sequence[Fact]) -> None:
        if self.fail:
            self.fail -= 1
            raise RuntimeError("not now")
        self.seqs += [one.seq for one in facts]
        self.news.fire()

    async def until(self, seq: int) -> None:
        while seq not in self.seqs:
            seen = self.news.count
            if seq not in self.seqs:
                await self.news.wait(seen, 10)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(followers, "RETRY_FIRST_S", 0.001)


async def test_a_follower_sees_every_fact_in_order(log: EventLog, running: Running) -> None:
    await append(log, *(made(n) for n in range(5)))
    reader, picky = Reader(), Reader()
    log.follow("all", reader)
    log.follow("some", picky, kinds=["device.retired"])
    async with running(log):
        await reader.until(5)
        await append(log, made(5, "device.retired"), made(6))
        await reader.until(7)
        await picky.until(6)
        late = Reader()
        log.follow("late", late)
        await late.until(7)
        now = Reader()
        follower = log.follow("now", now, start="now")
        while follower.seq < 7:
            await asyncio.sleep(0)
        await append(log, made(7))
        await now.until(8)
    assert reader.seqs == list(range(1, 9))
    assert picky.seqs == [6]
    assert late.seqs[:7] == list(range(1, 8))
    assert now.seqs == [8]


async def test_a_follower_goes_on_after_a_restart(stores: Stores, clock: ManualClock, running: Running) -> None:
    first = EventLog(await stores.create(), clock)
    reader = Reader()
    first.follow("x", reader)
    await append(first, made(1), made(2))
    async with running(first):
        await reader.until(2)
    second = EventLog(stores.open(), clock)
    again = Reader()
    second.follow("x", again)
    async with running(second):
        await append(second, made(3))
        await again.until(3)
    assert again.seqs == [3], "the cursor is saved on the way out"


async def test_after_a_crash_facts_come_again_and_none_is_skipped(
    stores: Stores, clock: ManualClock, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = EventLog(await stores.create(), clock)
    await append(first, made(1), made(2))
    reader = Reader()

    async def crash(_self: followers.Follower) -> None:
        return

    with monkeypatch.context() as patch:
        patch.setattr(followers.Follower, "save", crash)
        first.follow("x", reader)
        async with running(first):
            await reader.until(2)
    second = EventLog(stores.open(), clock)
    again = Reader()
    second.follow("x", again)
    async with running(second):
        await again.until(2)
    assert again.seqs == [1, 2]


async def test_a_failing_handler_is_asked_again_and_holds_nobody_else_up(log: EventLog, running: Running) -> None:
    stuck, reader = Reader(fail=10_000), Reader()
    follower = log.follow("stuck", stuck)
    log.follow("fine", reader)
    async with running(log):
        await append(log, made(1), made(2))
        await reader.until(2)
        while follower.error is None:
            await asyncio.sleep(0)
        assert follower.error == "RuntimeError: not now"
        assert follower.seq == 0
        stuck.fail = 0
        await stuck.until(2)
    assert stuck.seqs == [1, 2]
    assert [one.error for one in log.followers] == [None, None]


async def test_a_follower_ahead_of_the_log_says_that_the_log_was_cut_back(log: EventLog, running: Running) -> None:
    async with log.store.write() as tx:
        await tx.execute(insert(log_cursor).values(name="x", version=0, seq=9, at=log.clock.now()))
    follower = log.follow("x", Reader())
    async with running(log):
        while follower.error is None:
            await asyncio.sleep(0)
    assert "ends at 0" in follower.error


def test_two_followers_of_one_name_would_share_a_cursor(log: EventLog) -> None:
    log.follow("x", Reader())
    with pytest.raises(ValueError, match="two followers"):
        log.follow("x", Reader())


async def test_a_follower_far_behind_reads_from_the_store(
    log: EventLog, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with log.store.write() as tx:
        await log.append_all(tx, [made(n) for n in range(700)])
    await log.settle()
    log._tail.clear()
    reader = Reader()
    log.follow("x", reader)
    async with running(log):
        await reader.until(700)
    assert reader.seqs == list(range(1, 701))


# --- projections

counts = Table("kind_count", MetaData(), Column("kind", Text, primary_key=True), Column("n", Integer, nullable=False))


class Counting:
    """How often each kind happened, times a factor that is the rule."""

    name = "counting"
    kinds: frozenset[str] | None = None

    def __init__(self, version: int = 1, fail: int = 0) -> None:
        self.version = version
        self.fail = fail

    async def reset(self, tx: Tx) -> None:
        await tx.execute(delete(counts))

    async def apply(self, tx: Tx, facts: Sequence[Fact]) -> None:
        for one in facts:
            row = (await tx.execute(select(counts.c.n).where(counts.c.kind == one.kind))).scalar()
            await tx.execute(delete(counts).where(counts.c.kind == one.kind))
            await tx.execute(insert(counts).values(kind=one.kind, n=(row or 0) + self.version))
            if self.fail:
                self.fail -= 1
                raise RuntimeError("half-way")


@pytest.fixture
async def counted(store: Store) -> Store:
    async with store.write() as tx:
        await tx.conn.run_sync(counts.metadata.create_all)
    return store


async def result(store: Store) -> dict[str, int]:
    async with store.read() as conn:
        return {row.kind: row.n for row in await conn.execute(select(counts))}


async def caught_up(projector: Projector, seq: int) -> None:
    while projector.seq < seq:
        await asyncio.sleep(0.001)


async def test_a_projection_counts_each_fact_once_whatever_fails(
    counted: Store, clock: ManualClock, running: Running
) -> None:
    log = EventLog(counted, clock)
    projector = log.project(Counting(fail=3))
    async with running(log):
        await append(log, made(1), made(2), made(3, "device.retired"))
        await caught_up(projector, 3)
    assert await result(counted) == {"device.registered": 2, "device.retired": 1}
    log = EventLog(counted, clock)
    projector = log.project(Counting())
    async with running(log):
        await append(log, made(4))
        await caught_up(projector, 4)
    assert await result(counted) == {"device.registered": 3, "device.retired": 1}


async def test_a_projection_with_another_rule_is_worked_out_again(
    counted: Store, clock: ManualClock, running: Running
) -> None:
    log = EventLog(counted, clock)
    await append(log, made(1), made(2))
    projector = log.project(Counting())
    async with running(log):
        await caught_up(projector, 2)
    log = EventLog(counted, clock)
    projector = log.project(Counting(version=10))
    async with running(log):
        await caught_up(projector, 2)
    assert await result(counted) == {"device.registered": 20}
