"""Wakes everybody who waits for news, once per piece of news, and loses none between two waits."""

from __future__ import annotations

import asyncio


class Signal:
    """A counter that can be waited for. Belongs to one event loop."""

    __slots__ = ("_waiting", "count")

    def __init__(self) -> None:
        self.count = 0
        self._waiting: set[asyncio.Future[None]] = set()

    def fire(self) -> None:
        """Wake all who wait now, and those who look with an older count."""
        self.count += 1
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)
        self._waiting.clear()

    async def wait(self, seen: int, timeout_s: float | None = None) -> None:
        """Return as soon as the count is not `seen`, at the latest after `timeout_s`."""
        if self.count != seen:
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.add(waiter)
        try:
            await asyncio.wait_for(waiter, timeout_s)
        except TimeoutError:
            return
        finally:
            self._waiting.discard(waiter)
