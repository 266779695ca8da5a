"""Projections that serve pages: how much of what happened, hour by hour."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Column, Integer, String, Table, delete, select

from ironroot.core.clock import Clock
from ironroot.eventlog.model import Fact
from ironroot.store.engine import Store, Tx
from ironroot.store.sql import upsert
from ironroot.store.tables import metadata
from ironroot.store.types import Instant

activity_hour = Table(
    "activity_hour",
    metadata,
    Column("hour", Instant, primary_key=True),
    Column("kind", String(64), primary_key=True),
    Column("facts", Integer, nullable=False),
)

KEPT = timedelta(days=31)


class Activity:
    """Facts per hour and kind (an `eventlog.projections.Projection`)."""

    name = "activity"
    version = 1
    kinds: frozenset[str] | None = None

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def reset(self, tx: Tx) -> None:
        """Forget everything."""
        await tx.execute(delete(activity_hour))

    async def apply(self, tx: Tx, facts: Sequence[Fact]) -> None:
        """Count these facts; hours past a month go."""
        counts = Counter((f.at.replace(minute=0, second=0, microsecond=0), f.kind) for f in facts)
        statement = upsert(self._store.engine_name, activity_hour)
        counted = statement.on_conflict_do_update(
            index_elements=["hour", "kind"],
            set_={"facts": activity_hour.c.facts + statement.excluded.facts},
        )
        await tx.execute(counted, [{"hour": h, "kind": k, "facts": n} for (h, k), n in sorted(counts.items())])
        await tx.execute(delete(activity_hour).where(activity_hour.c.hour < self._clock.now() - KEPT))

    async def since(self, at: datetime) -> dict[datetime, dict[str, int]]:
        """Counts by kind for each hour from `at` on that had any."""
        query = select(activity_hour).where(activity_hour.c.hour >= at).order_by(activity_hour.c.hour).limit(5_000)
        hours: dict[datetime, dict[str, int]] = {}
        async with self._store.read() as conn:
            for row in await conn.execute(query):
                hours.setdefault(row.hour, {})[row.kind] = row.facts
        return hours
