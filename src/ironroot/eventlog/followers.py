"""Readers of the chain with a durable cursor: each sees every fact, in order, at least once.

A follower wakes with the commit that sequenced a fact. Its cursor is saved now and then rather than for every
fact, so after a crash the last second's facts come again: handlers are idempotent. A handler that fails is called
again with the same facts, later and later; nothing is skipped, and `error` says what is in the way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal, Protocol, TypeVar

import structlog
from sqlalchemy import select

from ironroot.core.clock import Clock
from ironroot.core.errors import Corrupt
from ironroot.eventlog.model import Fact, Head
from ironroot.eventlog.signal import Signal
from ironroot.eventlog.tables import log_cursor
from ironroot.store.engine import Store, Tx
from ironroot.store.sql import upsert

Handler = Callable[[Sequence[Fact]], Awaitable[None]]
"""Gets facts in order, up to a batch at a time."""
Start = Literal["first", "now"]
"""Where a follower without a cursor begins: at the first fact, or with what happens from now on."""

BATCH = 256
SAVE_EVERY_S = 1.0
RETRY_FIRST_S, RETRY_MOST_S = 0.05, 5.0

T = TypeVar("T")
_log = structlog.get_logger(__name__)


class Source(Protocol):
    """Where followers read: the log."""

    news: Signal
    poll_s: float | None

    async def after(self, seq: int, limit: int) -> list[Fact]:
        """The next facts after `seq`."""
        ...

    async def head(self) -> Head:
        """The chain's end."""
        ...


class Follower:
    """One named reader. `seq` is the last fact it has handled."""

    version = 0

    def __init__(
        self,
        name: str,
        handler: Handler,
        *,
        store: Store,
        clock: Clock,
        kinds: frozenset[str] | None = None,
        start: Start = "first",
    ) -> None:
        self.name = name
        self.store = store
        self.clock = clock
        self.kinds = kinds
        self.seq = 0
        self.error: str | None = None
        self._handler = handler
        self._start = start
        self._saved = 0
        self._saved_at = 0.0

    async def run(self, source: Source) -> None:
        """Follow until cancelled; the cursor is saved on the way out."""
        await self._retrying(lambda: self._load(source))
        try:
            while True:
                seen = source.news.count
                facts = await self._retrying(lambda: source.after(self.seq, BATCH))
                if not facts:
                    await source.news.wait(seen, await self._idle(source.poll_s))
                    continue
                await self._take(facts)
                if self.clock.monotonic() - self._saved_at >= SAVE_EVERY_S:
                    await self._retrying(self.save)
        finally:
            await self._leave()

    async def save(self) -> None:
        """Make the cursor durable."""
        if self.seq != self._saved:
            async with self.store.write() as tx:
                await self._save(tx, self.seq)
        self._saved, self._saved_at = self.seq, self.clock.monotonic()

    async def _take(self, facts: Sequence[Fact]) -> None:
        wanted = [one for one in facts if self.kinds is None or one.kind in self.kinds]
        if wanted:
            await self._retrying(lambda: self._deliver(wanted, facts[-1].seq))
        self.seq = facts[-1].seq

    async def _deliver(self, facts: Sequence[Fact], upto: int) -> None:  # noqa: ARG002 (projections save it)
        await self._handler(facts)

    async def _idle(self, poll_s: float | None) -> float | None:
        """How long to wait for news: for ever, or until the cursor is due or another process may have news."""
        if self.seq == self._saved:
            return poll_s
        due = self._saved_at + SAVE_EVERY_S - self.clock.monotonic()
        if due > 0:
            return due if poll_s is None else min(due, poll_s)
        await self._retrying(self.save)
        return poll_s

    async def _load(self, source: Source) -> None:
        async with self.store.read() as conn:
            row = (await conn.execute(select(log_cursor).where(log_cursor.c.name == self.name))).first()
        head = await source.head()
        if row is None:
            self.seq = head.seq if self._start == "now" else 0
        elif row.seq > head.seq:
            raise Corrupt(f"{self.name} has handled fact {row.seq}, and the log ends at {head.seq}")
        else:
            self.seq = row.seq
        self._saved = self.seq if row is not None else -1

    async def _save(self, tx: Tx, seq: int) -> None:
        values = {"version": self.version, "seq": seq, "at": self.clock.now()}
        statement = upsert(self.store.engine_name, log_cursor).values(name=self.name, **values)
        await tx.execute(statement.on_conflict_do_update(index_elements=["name"], set_=values))

    async def _retrying(self, call: Callable[[], Awaitable[T]]) -> T:
        """The call's result, however often it takes."""
        wait_s = RETRY_FIRST_S
        while True:
            try:
                result = await call()
            except Exception as e:  # noqa: BLE001 (logged, shown in `error`, tried again)
                self.error = f"{type(e).__name__}: {e}"[:300]
                _log.exception("a follower cannot go on", follower=self.name, after=self.seq, again_in_s=wait_s)
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, RETRY_MOST_S)
            else:
                self.error = None
                return result

    async def _leave(self) -> None:
        try:
            await self.save()
        except Exception as e:  # noqa: BLE001 (on the way out: the facts come again)
            _log.warning("the cursor was not saved", follower=self.name, error=str(e))
