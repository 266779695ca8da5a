"""A flood of refusals costs a bounded number of facts and hides only its repetitions."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest

from ironroot.eventlog import refusals as module
from ironroot.eventlog.log import EventLog
from ironroot.eventlog.model import Fact, NewFact
from ironroot.eventlog.refusals import RefusalLog, Suppressed
from ironroot.store.engine import Store
from tests.support.clock import ManualClock


@pytest.fixture
def log(sqlite_store: Store, clock: ManualClock) -> EventLog:
    return EventLog(sqlite_store, clock)


@pytest.fixture
def refusals(log: EventLog, clock: ManualClock) -> RefusalLog:
    return RefusalLog(log, log.store, clock)


def refusal(subject: str = "platform", actor: str = "peer/198.51.100.1", kind: str = "access.refused") -> NewFact:
    return NewFact(kind, subject, actor, {"reason": "unknown token"})


async def facts(log: EventLog) -> list[Fact]:
    await log.settle()
    return await log.read(limit=1_000)


async def test_a_flood_from_one_source_is_counted_not_written(
    log: EventLog, refusals: RefusalLog, clock: ManualClock
) -> None:
    assert sum([await refusals.note(refusal()) for _ in range(100)]) == 10
    assert len(await facts(log)) == 10
    clock.advance(timedelta(seconds=6))
    assert await refusals.note(refusal())
    last = (await facts(log))[-1]
    assert last.body == {"reason": "unknown token", "suppressed": 90}
    clock.advance(timedelta(seconds=6))
    assert await refusals.note(refusal())
    assert "suppressed" not in (await facts(log))[-1].body


async def test_a_source_that_invents_subjects_is_bounded_and_does_not_hide_others(
    log: EventLog, refusals: RefusalLog
) -> None:
    for n in range(1_000):
        await refusals.note(refusal(f"device/guess-{n}"))
    assert await refusals.note(refusal("device/guess-1", "peer/203.0.113.9"))
    actors = Counter(one.actor for one in await facts(log))
    assert actors == {"peer/198.51.100.1": 10, "peer/203.0.113.9": 1}


async def test_many_sources_together_are_bounded(log: EventLog, refusals: RefusalLog) -> None:
    for n in range(800):
        await refusals.note(refusal(actor=f"peer/{n}"))
    assert len(await facts(log)) == 600


async def test_memory_is_bounded_when_subjects_are_invented(
    refusals: RefusalLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_KEYS", 20)
    for n in range(100):
        await refusals.note(refusal(f"device/guess-{n}"))
    assert len(refusals._over) == 21
    assert refusals._over["access.refused", "others"] == 70


async def test_what_was_only_counted_is_told_in_one_fact(log: EventLog, refusals: RefusalLog) -> None:
    assert await refusals.report() == 0
    for _ in range(15):
        await refusals.note(refusal())
    for n in range(12):
        await refusals.note(refusal(f"device/guess-{n}", kind="mqtt.refused"))
    assert await refusals.report() == 7
    told = Suppressed.of((await facts(log))[-1])
    assert told.total == 7
    assert told.most == {
        "access.refused platform": 5,
        "mqtt.refused device/guess-10": 1,
        "mqtt.refused device/guess-11": 1,
    }
    assert await refusals.report() == 0


async def test_kinds_have_budgets_of_their_own(refusals: RefusalLog) -> None:
    for _ in range(20):
        await refusals.note(refusal())
    assert await refusals.note(refusal(kind="enrolment.refused"))


async def test_a_refusal_that_could_not_be_written_is_counted(
    log: EventLog, refusals: RefusalLog, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(log.store, "read_only", True)
        with pytest.raises(Exception, match="reading only"):
            await refusals.note(refusal())
        with pytest.raises(Exception, match="reading only"):
            await refusals.report()
    assert await refusals.note(refusal())
    assert (await facts(log))[-1].body["suppressed"] == 1
