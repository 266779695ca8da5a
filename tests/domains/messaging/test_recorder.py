from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ironroot.core.ids import DeviceId
from ironroot.domains.messaging.fold import Fold
from ironroot.domains.messaging.recorder import Cursor, Recorder
from ironroot.domains.messaging.telemetry import Telemetry
from ironroot.store.engine import Store
from ironroot.wire.topics import Up, UpTopic
from tests.support.clock import ManualClock

DEVICE = DeviceId("meter-1")
START = datetime(2026, 1, 1, 12, 0, 30, tzinfo=UTC)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def recorder(telemetry_store: Store) -> Recorder:
    return Recorder(telemetry_store)


@pytest.fixture
def telemetry(telemetry_store: Store, clock: ManualClock) -> Telemetry:
    return Telemetry(telemetry_store, clock)


def folded(at: datetime, *values: object, device: DeviceId = DEVICE, name: str = "power") -> Fold:
    fold = Fold()
    for value in values:
        fold.add(device, UpTopic(device, Up.TELEMETRY, name), str(value).encode(), at, set())
    return fold


async def test_flushes_add_up(recorder: Recorder, telemetry: Telemetry) -> None:
    await recorder.flush(folded(START, 1, 5), Cursor("a", 2))
    await recorder.flush(folded(START + timedelta(seconds=5), 3), Cursor("a", 3))
    assert [(v.value, v.at) for v in await telemetry.latest(DEVICE)] == [(3, START + timedelta(seconds=5))]
    (point,) = await telemetry.points(DEVICE, "power", START - timedelta(hours=1))
    assert (point.count, point.min, point.max, point.mean, point.last) == (3, 1, 5, 3, 3)
    assert await recorder.cursor() == Cursor("a", 3)
    assert await recorder.names([DEVICE, DeviceId("other")]) == {DEVICE: {"power"}, "other": set()}


async def test_an_older_value_does_not_replace_a_newer_one(recorder: Recorder, telemetry: Telemetry) -> None:
    await recorder.flush(folded(START, 2), None)
    await recorder.flush(folded(START - timedelta(seconds=10), 1), None)
    assert [v.value for v in await telemetry.latest(DEVICE)] == [2]
    assert (await telemetry.activity([DEVICE]))[DEVICE].last_seen == START


async def test_the_rate_is_that_of_the_sliding_minute(
    recorder: Recorder, telemetry: Telemetry, clock: ManualClock
) -> None:
    await recorder.flush(folded(START, *range(60)), None)
    assert (await telemetry.activity([DEVICE]))[DEVICE].messages_per_minute == 60
    clock.advance(timedelta(minutes=1))
    assert (await telemetry.activity([DEVICE]))[DEVICE].messages_per_minute == 30
    await recorder.flush(folded(clock.now(), *range(10)), None)
    found = (await telemetry.activity([DEVICE]))[DEVICE]
    assert (found.messages, found.messages_per_minute) == (70, 40)
    clock.advance(timedelta(minutes=2))
    assert (await telemetry.activity([DEVICE]))[DEVICE].messages_per_minute == 0


async def test_messages_that_waited_count_without_moving_the_window_back(
    recorder: Recorder, telemetry: Telemetry, clock: ManualClock
) -> None:
    await recorder.flush(folded(START, 1), None)
    await recorder.flush(folded(START - timedelta(minutes=10), 1, 2), None)
    found = (await telemetry.activity([DEVICE]))[DEVICE]
    assert (found.messages, found.messages_per_minute) == (3, 1)


async def test_the_overview_has_every_minute(recorder: Recorder, telemetry: Telemetry, clock: ManualClock) -> None:
    await recorder.flush(folded(START - timedelta(minutes=2), 1, 2), None)
    await recorder.flush(folded(START, 3), None)
    await recorder.flush(folded(START, 4), None)
    assert [n for _, n, _ in await telemetry.per_minute(3)] == [0, 2, 0, 2]
    assert await telemetry.per_second() == pytest.approx(2 / 60)


async def test_rejected_messages_and_reports_are_kept(recorder: Recorder, telemetry: Telemetry) -> None:
    fold = folded(START, 1)
    fold.add(DEVICE, None, b"", START, set())
    fold.add(DEVICE, UpTopic(DEVICE, Up.REPORT), b'{"a": [1, "\\u0000"]}', START, set())
    await recorder.flush(fold, None)
    await recorder.flush(fold, None)
    assert await telemetry.rejected(DEVICE) == {"topic": 2}
    report = await telemetry.report(DEVICE)
    assert report is not None
    assert report.body == {"a": [1, "\x00"]}


async def test_text_with_a_zero_byte_is_stored_by_every_engine(recorder: Recorder, telemetry: Telemetry) -> None:
    await recorder.flush(folded(START, '"a\\u0000b"'), None)
    assert [v.value for v in await telemetry.latest(DEVICE)] == ["a\x00b"]


async def test_history_is_forgotten_after_its_time(recorder: Recorder, telemetry: Telemetry) -> None:
    for hours in (1, 30, 60):
        await recorder.flush(folded(START - timedelta(hours=hours), 1), None)
    assert await recorder.forget_before(START, timedelta(hours=48)) == 1
    assert await recorder.forget_before(START, timedelta(hours=48)) == 0
    assert len(await telemetry.points(DEVICE, "power", START - timedelta(days=9))) == 2
    assert len(await telemetry.latest(DEVICE)) == 1


async def test_nothing_of_a_flush_is_there_without_its_cursor(
    recorder: Recorder, telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "_cursor", "not a statement")
    with pytest.raises(Exception, match=r"."):
        await recorder.flush(folded(START, 1), Cursor("a", 1))
    assert await telemetry.latest(DEVICE) == []
    assert await telemetry.activity([DEVICE]) == {}
