"""Projections: tables worked out from the facts, thrown away and worked out again when their rule changes.

A projection's tables and its cursor are written in one transaction, so each fact counts in them exactly once.
`version` names the rule: when the code's is not the stored one, the projection is reset and replayed from the
first fact; until it has caught up it shows the past (`caught_up`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sqlalchemy import select

from ironroot.core.clock import Clock
from ironroot.eventlog.followers import Follower, Source
from ironroot.eventlog.model import Fact
from ironroot.eventlog.tables import log_cursor
from ironroot.store.engine import Store, Tx


class Projection(Protocol):
    """A fold of the facts into tables of its own."""

    @property
    def name(self) -> str:
        """Its name among all cursors."""
        ...

    @property
    def version(self) -> int:
        """The rule's number, from 1; another number means: replay."""
        ...

    @property
    def kinds(self) -> frozenset[str] | None:
        """The kinds it wants to see; None for all."""
        ...

    async def reset(self, tx: Tx) -> None:
        """Empty its tables."""
        ...

    async def apply(self, tx: Tx, facts: Sequence[Fact]) -> None:
        """Fold these facts into its tables."""
        ...


class Projector(Follower):
    """Keeps one projection up to date."""

    def __init__(self, projection: Projection, *, store: Store, clock: Clock) -> None:
        super().__init__(projection.name, _unused, store=store, clock=clock, kinds=projection.kinds)
        self.version = projection.version
        self.projection = projection

    async def _load(self, source: Source) -> None:
        async with self.store.read() as conn:
            row = (await conn.execute(select(log_cursor).where(log_cursor.c.name == self.name))).first()
        if row is None or row.version != self.version:
            async with self.store.write() as tx:
                await self.projection.reset(tx)
                await self._save(tx, 0)
        await super()._load(source)

    async def _deliver(self, facts: Sequence[Fact], upto: int) -> None:
        async with self.store.write() as tx:
            await self.projection.apply(tx, facts)
            await self._save(tx, upto)
        self._saved, self._saved_at = upto, self.clock.monotonic()


async def _unused(_facts: Sequence[Fact]) -> None:
    """A projector delivers to its projection."""
