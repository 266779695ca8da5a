"""A log over each engine, with keys of its own and a clock that is moved by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

import pytest

from ironroot.eventlog.log import EventLog
from ironroot.store.engine import Store
from tests.support.clock import ManualClock
from tests.support.log import NoteSigner, PersonKeysInMemory

Running = Callable[[EventLog], AbstractAsyncContextManager[None]]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def signer() -> NoteSigner:
    return NoteSigner()


@pytest.fixture
def persons() -> PersonKeysInMemory:
    return PersonKeysInMemory()


@pytest.fixture
def log(store: Store, clock: ManualClock, signer: NoteSigner, persons: PersonKeysInMemory) -> EventLog:
    return EventLog(store, clock, signer=signer, persons=persons)


@pytest.fixture
def running() -> Running:
    @asynccontextmanager
    async def run(log: EventLog) -> AsyncIterator[None]:
        task = asyncio.create_task(log.run())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    return run
