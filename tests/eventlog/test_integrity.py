"""Whoever owns the database can change it; the log finds it, says where, and does not build on it."""

from __future__ import annotations

import asyncio
import io
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, select, text, update

from ironroot.core import chain
from ironroot.core.errors import Corrupt, Unavailable
from ironroot.eventlog import integrity
from ironroot.eventlog.encoding import record_of
from ironroot.eventlog.log import EventLog
from ironroot.eventlog.tables import fact, fact_checkpoint, fact_pending
from ironroot.store.engine import Store, Tx
from ironroot.verify import factlog
from ironroot.verify.factlog import Finding, LogNotVerified
from tests.eventlog.conftest import Running
from tests.eventlog.facts import append, made
from tests.support.clock import ManualClock
from tests.support.log import NoteSigner
from tests.support.stores import Stores


async def unguarded(tx: Tx) -> None:
    """Past the triggers, as the owner of the database can go."""
    if tx.conn.dialect.name == "postgresql":
        await tx.execute(text("set local session_replication_role = replica"))
    else:
        for trigger in ("fact_no_update", "fact_no_delete"):
            await tx.execute(text(f"drop trigger if exists {trigger}"))


async def tamper(store: Store, *statements: Any) -> None:
    async with store.write() as tx:
        await unguarded(tx)
        for statement in statements:
            await tx.execute(statement)


@pytest.fixture
async def ten(log: EventLog) -> EventLog:
    """Ten facts, the first five under a checkpoint."""
    await append(log, *(made(n) for n in range(5)))
    await log.checkpoint()
    await append(log, *(made(n) for n in range(5, 10)))
    await log.settle()
    return log


async def until(log: EventLog, *, verified: bool) -> None:
    while log.verified != verified:
        await asyncio.sleep(0.001)


async def exported(log: EventLog) -> bytes:
    return b"".join([piece async for piece in log.export()])


def verify(data: bytes, signer: NoteSigner, older: str | None = None) -> factlog.VerifiedLog:
    return factlog.verify(io.BytesIO(data), signer.key, older=older)


CHANGES = {
    "text": (update(fact).where(fact.c.seq == 4).values(actor="user/usr_innocent"), "fact 4 does not match its hash"),
    "body": (update(fact).where(fact.c.seq == 8).values(body='{"n": 7}'), "fact 8 does not match its hash"),
    "hash": (update(fact).where(fact.c.seq == 4).values(hash=bytes(32)), "fact 4 does not match its hash"),
    "dropped": (delete(fact).where(fact.c.seq == 7), "fact 7 is missing"),
    "cut": (delete(fact).where(fact.c.seq > 3), "cut back: 5 facts were signed, 3 are stored"),
    "emptied": (delete(fact), "cut back: 5 facts were signed, 0 are stored"),
    "note": (update(fact_checkpoint).values(note="log.test\n"), "checkpoint of 5 facts"),
}


@pytest.mark.parametrize("name", CHANGES)
async def test_a_change_in_the_database_is_found_and_named(ten: EventLog, name: str) -> None:
    statement, message = CHANGES[name]
    assert await ten.integrity.check() == 10
    await tamper(ten.store, statement)
    with pytest.raises(Corrupt, match=message):
        await ten.integrity.check()


async def rewrite(store: Store, start: int, **values: Any) -> None:
    """Change one fact and mend every hash after it."""
    async with store.write() as tx:
        await unguarded(tx)
        await tx.execute(update(fact).where(fact.c.seq == start).values(**values))
        prev = (await tx.execute(select(fact.c.prev).where(fact.c.seq == start))).scalar() or b""
        for row in (await tx.execute(select(fact).where(fact.c.seq >= start).order_by(fact.c.seq))).all():
            digest = chain.link_bytes(bytes(prev), record_of(row))
            await tx.execute(update(fact).where(fact.c.seq == row.seq).values(prev=bytes(prev), hash=digest))
            prev = digest


async def test_a_chain_rewritten_with_all_hashes_mended_does_not_match_its_checkpoint(ten: EventLog) -> None:
    await rewrite(ten.store, 3, actor="user/usr_innocent")
    with pytest.raises(Corrupt, match="first 5 facts are not those that were signed"):
        await ten.integrity.check()


async def test_a_broken_chain_is_not_continued_and_nothing_is_signed(
    stores: Stores, clock: ManualClock, signer: NoteSigner, running: Running
) -> None:
    store = await stores.create()
    log = EventLog(store, clock, signer=signer)
    await append(log, *(made(n) for n in range(5)))
    await log.checkpoint()
    await tamper(store, delete(fact).where(fact.c.seq > 2))

    restarted = EventLog(stores.open(), clock, signer=signer)
    async with running(restarted):
        await append(restarted, made(9))
        while restarted.integrity.problem is None:
            await asyncio.sleep(0.001)
    assert "cut back" in restarted.integrity.problem
    assert not restarted.verified
    for attempt in (restarted.checkpoint, restarted.settle):
        with pytest.raises(Corrupt, match="cut back"):
            await attempt()
    async with store.read() as conn:
        assert len((await conn.execute(select(fact_pending))).all()) == 1, "the fact waits, it is not lost"


async def test_a_tail_rewritten_after_the_last_checkpoint_is_found_at_the_next_start(
    stores: Stores, clock: ManualClock, signer: NoteSigner
) -> None:
    log = EventLog(await stores.create(), clock, signer=signer)
    await append(log, *(made(n) for n in range(4)))
    await log.checkpoint()
    await append(log, made(4), made(5))
    await log.settle()
    await tamper(log.store, update(fact).where(fact.c.seq == 5).values(actor="user/usr_innocent"))
    restarted = EventLog(stores.open(), clock, signer=signer)
    with pytest.raises(Corrupt, match="fact 5"):
        await restarted.settle()


async def test_the_key_of_another_log_is_not_taken_for_ours(stores: Stores, clock: ManualClock) -> None:
    log = EventLog(await stores.create(), clock, signer=NoteSigner())
    await append(log, made(1))
    await log.checkpoint()
    other = EventLog(stores.open(), clock, signer=NoteSigner())
    await append(other, made(2))
    with pytest.raises(Corrupt, match="not signed by the key"):
        await other.settle()


async def test_facts_under_the_sequencers_feet_are_noticed(ten: EventLog) -> None:
    """The last fact is replaced while the process runs."""
    await rewrite(ten.store, 10, actor="user/usr_innocent")
    await append(ten, made(11))
    if ten.store.engine_name == "postgresql":
        with pytest.raises(Corrupt, match="fact 10 is not the one that was written"):
            await ten.settle()
    else:
        await ten.settle()
        with pytest.raises(Corrupt, match="fact 11 does not continue"):
            await ten.integrity.check()


async def test_the_stored_chain_is_checked_beside_the_work(
    ten: EventLog, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(integrity, "LOOK_EVERY_S", 0)
    monkeypatch.setattr(integrity, "CHUNK", 3)
    assert not ten.verified, "nobody has looked yet"
    async with running(ten):
        await until(ten, verified=True)
        assert ten.verified_to == 10
        await append(ten, made(11))
        while ten.verified_to < 11:
            await asyncio.sleep(0.001)
        assert ten.verified


async def test_old_facts_are_looked_at_again(
    ten: EventLog, running: Running, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(integrity, "LOOK_EVERY_S", 0)
    monkeypatch.setattr(integrity, "AGAIN_AFTER_S", 0.01)
    async with running(ten):
        await until(ten, verified=True)
        await tamper(ten.store, update(fact).where(fact.c.seq == 2).values(actor="user/usr_innocent"))
        clock.advance(timedelta(seconds=1))
        await until(ten, verified=False)
    assert ten.integrity.problem == "fact 2 does not match its hash"


async def test_a_store_that_is_away_says_nothing_about_the_chain(
    ten: EventLog, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(integrity, "RETRY_S", 0)
    advance, calls = integrity.Integrity.advance, 0

    async def sometimes(self: integrity.Integrity, done: integrity.Pass, *, pause: int = 0) -> bool:
        nonlocal calls
        calls += 1
        if calls < 3:
            raise Unavailable("away")
        return await advance(self, done, pause=pause)

    monkeypatch.setattr(integrity.Integrity, "advance", sometimes)
    async with running(ten):
        await until(ten, verified=True)
    assert calls == 3


# --- export


async def test_an_export_is_verified_with_the_public_key_alone(ten: EventLog, signer: NoteSigner) -> None:
    data = await exported(ten)
    verified = verify(data, signer)
    assert (verified.facts, verified.head) == (10, (await ten.head()).hash)
    for place in range(0, len(data), 97):
        with pytest.raises(LogNotVerified):
            verify(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :], signer)


async def test_an_export_reaches_to_a_fresh_checkpoint_while_writers_go_on(
    log: EventLog, signer: NoteSigner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ironroot.eventlog.export.CHUNK", 3)
    assert verify(await exported(log), signer).facts == 0
    await append(log, *(made(n, odd='ä\u2028\x7f\t\x01"\\😀') for n in range(8)))  # committed, not yet sequenced
    pieces = []
    async for piece in log.export():
        pieces.append(piece)
        await append(log, made(99))
    assert verify(b"".join(pieces), signer).facts == 8
    assert verify(await exported(log), signer).facts == 8 + len(pieces)


async def test_a_log_cut_back_is_found_against_an_older_checkpoint(
    stores: Stores, clock: ManualClock, signer: NoteSigner
) -> None:
    """The thief has the database and the key, drops the end and every trace of it; a checkpoint was kept elsewhere."""
    store = await stores.create()
    log = EventLog(store, clock, signer=signer)
    await append(log, *(made(n) for n in range(6)))
    kept = await log.checkpoint()
    await tamper(store, delete(fact).where(fact.c.seq > 4), delete(fact_checkpoint))
    forged = EventLog(stores.open(), clock, signer=signer)
    data = await exported(forged)
    assert verify(data, signer).facts == 4
    with pytest.raises(LogNotVerified) as e:
        verify(data, signer, kept)
    assert e.value.finding is Finding.CUT_BACK
    await append(forged, *(made(50 + n) for n in range(4)))
    with pytest.raises(LogNotVerified) as e:
        verify(await exported(forged), signer, kept)
    assert e.value.finding is Finding.REWRITTEN


async def test_an_export_of_a_changed_database_does_not_verify(ten: EventLog, signer: NoteSigner) -> None:
    await tamper(ten.store, update(fact).where(fact.c.seq == 4).values(body='{"n":3,"n":3}'))
    with pytest.raises(LogNotVerified) as e:
        verify(await exported(ten), signer)
    assert e.value.seq == 4
