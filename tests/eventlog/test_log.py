"""Appending, sequencing and reading, on both engines."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, text, update

from ironroot.core import chain
from ironroot.core.errors import Fault, Malformed, Misconfigured, Refused, TooLarge
from ironroot.eventlog import sequencer
from ironroot.eventlog.log import EventLog
from ironroot.eventlog.model import Head, NewFact, PendingFact
from ironroot.eventlog.tables import fact, fact_checkpoint, fact_pending
from ironroot.store.engine import Store, Tx
from ironroot.verify.note import verify_checkpoint
from tests.eventlog.conftest import Running
from tests.eventlog.facts import append, made
from tests.support.clock import ManualClock
from tests.support.log import NoteSigner, PersonKeysInMemory
from tests.support.stores import Stores


async def test_facts_are_numbered_and_chained_in_the_order_they_were_written(log: EventLog) -> None:
    await append(log, *(made(n, text='ä\u2028\x00"\\') for n in range(5)))
    assert await log.head() == Head()
    assert await log.read() == []
    head = await log.settle()
    facts = await log.read()
    assert [(one.seq, one.body["n"]) for one in facts] == [(n + 1, n) for n in range(5)]
    prev = chain.GENESIS
    for one in facts:
        assert one.prev == prev
        assert one.hash == chain.link(prev, one.record())
        prev = one.hash
    assert head == Head(5, prev) == await log.head()
    assert facts[0].at == log.clock.now()


async def test_a_transaction_that_fails_leaves_no_fact(log: EventLog) -> None:
    with pytest.raises(ZeroDivisionError):  # noqa: PT012 (the block is the transaction)
        async with log.store.write() as tx:
            await log.append(tx, made(1))
            raise ZeroDivisionError
    await append(log, made(2))
    await log.settle()
    assert [one.body["n"] for one in await log.read()] == [2]


async def test_a_late_commit_is_not_skipped(stores: Stores, clock: ManualClock) -> None:
    """A transaction that began first and commits last gets a later number; on SQLite writers take turns."""
    store = await stores.create()
    log = EventLog(store, clock)
    if store.engine_name == "sqlite":
        await append(log, made(2), made(1))
    else:
        async with store.write() as slow:
            await log.append(slow, made(1))
            await append(log, made(2))
            await log.settle()
            assert [one.body["n"] for one in await log.read()] == [2]
    await log.settle()
    assert [(one.seq, one.body["n"]) for one in await log.read()] == [(1, 2), (2, 1)]


async def test_more_facts_than_one_step_takes(log: EventLog, monkeypatch: pytest.MonkeyPatch) -> None:
    async with log.store.write() as tx:
        ids = await log.append_all(tx, [made(n) for n in range(2 * sequencer.BATCH + 7)])
    assert (await log.settle()).seq == len(ids)
    assert await log.places(ids[:3] + ids[-1:]) == {ids[0]: 1, ids[1]: 2, ids[2]: 3, ids[-1]: len(ids)}
    assert await log.places([]) == {}
    assert await log.integrity.check() == len(ids)


async def test_writers_side_by_side_and_several_sequencers_make_one_chain(
    stores: Stores, clock: ManualClock, signer: NoteSigner, running: Running
) -> None:
    """Three processes append and sequence at once: every fact once, no fork, no gap."""
    logs = [EventLog(await stores.create(), clock, signer=signer)]
    logs += [EventLog(stores.open(), clock, signer=signer) for _ in range(2 if stores.engine == "postgresql" else 0)]

    async def work(log: EventLog, start: int) -> None:
        async with running(log):
            await asyncio.gather(*(append(log, *(made(start + i * 10 + n) for n in range(10))) for i in range(4)))
            await log.wait(total - 1, timeout_s=20)

    total = 40 * len(logs)
    await asyncio.gather(*(work(log, 1_000 * n) for n, log in enumerate(logs)))
    facts = await logs[0].read(limit=1_000)
    assert len({one.body["n"] for one in facts}) == total == len(facts)
    for log in logs:
        assert await log.integrity.check() == total
        await log.settle()
        assert verify_checkpoint(await log.checkpoint(), signer.key).size == total


async def test_another_process_on_sqlite_cannot_fork_the_chain(stores: Stores, clock: ManualClock) -> None:
    first = EventLog(await stores.create(), clock)
    await append(first, made(1))
    await first.settle()
    second = EventLog(stores.open(), clock)
    await append(second, made(2))
    await second.settle()
    await append(first, made(3))
    assert (await first.settle()).seq == 3
    assert await first.integrity.check() == 3


async def test_the_database_refuses_to_change_or_drop_facts(log: EventLog) -> None:
    await append(log, made(1))
    await log.settle()
    statements: list[Any] = [update(fact).values(actor="user/usr_b"), delete(fact)]
    if log.store.engine_name == "postgresql":
        statements.append(text("truncate fact"))
    for statement in statements:
        with pytest.raises(Exception, match="append-only"):
            async with log.store.write() as tx:
                await tx.execute(statement)
    assert len(await log.read()) == 1


async def test_the_migrated_tables_refuse_it_too(stores: Stores, clock: ManualClock) -> None:
    store = stores.open()
    await store.migrate("state")
    log = EventLog(store, clock)
    await append(log, made(1))
    await log.settle()
    for statement in (update(fact).values(actor="user/usr_b"), delete(fact)):
        with pytest.raises(Exception, match="append-only"):
            async with store.write() as tx:
                await tx.execute(statement)


async def test_reading_by_number_kind_subject_and_actor(log: EventLog) -> None:
    await append(log, made(1), made(2, "device.retired"), made(1, "device.grouped"))
    await append(log, NewFact("device.retired", "device/meter-1", "host/root"))
    await log.settle()

    async def seqs(**query: Any) -> list[int]:
        return [one.seq for one in await log.read(**query)]

    assert await seqs() == [1, 2, 3, 4]
    assert await seqs(after=1, limit=2) == [2, 3]
    assert await seqs(newest_first=True, limit=2) == [4, 3]
    assert await seqs(newest_first=True, before=3) == [2, 1]
    assert await seqs(kinds={"device.retired"}) == [2, 4]
    assert await seqs(kinds=[]) == []
    assert await seqs(subject="device/meter-1") == [1, 3, 4]
    assert await seqs(actor="host/root") == [4]
    assert await seqs(subject="device/meter-1", kinds=["device.retired", "device.grouped"], newest_first=True) == [4, 3]
    assert await seqs(limit=0) == [1]


# --- what cannot be recorded


@pytest.mark.parametrize(
    "bad",
    [
        NewFact("Device.Registered", "device/a", "platform"),
        NewFact("device", "device/a", "platform"),
        NewFact("device.x" + "y" * 40, "device/a", "platform"),
        NewFact("device.x", "", "platform"),
        NewFact("device.x", "device/a\nb", "platform"),
        NewFact("device.x", "device/\x00", "platform"),
        NewFact("device.x", "device/a", "peer/" + "1" * 300),
        NewFact("device.x", "device/a", "user/\ud800"),
        NewFact("device.x", "device/a", "platform", {"personal": {"person": "usr_a", "sealed": ""}}),
        NewFact("device.x", "device/a", "platform", {"value": 0.1}),  # type: ignore[dict-item]
        NewFact("device.x", "device/a", "platform", {"text": "\ud800"}),
        NewFact("device.x", "device/a", "platform", {"text": "x" * 70_000}),
    ],
)
async def test_a_fact_nobody_could_verify_is_refused(log: EventLog, bad: NewFact) -> None:
    with pytest.raises(Refused):
        await append(log, bad)
    assert (await log.settle()).seq == 0


# --- folds


class Echo:
    """Answers every fact of one kind with facts of another, in the same transaction."""

    def __init__(self, kind: str, *answers: str) -> None:
        self.kinds = frozenset({kind})
        self.answers = answers
        self.seen: list[PendingFact] = []

    async def fold(self, tx: Tx, fact: PendingFact) -> Sequence[NewFact]:
        self.seen.append(fact)
        return [NewFact(answer, fact.subject, "platform", {"because": fact.id}) for answer in self.answers]


async def test_folds_answer_in_the_same_transaction(log: EventLog) -> None:
    trust, alert = Echo("certificate.revoked", "trust.decided"), Echo("trust.decided", "alert.raised")
    log.add_fold(trust)
    log.add_fold(alert)
    with pytest.raises(ZeroDivisionError):  # noqa: PT012 (the block is the transaction)
        async with log.store.write() as tx:
            await log.append(tx, made(1, "certificate.revoked"))
            raise ZeroDivisionError
    async with log.store.write() as tx:
        cause = await log.append(tx, made(1, "certificate.revoked"))
        await log.append(tx, made(2, "device.grouped"))
    await log.settle()
    facts = await log.read()
    assert [one.kind for one in facts] == ["certificate.revoked", "trust.decided", "alert.raised", "device.grouped"]
    assert facts[0].id == cause == facts[1].body["because"]
    assert len(trust.seen) == len(alert.seen) == 2


async def test_folds_that_answer_each_other_end_in_an_error(log: EventLog) -> None:
    log.add_fold(Echo("a.done", "b.done"))
    log.add_fold(Echo("b.done", "a.done"))
    with pytest.raises(Fault) as e:
        await append(log, made(1, "a.done"))
    assert e.value.error_code == "fold-loop"
    log.add_fold(Echo("flood.seen", *["x.done"] * 2_000))
    with pytest.raises(Fault):
        await append(log, made(1, "flood.seen"))
    assert (await log.settle()).seq == 0


# --- personal fields


async def test_erasing_a_person_leaves_the_chain_whole(log: EventLog, persons: PersonKeysInMemory) -> None:
    about = NewFact(
        "user.created", "user/usr_a", "platform", {"role": "operator"}, "usr_a", {"name": "Ada Löve", "mail": "ada@x"}
    )
    await append(log, about, made(1))
    await log.settle()
    named, plain = await log.read()
    async with log.store.read() as conn:
        stored = str((await conn.execute(select(fact.c.body).where(fact.c.seq == 1))).scalar())
    assert "Ada" not in stored
    assert "ada@x" not in b"".join([piece async for piece in log.export()]).decode()
    revealed = await log.reveal(named)
    assert revealed is not None
    assert (revealed.person, revealed.fields, revealed.erased) == (
        "usr_a",
        {"name": "Ada Löve", "mail": "ada@x"},
        False,
    )
    assert await log.reveal(plain) is None
    persons.erase("usr_a")
    revealed = await log.reveal(named)
    assert revealed is not None
    assert revealed.erased
    assert revealed.fields is None
    assert await log.integrity.check() == 2


async def test_personal_fields_need_a_key(store: Store, clock: ManualClock) -> None:
    log = EventLog(store, clock)
    with pytest.raises(Misconfigured):
        await append(log, NewFact("user.created", "user/usr_a", "platform", {}, "usr_a", {"name": "Ada"}))
    log.equip(persons=PersonKeysInMemory())
    with pytest.raises(Misconfigured):
        await append(log, NewFact("user.created", "user/usr_a", "platform", {}, None, {"name": "Ada"}))
    await append(log, NewFact("user.created", "user/usr_a", "platform", {}, "usr_a", {"name": "Ada"}))


# --- checkpoints


async def test_a_checkpoint_covers_everything_committed(log: EventLog, signer: NoteSigner) -> None:
    assert verify_checkpoint(await log.checkpoint(), signer.key, alone=True).size == 0
    await append(log, *(made(n) for n in range(3)))
    note = await log.checkpoint()
    assert verify_checkpoint(note, signer.key).size == 3
    assert await log.checkpoint() == note, "nothing new, nothing signed"
    await append(log, made(4))
    assert verify_checkpoint(await log.checkpoint(), signer.key).size == 4
    assert log.key == signer.key


async def test_checkpoints_are_signed_at_most_once_per_second_by_themselves(
    log: EventLog, clock: ManualClock, signer: NoteSigner
) -> None:
    async def signed() -> list[int]:
        async with log.store.read() as conn:
            return list((await conn.execute(select(fact_checkpoint.c.size))).scalars())

    for n in range(3):
        await append(log, made(n))
        await log.settle()
    assert await signed() == [1]
    clock.advance(timedelta(seconds=1))
    await log.settle()
    assert await signed() == [3]
    clock.advance(timedelta(hours=1))
    await append(log, made(4))
    await log.settle()
    assert sorted(await signed()) == [3, 4], "the last of every hour is kept"


async def test_a_new_process_goes_on_where_the_last_one_stopped(
    stores: Stores, clock: ManualClock, signer: NoteSigner
) -> None:
    first = EventLog(await stores.create(), clock, signer=signer)
    await append(first, *(made(n) for n in range(5)))
    note = await first.checkpoint()
    await append(first, made(6), made(7))
    await first.settle()
    second = EventLog(stores.open(), clock, signer=signer)
    await append(second, made(8))
    assert (await second.settle()).seq == 8
    assert await second.integrity.check() == 8
    assert verify_checkpoint(note, signer.key).size == 5
    assert verify_checkpoint(await second.checkpoint(), signer.key).size == 8


async def test_a_log_without_a_key_signs_nothing(store: Store, clock: ManualClock) -> None:
    log = EventLog(store, clock)
    await append(log, made(1))
    assert (await log.settle()).seq == 1
    assert log.key is None
    with pytest.raises(Misconfigured):
        await log.checkpoint()
    with pytest.raises(Misconfigured):
        [piece async for piece in log.export()]
    log.equip(signer=NoteSigner())
    await log.checkpoint()


# --- running


async def test_a_fact_is_sequenced_by_its_commit(log: EventLog, running: Running) -> None:
    async with running(log):
        await append(log, made(1))
        assert (await log.wait(0, timeout_s=10)).seq == 1
        assert (await log.wait(1, timeout_s=0.01)).seq == 1


async def test_facts_wait_while_the_store_is_away_and_go_on(
    log: EventLog, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ironroot.eventlog.log._RETRY_S", 0.01)
    steps = 0
    step = sequencer.Sequencer.step

    async def sometimes(self: sequencer.Sequencer, *, checkpoint: bool = False) -> int:
        nonlocal steps
        steps += 1
        if steps < 3:
            raise Fault("away") if steps == 1 else RuntimeError("a bug")
        return await step(self, checkpoint=checkpoint)

    monkeypatch.setattr(sequencer.Sequencer, "step", sometimes)
    async with running(log):
        await append(log, made(1))
        assert (await log.wait(0, timeout_s=10)).seq == 1


async def test_pending_facts_are_gone_once_placed(log: EventLog) -> None:
    await append(log, made(1), made(2))
    await log.settle()
    async with log.store.read() as conn:
        assert (await conn.execute(select(fact_pending))).all() == []


async def test_a_forged_pending_body_cannot_break_the_record(log: EventLog) -> None:
    """Somebody who can write to the table writes text that is no JSON: it is not numbered, and says so."""
    values = {"id": "fct_x", "at": log.clock.now(), "kind": "a.b", "subject": "device/a", "actor": "platform"}
    async with log.store.write() as tx:
        await tx.execute(insert(fact_pending).values(**values, body='{"a":1},"actor":"user/usr_b"'))
    with pytest.raises((Malformed, TooLarge, ValueError)):
        await log.settle()
