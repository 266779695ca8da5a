"""Facts per second: appended (their transactions committed) and sequenced (numbered, hashed, readable by followers).

The log alone, in this process, with its sequencer, checkpoint signatures and self-check running as on the platform; no
domain folds the facts. Beside it the engine alone in the same run: the same row inserted with the driver, a transaction
each, which is as fast as that engine commits from Python.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import asyncpg
import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.support import postgres
from bench.support.figures import Bench, number
from ironroot.app.clock import SystemClock
from ironroot.eventlog.log import EventLog
from ironroot.eventlog.model import NewFact
from ironroot.store.engine import Durability, Store

BODY = {"reason": "keyCompromise", "serial": "5f3c1d" * 5, "comment": "measured", "device": "bench-00001"}
TEXT = '{"comment":"measured","device":"bench-00001","reason":"keyCompromise","serial":"' + "5f3c1d" * 5 + '"}'
LIMIT_S = 120.0


@dataclass(frozen=True, slots=True)
class Signer:
    """A `CheckpointSigner` with a key of its own."""

    key: Ed25519PrivateKey
    name: str = "bench/facts"

    @property
    def public(self) -> bytes:
        return self.key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        return self.key.sign(message)


@dataclass(frozen=True, slots=True)
class Found:
    """One way of writing."""

    facts: int
    appended_s: float
    sequenced_s: float


def facts(bench: Bench) -> None:
    """Measure it."""
    rows: list[list[str]] = []
    for durability in ("process", "power"):
        url = f"sqlite+aiosqlite:///{bench.scratch / f'facts-{durability}.db'}"
        alone = [_sqlite_alone(bench, durability, turn) for turn in range(3)]
        rows += uvloop.run(_engine(bench, f"SQLite, {durability}", url, durability, median(alone)))
    for name, waits in (("PostgreSQL, waits for the disk", True), ("PostgreSQL, synchronous_commit off", False)):
        with postgres.postgres(synchronous_commit=waits) as server:
            if server is not None:
                alone = [uvloop.run(_postgres_alone(bench, server)) for _ in range(3)]
                rows += uvloop.run(_engine(bench, name, server.url, "process", median(alone)))
    columns = ["", "appended/s", "sequenced/s", "one insert per commit, driver alone/s"]
    notes = [] if postgres.binaries() is not None else [postgres.REMEDY]
    bench.table("Facts", columns, rows, *notes)


async def _engine(bench: Bench, name: str, url: str, durability: Durability, alone: float) -> list[list[str]]:
    store = Store(url, durability=durability)
    rows = []
    try:
        await store.migrate("state")
        log = EventLog(store, SystemClock(), signer=Signer(Ed25519PrivateKey.generate()))
        running = asyncio.create_task(log.run())
        for writers, together, count in ((1, 1, 2_000), (8, 1, 4_000), (1, 100, 20_000)):
            size = bench.pick(count, count // 20)
            found = [await _write(log, writers, together, size) for _ in range(bench.pick(3, 1))]
            appended = median(f.facts / f.appended_s for f in found)
            sequenced = median(f.facts / f.sequenced_s for f in found)
            what = f"{name}: {writers} writer{'s' if writers > 1 else ''}, {together} per transaction"
            bench.say(f"{what}: {appended:,.0f}/s")
            rows.append([what, number(appended), number(sequenced), number(alone) if together == 1 else ""])
            bench.keep(**{what: {"appended": appended, "sequenced": sequenced, "driver_alone": alone}})
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    finally:
        await store.close()
    return rows


async def _write(log: EventLog, writers: int, together: int, count: int) -> Found:
    turns = count // writers // together
    before = (await log.settle()).seq

    async def writer(number_: int) -> None:
        news = [NewFact("bench.done", f"device/bench-{number_:05d}", "host/bench", BODY)] * together
        for _ in range(turns):
            async with log.store.write() as tx:
                await log.append_all(tx, news)

    total = turns * together * writers
    began = time.monotonic()
    await asyncio.gather(*(writer(one) for one in range(writers)))
    appended = time.monotonic() - began
    head = await log.wait(before + total - 1, LIMIT_S)
    if head.seq != before + total:
        raise RuntimeError(f"{total} facts were appended, {head.seq - before} are in the chain")
    return Found(total, appended, time.monotonic() - began)


def _row(number_: int) -> tuple[object, ...]:
    at = "2026-01-01T00:00:00.000000Z"
    return (f"fct_{number_:026d}", at, "bench.done", "device/bench-00001", "host/bench", TEXT)


def _sqlite_alone(bench: Bench, durability: str, turn: int) -> float:
    count = bench.pick(2_000, 100)
    file: Path = bench.scratch / f"alone-{durability}-{turn}.db"
    with sqlite3.connect(file, isolation_level=None) as conn:
        conn.execute("pragma journal_mode=wal")
        conn.execute(f"pragma synchronous={'full' if durability == 'power' else 'normal'}")
        conn.execute("create table f (n integer primary key, id text unique, at text, k text, s text, a text, b text)")
        began = time.monotonic()
        for number_ in range(count):
            conn.execute("begin immediate")
            conn.execute("insert into f (id, at, k, s, a, b) values (?, ?, ?, ?, ?, ?)", _row(number_))
            conn.execute("commit")
        return count / (time.monotonic() - began)


async def _postgres_alone(bench: Bench, server: postgres.Postgres) -> float:
    count = bench.pick(2_000, 100)
    conn = await asyncpg.connect(host=str(server.at), user="ironroot", database="postgres")
    try:
        await conn.execute("drop table if exists alone")
        await conn.execute(
            "create table alone (n bigserial primary key, id text unique, at text, k text, s text, a text, b text)"
        )
        insert = await conn.prepare("insert into alone (id, at, k, s, a, b) values ($1, $2, $3, $4, $5, $6)")
        began = time.monotonic()
        for number_ in range(count):
            async with conn.transaction():
                await insert.fetchval(*_row(number_))
        return count / (time.monotonic() - began)
    finally:
        await conn.close()
