"""Reads what devices reported: for the device page, the device list, the overview."""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from ironroot.core.clock import Clock
from ironroot.core.ids import DeviceId
from ironroot.domains.messaging import telemetry_tables as t
from ironroot.domains.messaging.fold import MINUTE_S, at_second
from ironroot.domains.messaging.model import Activity, LatestValue, Point, Report
from ironroot.store.engine import Store
from ironroot.wire.topics import MAX_TELEMETRY_NAMES

MOST_DEVICES = 500
MOST_POINTS = 2000


class Telemetry:
    """Queries on the telemetry tables; each is bounded and indexed."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def latest(self, device: DeviceId) -> list[LatestValue]:
        """The newest value of each name, in order of name."""
        query = (
            select(t.telemetry_latest)
            .where(t.telemetry_latest.c.device_id == device)
            .order_by(t.telemetry_latest.c.name)
            .limit(MAX_TELEMETRY_NAMES)
        )
        async with self._store.read() as conn:
            rows = (await conn.execute(query)).mappings().all()
        return [LatestValue(r["name"], json.loads(r["value"]), r["at"]) for r in rows]

    async def points(self, device: DeviceId, name: str, since: datetime) -> list[Point]:
        """Five-minute points of a numeric name, oldest first, at most 2,000."""
        table = t.telemetry_rollup
        query = (
            select(table)
            .where(table.c.device_id == device, table.c.name == name, table.c.bucket >= int(since.timestamp()) - 299)
            .order_by(table.c.bucket)
            .limit(MOST_POINTS)
        )
        async with self._store.read() as conn:
            rows = (await conn.execute(query)).mappings().all()
        return [
            Point(at_second(r["bucket"]), r["count"], r["min"], r["max"], r["sum"] / r["count"], r["last"])
            for r in rows
        ]

    async def report(self, device: DeviceId) -> Report | None:
        """The newest report."""
        query = select(t.device_report).where(t.device_report.c.device_id == device)
        async with self._store.read() as conn:
            row = (await conn.execute(query)).mappings().first()
        return None if row is None else Report(row["at"], json.loads(row["body"]))

    async def activity(self, devices: Collection[DeviceId]) -> dict[DeviceId, Activity]:
        """Last seen and rates of at most 500 devices; one that never said anything is missing."""
        if len(devices) > MOST_DEVICES:
            raise ValueError(f"at most {MOST_DEVICES} devices at once")
        query = select(t.device_seen).where(t.device_seen.c.device_id.in_(devices))
        now = self._clock.now().timestamp()
        async with self._store.read() as conn:
            rows = (await conn.execute(query)).mappings().all()
        return {DeviceId(r["device_id"]): _activity(r, now) for r in rows}

    async def rejected(self, device: DeviceId) -> dict[str, int]:
        """How many of the device's messages were refused, by reason."""
        table = t.message_rejected
        query = select(table.c.reason, table.c.count).where(table.c.device_id == device)
        async with self._store.read() as conn:
            return {row[0]: row[1] for row in await conn.execute(query)}

    async def per_minute(self, minutes: int) -> list[tuple[datetime, int, int]]:
        """Messages and bytes of each of the last whole `minutes` and the running one, oldest first, gaps as zero."""
        now = int(self._clock.now().timestamp() // MINUTE_S)
        first = now - minutes
        table = t.message_minute
        query = select(table).where(table.c.minute >= first, table.c.minute <= now)
        async with self._store.read() as conn:
            found = {r["minute"]: r for r in (await conn.execute(query)).mappings()}
        return [
            (at_second(m * MINUTE_S), *((found[m]["messages"], found[m]["bytes"]) if m in found else (0, 0)))
            for m in range(first, now + 1)
        ]

    async def per_second(self) -> float:
        """Messages per second over about the last minute, all devices."""
        history = await self.per_minute(1)
        running = self._clock.now().timestamp() % MINUTE_S
        return (history[0][1] * (1 - running / MINUTE_S) + history[1][1]) / MINUTE_S

    def since(self, minutes: int) -> datetime:
        """The instant so many minutes ago."""
        return self._clock.now() - timedelta(minutes=minutes)


def _activity(row: Any, now: float) -> Activity:
    """The sliding minute: this minute's count and the rest of the one before."""
    minute, running = int(now // MINUTE_S), now % MINUTE_S / MINUTE_S
    behind = minute - row["minute"]

    def rate(unit: str) -> float:
        if behind <= 0:
            return float(row[f"minute_{unit}"] + row[f"before_{unit}"] * (1 - running))
        return float(row[f"minute_{unit}"] * (1 - running)) if behind == 1 else 0.0

    return Activity(row["last_seen"], row["messages"], row["bytes"], rate("messages"), rate("bytes"))
