"""The fact log: the one place through which facts are written, read, followed and exported.

Writing needs a transaction of the caller's and touches `fact_pending` alone, so no writer waits for another;
`run()` numbers what was committed, wakes followers and live readers, and keeps checking the stored chain.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from itertools import islice

import structlog

from ironroot.core.clock import Clock
from ironroot.core.errors import Corrupt, Misconfigured, Unavailable
from ironroot.core.ids import FactId
from ironroot.eventlog import personal, queries
from ironroot.eventlog.append import Appender
from ironroot.eventlog.export import export
from ironroot.eventlog.followers import Follower, Handler, Start
from ironroot.eventlog.integrity import Integrity
from ironroot.eventlog.live import CAPACITY, Live, Resync
from ironroot.eventlog.model import Fact, Head, NewFact, PendingFact
from ironroot.eventlog.ports import CheckpointSigner, Fold, PersonKeys
from ironroot.eventlog.projections import Projection, Projector
from ironroot.eventlog.sequencer import BATCH, Sequencer
from ironroot.eventlog.signal import Signal
from ironroot.eventlog.tables import fact_of
from ironroot.store.engine import Store, Tx
from ironroot.verify.note import VerifierKey

POLL_S = 0.25
"""PostgreSQL only: how often to look for facts that other processes wrote."""
PACE_S = 0.005
"""Least time between two steps of the sequencer: the first fact after a pause is numbered at once, a burst is
numbered in batches instead of taking every other turn of the writers.
"""
TAIL = 1_024
"""Newest facts kept in memory for followers."""
_RETRY_S = 0.5
_STOPPED_S = 30.0

_log = structlog.get_logger(__name__)


class EventLog:
    """The log over one store."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        signer: CheckpointSigner | None = None,
        persons: PersonKeys | None = None,
    ) -> None:
        """Without `signer` there are no checkpoints, without `persons` no personal fields: see `equip`."""
        self.store = store
        self.clock = clock
        self.news = Signal()
        self.poll_s = POLL_S if store.engine_name == "postgresql" else None
        self.integrity = Integrity(store, clock)
        self._pending = Signal()
        self._appender = Appender(clock)
        self._sequencer = Sequencer(store, clock, self._published)
        self._live = Live(lambda after, limit: self.read(after=after, limit=limit))
        self._tail: deque[Fact] = deque(maxlen=TAIL)
        self._followers: dict[str, Follower] = {}
        self._running: asyncio.TaskGroup | None = None
        self.equip(signer=signer, persons=persons)

    def equip(self, *, signer: CheckpointSigner | None = None, persons: PersonKeys | None = None) -> None:
        """Give the log its keys, which are made after it (making them is a fact already)."""
        if signer is not None:
            self._sequencer.signer = signer
            self.integrity.key = VerifierKey(signer.name, signer.public)
        if persons is not None:
            self._appender.persons = persons

    # --- writing

    async def append(self, tx: Tx, new: NewFact) -> FactId:
        """Write a fact, and what the folds answer, inside the caller's transaction.

        Raises Malformed or TooLarge for a fact that cannot be recorded, Fault when folds answer without end.
        """
        return (await self.append_all(tx, [new]))[0]

    async def append_all(self, tx: Tx, news: Sequence[NewFact]) -> list[FactId]:
        """Several facts with one statement, in order."""
        ids = await self._appender.append(tx, news)
        tx.on_commit(self._pending.fire)
        return ids

    def add_fold(self, fold: Fold) -> None:
        """Show `fold` every fact of its kinds, in the transaction that appends it."""
        self._appender.add_fold(fold)

    # --- reading

    async def read(
        self,
        *,
        after: int = 0,
        before: int | None = None,
        limit: int = 100,
        kinds: Collection[str] | None = None,
        subject: str | None = None,
        actor: str | None = None,
        newest_first: bool = False,
    ) -> list[Fact]:
        """Facts with after < seq < before that match everything given, at most 1,000."""
        query = queries.page(
            after=after,
            before=before,
            limit=limit,
            kinds=kinds,
            subject=subject,
            actor=actor,
            newest_first=newest_first,
        )
        async with self.store.read() as conn:
            return [fact_of(row) for row in await conn.execute(query)]

    async def head(self) -> Head:
        """The end of the chain as stored."""
        async with self.store.read() as conn:
            return await queries.head(conn)

    async def places(self, ids: Sequence[FactId]) -> dict[FactId, int]:
        """The numbers of facts by id; one that is not sequenced yet is left out."""
        async with self.store.read() as conn:
            return await queries.places(conn, ids)

    async def reveal(self, fact: Fact | PendingFact) -> personal.Personal | None:
        """The personal fields of a fact, decrypted, or `erased`; None when it has none."""
        return await personal.reveal(self._appender.persons, fact)

    async def wait(self, seq_after: int, timeout_s: float | None = None) -> Head:
        """The head, as soon as it is beyond `seq_after`; after `timeout_s` as it is."""
        loop = asyncio.get_running_loop()
        end = None if timeout_s is None else loop.time() + timeout_s
        while True:
            seen = self.news.count
            head = await self.head()
            left = None if end is None else end - loop.time()
            if head.seq > seq_after or (left is not None and left <= 0):
                return head
            waits = [one for one in (left, self.poll_s) if one is not None]
            await self.news.wait(seen, min(waits) if waits else None)

    def subscribe(
        self, after: int | None = None, capacity: int = CAPACITY
    ) -> AbstractAsyncContextManager[AsyncIterator[Fact | Resync]]:
        """`async with log.subscribe() as items: async for item in items`: facts as they are sequenced, or
        Resync where the reader was too slow; with `after`, first what came since that fact.
        """
        return self._live.subscribe(after, capacity)

    # --- following

    def follow(
        self, name: str, handler: Handler, *, kinds: Collection[str] | None = None, start: Start = "first"
    ) -> Follower:
        """Call `handler` with every fact of `kinds`, in order, in batches, at least once, while `run()` runs.

        The cursor `name` is durable; a new one starts at the first fact, or with `start="now"` at the end.
        """
        chosen = None if kinds is None else frozenset(kinds)
        return self._add(Follower(name, handler, store=self.store, clock=self.clock, kinds=chosen, start=start))

    def project(self, projection: Projection) -> Projector:
        """Keep `projection` up to date while `run()` runs."""
        projector = Projector(projection, store=self.store, clock=self.clock)
        self._add(projector)
        return projector

    @property
    def followers(self) -> Sequence[Follower]:
        """All followers and projections, with `seq` and `error`."""
        return list(self._followers.values())

    def _add(self, follower: Follower) -> Follower:
        if follower.name in self._followers:
            raise ValueError(f"two followers named {follower.name}")
        self._followers[follower.name] = follower
        if self._running is not None:
            self._running.create_task(follower.run(self), name=f"follow {follower.name}")
        return follower

    async def after(self, seq: int, limit: int) -> list[Fact]:
        """The next facts after `seq`, from memory where they are recent."""
        if self._tail and self._tail[0].seq <= seq + 1:
            if seq < self._tail[-1].seq:
                start = seq + 1 - self._tail[0].seq
                return list(islice(self._tail, start, start + limit))
            return []
        return await self.read(after=seq, limit=limit)

    # --- the chain

    @property
    def key(self) -> VerifierKey | None:
        """The public key of the log's checkpoints; `str(key)` is what people pass on."""
        return self._sequencer.key

    @property
    def verified(self) -> bool:
        """Whether the stored chain was read back since the start and nothing was found."""
        return self.integrity.verified

    @property
    def verified_to(self) -> int:
        """The last fact that was read back."""
        return self.integrity.verified_to

    async def settle(self) -> Head:
        """Sequence everything committed so far, now, also without `run()`; returns the head."""
        while await self._sequencer.step() == BATCH:
            pass
        return await self.head()

    async def checkpoint(self) -> str:
        """A signed checkpoint over everything committed so far. Raises Misconfigured without a key."""
        return (await self._checkpoint())[0]

    async def export(self) -> AsyncIterator[bytes]:
        """The whole log up to a fresh checkpoint, as the lines `verify.factlog` verifies, in pieces."""
        note, size = await self._checkpoint()
        if self.key is None:
            raise Misconfigured("the log has no key")
        async for piece in export(self.store, self.key.name, note, size):
            yield piece

    async def _checkpoint(self) -> tuple[str, int]:
        signed = await self._sequencer.checkpoint()
        if signed is None:
            raise Misconfigured("the log has no key to sign a checkpoint with")
        return signed

    async def run(self) -> None:
        """Sequence, follow and check until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._running = group
            try:
                group.create_task(self.integrity.run(self.news), name="check the fact log")
                for follower in self._followers.values():
                    group.create_task(follower.run(self), name=f"follow {follower.name}")
                await self._sequence()
            finally:
                self._running = None

    async def _sequence(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            began, seen = loop.time(), self._pending.count
            try:
                while await self._sequencer.step() == BATCH:
                    pass
            except Corrupt as e:
                self.integrity.found(e.message)
                await asyncio.sleep(_STOPPED_S)
                continue
            except Unavailable as e:
                _log.warning("facts wait for their place", error=e.message, again_in_s=_RETRY_S)
                await asyncio.sleep(_RETRY_S)
                continue
            except Exception:  # noqa: BLE001 (logged; the platform goes on, and nothing is lost meanwhile)
                _log.exception("facts wait for their place", again_in_s=_RETRY_S)
                await asyncio.sleep(_RETRY_S)
                continue
            waits = [one for one in (self._sequencer.checkpoint_due_s(), self.poll_s) if one is not None]
            await self._pending.wait(seen, min(waits) if waits else None)
            await asyncio.sleep(began + PACE_S - loop.time())

    def _published(self, facts: Sequence[Fact]) -> None:
        self._tail.extend(facts)
        self.news.fire()
        self._live.publish(facts)
