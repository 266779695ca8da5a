"""Live readers without a memory: pages that show facts as they come.

Each has a bounded queue. One that falls behind is not waited for: it gets `Resync`, its queue is emptied, and it
asks for the present state instead of the facts it missed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

from ironroot.eventlog.model import Fact

CAPACITY = 512
BACKLOG = 500
"""Facts made up for to a reader that comes back (Last-Event-ID); more, and it is told to resync."""


@dataclass(frozen=True, slots=True)
class Resync:
    """Facts were left out: load the present state. `seq` is the last fact there was."""

    seq: int


class Subscription:
    """One live reader's queue. Made by `Live.subscribe`."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._queue: deque[Fact] = deque()
        self._missed: int | None = None
        self._some = asyncio.Event()

    def offer(self, facts: Sequence[Fact]) -> None:
        """Put facts into the queue; never waits."""
        if self._missed is not None or len(self._queue) + len(facts) > self._capacity:
            self._queue.clear()
            self._missed = facts[-1].seq
        else:
            self._queue.extend(facts)
        self._some.set()

    async def take(self) -> Fact | Resync:
        """The next fact, or Resync where some are missing; waits for it."""
        while not self._queue and self._missed is None:
            self._some.clear()
            await self._some.wait()
        if self._missed is not None:
            missed, self._missed = self._missed, None
            return Resync(missed)
        return self._queue.popleft()


class Live:
    """All live readers of this process."""

    def __init__(self, read: Callable[[int, int], Awaitable[list[Fact]]]) -> None:
        """`read(after, limit)` reads from the stored chain."""
        self._read = read
        self._subscriptions: set[Subscription] = set()

    def __len__(self) -> int:
        return len(self._subscriptions)

    def publish(self, facts: Sequence[Fact]) -> None:
        """Offer facts to everybody."""
        for subscription in self._subscriptions:
            subscription.offer(facts)

    @asynccontextmanager
    async def subscribe(
        self, after: int | None = None, capacity: int = CAPACITY
    ) -> AsyncIterator[AsyncIterator[Fact | Resync]]:
        """Facts as they are sequenced from now on; with `after`, first those that came since."""
        subscription = Subscription(capacity)
        self._subscriptions.add(subscription)
        try:
            async with aclosing(self._items(subscription, after)) as items:
                yield items
        finally:
            self._subscriptions.discard(subscription)

    async def _items(self, subscription: Subscription, after: int | None) -> AsyncGenerator[Fact | Resync, None]:
        last = 0
        if after is not None:
            backlog = await self._read(after, BACKLOG + 1)
            if len(backlog) > BACKLOG:
                last = backlog[-1].seq
                yield Resync(last)
            else:
                for fact in backlog:
                    last = fact.seq
                    yield fact
        while True:
            item = await subscription.take()
            if item.seq > last:
                yield item
