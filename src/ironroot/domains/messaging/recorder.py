"""Writes what the intake folded: one transaction per flush, with the stream's cursor in it, so that a message that is
delivered again after a crash is counted once.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Table, case, delete, select, tuple_

from ironroot.core.ids import DeviceId
from ironroot.domains.messaging import telemetry_tables as t
from ironroot.domains.messaging.fold import MINUTE_S, Fold
from ironroot.store.engine import Store, Tx
from ironroot.store.sql import upsert

CONSUMER = "intake"
CHUNK = 5000
"""Rows deleted per transaction by retention, so that the intake never waits long for it."""
MINUTES_KEPT = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in a stream; `stream` tells one stream from another of the same name that was made later."""

    stream: str
    sequence: int


class Recorder:
    """The only writer of the telemetry tables."""

    def __init__(self, store: Store) -> None:
        self._store = store
        engine = store.engine_name
        self._seen = _upsert_seen(engine)
        self._latest = _upsert_latest(engine)
        self._rollup = _upsert_rollup(engine)
        self._report = _replace(engine, t.device_report, "device_id", ("at", "body"))
        self._minute = _add(engine, t.message_minute, ("minute",), ("messages", "bytes"))
        self._rejected = _add(engine, t.message_rejected, ("device_id", "reason"), ("count",))
        self._cursor = _replace(engine, t.intake_cursor, "consumer", ("stream", "sequence"))

    async def cursor(self) -> Cursor | None:
        """How far the tables are; None before the first flush."""
        query = select(t.intake_cursor).where(t.intake_cursor.c.consumer == CONSUMER)
        async with self._store.read() as conn:
            row = (await conn.execute(query)).mappings().first()
        return None if row is None else Cursor(row["stream"], row["sequence"])

    async def names(self, devices: Collection[DeviceId]) -> dict[DeviceId, set[str]]:
        """The telemetry names of these devices."""
        found: dict[DeviceId, set[str]] = {device: set() for device in devices}
        wanted = sorted(devices)
        async with self._store.read() as conn:
            for start in range(0, len(wanted), 500):
                query = select(t.telemetry_latest.c.device_id, t.telemetry_latest.c.name).where(
                    t.telemetry_latest.c.device_id.in_(wanted[start : start + 500])
                )
                for device, name in await conn.execute(query):
                    found[device].add(name)
        return found

    async def flush(self, fold: Fold, cursor: Cursor | None) -> None:
        """Write everything folded, and how far that is, in one transaction."""
        async with self._store.write() as tx:
            await _many(tx, self._seen, _seen_rows(fold))
            await _many(
                tx,
                self._latest,
                [
                    {"device_id": d, "name": n, "value": json.dumps(value), "at": at}
                    for (d, n), (value, at) in fold.latest.items()
                ],
            )
            await _many(
                tx,
                self._rollup,
                [
                    {
                        "device_id": d,
                        "name": n,
                        "bucket": b,
                        "count": r.count,
                        "min": r.min,
                        "max": r.max,
                        "sum": r.sum,
                        "last": r.last,
                        "last_at": r.last_at,
                    }
                    for (d, n, b), r in fold.rollups.items()
                ],
            )
            await _many(
                tx, self._report, [{"device_id": d, "at": at, "body": b} for d, (at, b) in fold.reports.items()]
            )
            await _many(
                tx, self._minute, [{"minute": m, "messages": n, "bytes": b} for m, (n, b) in fold.minutes.items()]
            )
            await _many(
                tx, self._rejected, [{"device_id": d, "reason": r, "count": n} for (d, r), n in fold.rejected.items()]
            )
            if cursor is not None:
                await tx.execute(
                    self._cursor, {"consumer": CONSUMER, "stream": cursor.stream, "sequence": cursor.sequence}
                )

    async def forget_before(self, now: datetime, history: timedelta) -> int:
        """Delete what is older than the history kept, a chunk at a time. Returns the rows deleted; fewer than CHUNK
        means there is no more.
        """
        rollup = t.telemetry_rollup
        key = (rollup.c.device_id, rollup.c.name, rollup.c.bucket)
        old = select(*key).where(rollup.c.bucket < int((now - history).timestamp())).limit(CHUNK)
        async with self._store.write() as tx:
            gone = await tx.execute(delete(rollup).where(tuple_(*key).in_(old)))
            await tx.execute(
                delete(t.message_minute).where(
                    t.message_minute.c.minute < int((now - MINUTES_KEPT).timestamp() // MINUTE_S)
                )
            )
        return int(gone.rowcount)


def _seen_rows(fold: Fold) -> list[dict[str, Any]]:
    """In order of minutes, because each row moves its device's window forward."""
    return [
        {
            "device_id": device,
            "last_seen": m.last_seen,
            "messages": m.messages,
            "bytes": m.bytes,
            "minute": minute,
            "minute_messages": m.messages,
            "minute_bytes": m.bytes,
            "before_messages": 0,
            "before_bytes": 0,
        }
        for (device, minute), m in sorted(fold.seen.items(), key=lambda item: item[0][1])
    ]


async def _many(tx: Tx, statement: Any, rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        await tx.execute(statement, rows)


def _add(engine: str, table: Table, keys: Sequence[str], sums: Sequence[str]) -> Any:
    insert = upsert(engine, table)
    return insert.on_conflict_do_update(
        index_elements=[table.c[k] for k in keys],
        set_={name: table.c[name] + insert.excluded[name] for name in sums},
    )


def _replace(engine: str, table: Table, key: str, columns: Sequence[str]) -> Any:
    insert = upsert(engine, table)
    return insert.on_conflict_do_update(
        index_elements=[table.c[key]], set_={name: insert.excluded[name] for name in columns}
    )


def _upsert_latest(engine: str) -> Any:
    table = t.telemetry_latest
    insert = upsert(engine, table)
    return insert.on_conflict_do_update(
        index_elements=[table.c.device_id, table.c.name],
        set_={"value": insert.excluded.value, "at": insert.excluded.at},
        where=insert.excluded.at >= table.c.at,
    )


def _upsert_rollup(engine: str) -> Any:
    table = t.telemetry_rollup
    insert = upsert(engine, table)
    new = insert.excluded
    later = new.last_at >= table.c.last_at
    return insert.on_conflict_do_update(
        index_elements=[table.c.device_id, table.c.name, table.c.bucket],
        set_={
            "count": table.c.count + new.count,
            "min": case((new.min < table.c.min, new.min), else_=table.c.min),
            "max": case((new.max > table.c.max, new.max), else_=table.c.max),
            "sum": table.c.sum + new.sum,
            "last": case((later, new.last), else_=table.c.last),
            "last_at": case((later, new.last_at), else_=table.c.last_at),
        },
    )


def _upsert_seen(engine: str) -> Any:
    """A later minute pushes the one before back; an earlier one (messages that waited) only adds to the totals."""
    table = t.device_seen
    insert = upsert(engine, table)
    new = insert.excluded
    same, next_, later = new.minute == table.c.minute, new.minute == table.c.minute + 1, new.minute > table.c.minute
    window = {}
    for unit in ("messages", "bytes"):
        now, before = table.c[f"minute_{unit}"], table.c[f"before_{unit}"]
        window[f"minute_{unit}"] = case((same, now + new[unit]), (later, new[unit]), else_=now)
        window[f"before_{unit}"] = case((next_, now), (later, 0), else_=before)
    return insert.on_conflict_do_update(
        index_elements=[table.c.device_id],
        set_={
            "last_seen": case((new.last_seen > table.c.last_seen, new.last_seen), else_=table.c.last_seen),
            "messages": table.c.messages + new.messages,
            "bytes": table.c.bytes + new.bytes,
            "minute": case((later, new.minute), else_=table.c.minute),
            **window,
        },
    )
