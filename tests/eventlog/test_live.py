"""Live readers: nobody waits for them, and a slow one is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from ironroot.eventlog import live
from ironroot.eventlog.live import Resync
from ironroot.eventlog.log import EventLog
from ironroot.eventlog.model import Fact
from ironroot.store.engine import Store
from tests.eventlog.facts import append, made
from tests.support.clock import ManualClock


@pytest.fixture
def log(sqlite_store: Store, clock: ManualClock) -> EventLog:
    return EventLog(sqlite_store, clock)


async def take(items: AsyncIterator[Fact | Resync], count: int) -> list[int | Resync]:
    got: list[int | Resync] = []
    for _ in range(count):
        item = await asyncio.wait_for(anext(items), 10)
        got.append(item if isinstance(item, Resync) else item.seq)
    return got


async def test_facts_come_as_they_are_sequenced(log: EventLog) -> None:
    await append(log, made(1))
    await log.settle()
    async with log.subscribe() as items, log.subscribe() as others:
        await append(log, made(2), made(3))
        await log.settle()
        assert await take(items, 2) == [2, 3]
        assert await take(others, 2) == [2, 3]
        waiting = asyncio.create_task(take(items, 1))
        await append(log, made(4))
        await log.settle()
        assert await waiting == [4]
    assert len(log._live) == 0


async def test_a_reader_that_comes_back_gets_what_it_missed_without_gap_or_repetition(log: EventLog) -> None:
    await append(log, *(made(n) for n in range(5)))
    await log.settle()
    async with log.subscribe(after=2) as items:
        await append(log, made(6))
        await log.settle()  # before the backlog is read: in both
        assert await take(items, 4) == [3, 4, 5, 6]
        await append(log, made(7))
        await log.settle()
        assert await take(items, 1) == [7]


async def test_a_slow_reader_is_told_to_resync_and_goes_on(log: EventLog) -> None:
    async with log.subscribe(capacity=3) as items:
        for n in range(6):
            await append(log, made(n))
            await log.settle()
        assert await take(items, 1) == [Resync(6)]
        await append(log, made(7))
        await log.settle()
        assert await take(items, 1) == [7]


async def test_a_reader_away_too_long_is_told_to_resync(log: EventLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "BACKLOG", 3)
    await append(log, *(made(n) for n in range(5)))
    await log.settle()
    async with log.subscribe(after=1) as items:
        assert await take(items, 1) == [Resync(5)]
        await append(log, made(6))
        await log.settle()
        assert await take(items, 1) == [6]


async def test_a_reader_that_never_starts_is_forgotten(log: EventLog) -> None:
    async with log.subscribe():
        assert len(log._live) == 1
    assert len(log._live) == 0
