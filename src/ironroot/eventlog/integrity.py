"""Reads the stored chain back and checks it: at the start from the first fact, then what is new, and all of it
again every few hours.

Checked are the numbers, the links, every hash against its record as stored, and every stored checkpoint's root
and signature. It is done beside the platform's work, in a thread, with pauses. What is found stays found until
the process ends: a chain that was broken once is somebody's to explain.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from sqlalchemy import select

from ironroot.core import merkle
from ironroot.core.chain import link_bytes
from ironroot.core.clock import Clock
from ironroot.core.errors import Corrupt, IronrootError
from ironroot.core.merkle import Frontier
from ironroot.eventlog import queries
from ironroot.eventlog.encoding import record_of
from ironroot.eventlog.model import Head
from ironroot.eventlog.signal import Signal
from ironroot.eventlog.tables import fact, fact_checkpoint
from ironroot.store.engine import Store
from ironroot.verify.note import VerifierKey, verify_checkpoint

CHUNK = 500
LOOK_EVERY_S = 1.0
"""New facts are checked at most this often."""
AGAIN_AFTER_S = 6 * 3600.0
RETRY_S = 5.0
_PAUSE_FIRST, _PAUSE_AGAIN = 1, 9
"""Pauses between chunks, in multiples of the time a chunk took."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Pass:
    """How far one reading from the first fact has come."""

    head: Head = field(default_factory=Head)
    frontier: Frontier = field(default_factory=Frontier)

    def follow(self, rows: Sequence[Any], checkpoints: dict[int, str], key: VerifierKey | None) -> None:
        """Go on over these rows of `fact`. Raises Corrupt naming the fact that does not fit."""
        seq, prev, leaves = self.head.seq, self.head.hash, []
        for row in rows:
            seq += 1
            if row.seq != seq:
                raise Corrupt(f"fact {seq} is missing")
            digest = bytes(row.hash)
            if bytes(row.prev) != prev:
                raise Corrupt(f"fact {seq} does not continue the one before it")
            if link_bytes(prev, record_of(row)) != digest:
                raise Corrupt(f"fact {seq} does not match its hash")
            leaves.append(merkle.leaf(digest))
            if seq in checkpoints:
                self.frontier, leaves = self.frontier.extend(leaves), []
                self._signed(checkpoints[seq], seq, key)
            prev = digest
        self.frontier = self.frontier.extend(leaves)
        self.head = Head(seq, prev)

    def _signed(self, note: str, seq: int, key: VerifierKey | None) -> None:
        if key is None:
            return
        try:
            signed = verify_checkpoint(note, key)
        except IronrootError as e:
            raise Corrupt(f"the checkpoint of {seq} facts: {e.message}") from e
        if (signed.size, signed.root) != (seq, self.frontier.root()):
            raise Corrupt(f"the first {seq} facts are not those that were signed")


class Integrity:
    """What is known about the stored chain. `verified_to` counts facts, `problem` names what was found."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.store = store
        self.clock = clock
        self.key: VerifierKey | None = None
        self.verified_to = 0
        self.caught_up = False
        self.problem: str | None = None

    @property
    def verified(self) -> bool:
        """Whether the whole chain was read since the start and nothing was found."""
        return self.problem is None and self.caught_up

    async def run(self, news: Signal) -> None:
        """Check until cancelled, or until something is found."""
        while self.problem is None:
            try:
                await self._pass(news)
            except Corrupt as e:
                self.found(e.message)
            except Exception as e:  # noqa: BLE001 (a store that is away says nothing about the chain)
                _log.warning("the fact log is checked later", error=str(e)[:200], again_in_s=RETRY_S)
                await asyncio.sleep(RETRY_S)

    async def _pass(self, news: Signal) -> None:
        """Read from the first fact, then what is new, until it is time to begin again."""
        done = Pass()
        pause = _PAUSE_AGAIN if self.caught_up else _PAUSE_FIRST
        started = self.clock.monotonic()
        while self.clock.monotonic() - started < AGAIN_AFTER_S:
            seen = news.count
            while await self.advance(done, pause=pause):
                pass
            await self._against_last(done)
            self.caught_up = True
            await news.wait(seen, AGAIN_AFTER_S)
            await asyncio.sleep(LOOK_EVERY_S)

    def found(self, problem: str) -> None:
        """Note that the chain is broken."""
        if self.problem is None:
            self.problem = problem
            _log.critical("the fact log is not what was written", problem=problem)

    async def check(self) -> int:
        """Read the whole chain once, now; returns how many facts it has. Raises Corrupt."""
        done = Pass()
        while await self.advance(done):
            pass
        await self._against_last(done)
        return done.head.seq

    async def advance(self, done: Pass, *, pause: int = 0) -> bool:
        """Check the next chunk; False at the end. Raises Corrupt."""
        started = asyncio.get_running_loop().time()
        after = done.head.seq
        async with self.store.read() as conn:
            rows = (await conn.execute(queries.page(after=after, limit=CHUNK))).all()
            signed = select(fact_checkpoint.c.size, fact_checkpoint.c.note).where(
                fact_checkpoint.c.size > after, fact_checkpoint.c.size <= after + CHUNK
            )
            checkpoints = {row.size: row.note for row in await conn.execute(signed)}
        await asyncio.to_thread(done.follow, rows, checkpoints, self.key)
        self.verified_to = max(self.verified_to, done.head.seq)
        if pause:
            await asyncio.sleep(pause * (asyncio.get_running_loop().time() - started))
        return len(rows) == CHUNK

    async def _against_last(self, done: Pass) -> None:
        """What was read reaches at least to the last checkpoint that was stored when the reading began."""
        async with self.store.read() as conn:
            size = (
                await conn.execute(select(fact_checkpoint.c.size).order_by(fact_checkpoint.c.size.desc()).limit(1))
            ).scalar()
            stored = (await conn.execute(select(fact.c.seq).order_by(fact.c.seq.desc()).limit(1))).scalar() or 0
        if size is not None and size > stored:
            raise Corrupt(f"the log was cut back: {size} facts were signed, {stored} are stored")
        if stored < done.head.seq:
            raise Corrupt(f"the log was cut back: fact {done.head.seq} was there, {stored} are stored")
