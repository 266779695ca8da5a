"""From a device's publish to the tables: each message once, and nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from ironroot.adapters.nats.credentials import Role
from ironroot.adapters.nats.intake import Intake
from ironroot.adapters.nats.pull import Puller
from ironroot.adapters.nats.streams import consumer_configs
from ironroot.adapters.nats.subjects import INTAKE_CONSUMER
from ironroot.app.clock import SystemClock
from ironroot.core.errors import Unavailable
from ironroot.core.ids import DeviceId
from ironroot.domains.messaging import telemetry_tables as t
from ironroot.domains.messaging.budget import FloodLimit
from ironroot.domains.messaging.recorder import Recorder
from ironroot.domains.messaging.telemetry import Telemetry
from ironroot.store.engine import Store
from ironroot.store.tables import telemetry_metadata
from tests.support.mqtt import Client, mosquitto
from tests.support.nats import Hall, Platform, hall, platform, until, until_async

MANY = FloodLimit(per_s=1e6, burst=10_000_000)


@asynccontextmanager
async def tables(directory: Path) -> AsyncIterator[Store]:
    store = Store(f"sqlite+aiosqlite:///{directory}/telemetry.db")
    async with store.write() as tx:
        await tx.conn.run_sync(telemetry_metadata.create_all)
    yield store
    await store.close()


@asynccontextmanager
async def intake(place: Hall, store: Store, limit: FloodLimit = MANY) -> AsyncIterator[Intake]:
    worker = Intake(place.credentials, Recorder(store), SystemClock(), limit=limit)
    task = asyncio.create_task(worker.run())
    await until(worker.reading.is_set)
    yield worker
    worker.stop()
    await task


@pytest.fixture(scope="module")
async def store(broker_hall: Hall) -> AsyncIterator[Store]:
    async with tables(broker_hall.directory) as made:
        yield made


@pytest.fixture
def telemetry(store: Store) -> Telemetry:
    return Telemetry(store, SystemClock())


@pytest.fixture
async def worker(door: Platform, store: Store) -> AsyncIterator[Intake]:
    async with intake(door.hall, store) as made:
        yield made


def client(place: Hall, name: str, **given: object) -> Client:
    return Client(place.directory, place.port, name, name, **given)  # type: ignore[arg-type]


async def said(store: Store, device: str) -> int:
    """How many messages of the device are in the tables."""
    async with store.read() as conn:
        found = await conn.execute(select(t.device_seen.c.messages).where(t.device_seen.c.device_id == device))
        return int(found.scalar() or 0)


@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_a_message_is_counted_once_whatever_its_qos(
    door: Platform, worker: Intake, store: Store, telemetry: Telemetry, qos: int
) -> None:
    name = f"once-{qos}"
    device = door.device(name)
    meter = client(door.hall, name)
    await meter.connect()
    for value in range(1, 41):
        meter.publish(f"d/{name}/up/telemetry/power", str(value), qos)
    await until_async(lambda: _is(said(store, name), 40))
    await asyncio.sleep(1.2)
    assert await said(store, name) == 40
    assert [(v.name, v.value) for v in await telemetry.latest(device)] == [("power", 40)]
    points = await telemetry.points(device, "power", telemetry.since(10))
    assert sum(p.count for p in points) == 40
    assert points[-1].max == 40
    await meter.close()


async def _is(found: object, wanted: object) -> bool:
    return bool(await found == wanted)  # type: ignore[misc]


async def test_a_report_is_kept_and_rubbish_is_counted(
    door: Platform, worker: Intake, store: Store, telemetry: Telemetry
) -> None:
    device = door.device("mixed-1")
    mixed = client(door.hall, "mixed-1")
    await mixed.connect()
    mixed.publish("d/mixed-1/up/report", json.dumps({"header": {"report_id": 1}, "metrics": {}}))
    mixed.publish("d/mixed-1/up/report", b"not json")
    mixed.publish("d/mixed-1/up/telemetry/t", b"\xff\xfe")
    mixed.publish("d/mixed-1/up/telemetry/a.b", b"1")
    mixed.publish("d/mixed-1/up/log", b"a line")
    mixed.publish("d/mixed-1/up/event", b'{"type":"hello","capability":1}')
    await until_async(lambda: _is(said(store, "mixed-1"), 6))
    report = await telemetry.report(device)
    assert report is not None
    assert report.body["header"] == {"report_id": 1}
    assert await telemetry.rejected(device) == {"payload": 2, "topic": 1}
    assert await telemetry.latest(device) == []
    await mixed.close()


async def test_a_flooding_device_is_reported_once(door: Platform, store: Store) -> None:
    device = door.device("flood-1")
    flood = client(door.hall, "flood-1")
    async with intake(door.hall, store, FloodLimit(per_s=50, burst=500)):
        await flood.connect()
        for _ in range(450):
            flood.publish("d/flood-1/up/telemetry/t", b"1")
        await asyncio.sleep(1.5)
        assert [v for v in door.heard.violations if v.device == device] == []
        for _ in range(2000):
            flood.publish("d/flood-1/up/telemetry/t", b"1")
        await until(lambda: any(v.device == device for v in door.heard.violations))
        await asyncio.sleep(1.2)
    assert [v.kind for v in door.heard.violations if v.device == device] == ["flood"]
    await flood.close()


async def test_nobody_is_let_in_while_a_message_would_be_acknowledged_and_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ironroot.adapters.nats.responder.CHECK_S", 0.2)
    with hall(tmp_path) as place:
        door = Platform(place)
        starting = asyncio.create_task(_start_without_streams(door))
        await starting
        door.device("early-1")
        assert await client(place, "early-1").connect() == "Not authorized"
        await door.broker.start()
        await until(lambda: door.doorman.ready)
        early = client(place, "early-1")
        assert await early.connect() == "Success"
        await early.close()
        # and when a consumer goes, the door closes again
        await place.js(f"CONSUMER.DELETE.$MQTT_msgs.{consumer_configs()[0]['durable_name']}")
        await until(lambda: not door.doorman.ready)
        assert await client(place, "early-1").connect() == "Not authorized"
        await door.close()


async def _start_without_streams(door: Platform) -> None:
    from ironroot.adapters.nats.responder import Responder

    responder = Responder(door.hall.credentials, door.doorman, door.clock)
    door._responder = asyncio.create_task(responder.run())
    await until(responder.listening.is_set)


async def test_without_a_responder_nobody_gets_in_and_those_inside_stay(tmp_path: Path) -> None:
    with hall(tmp_path, auth_timeout_s=1) as place:
        async with platform(place) as door:
            door.device("in-1")
            door.device("out-1")
            inside = client(place, "in-1")
            assert await inside.connect() == "Success"
            await door.stop_responder()
            assert await client(place, "out-1").connect() == "Not authorized"
            inside.publish("d/in-1/up/event", b"{}")
            await until(lambda: inside.acked)
            await door.start_responder()
            late = client(place, "out-1")
            assert await late.connect() == "Success"
            await late.close()
            await inside.close()


async def test_a_full_stream_stops_acknowledging_and_loses_nothing_acknowledged(tmp_path: Path) -> None:
    with hall(tmp_path, messages_bytes=300_000) as place:
        async with platform(place) as door, tables(tmp_path) as store:
            door.device("fat-1")
            fat = client(place, "fat-1")
            await fat.connect()
            for _ in range(1000):
                fat.publish("d/fat-1/up/telemetry/t", "x" * 1000)
            await fat.ended()
            kept = len(fat.acked)
            assert 0 < kept < 1000
            await fat.close()
            async with intake(place, store):
                await until_async(lambda: _at_least(store, "fat-1", kept))
                again = client(place, "fat-1")
                await again.connect()
                again.publish("d/fat-1/up/telemetry/t", b"1")
                await until(lambda: again.acked)
                await again.close()


async def test_a_disk_that_fails_and_recovers_loses_nothing_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full for the broker: here, its files may grow no more (RLIMIT_FSIZE)."""
    monkeypatch.setattr("ironroot.adapters.nats.broker.LOOK_S", 0.1)
    monkeypatch.setattr("ironroot.adapters.nats.storage.ROOM_BYTES", 1 << 62)
    with hall(tmp_path) as place:
        async with platform(place) as door, tables(tmp_path) as store:
            door.device("disk-1")
            disk = client(place, "disk-1")
            await disk.connect()
            resource.prlimit(place.pid, resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
            for _ in range(600):
                disk.publish("d/disk-1/up/telemetry/t", "x" * 1000)
            await until(lambda: not door.broker.ready()[0])
            await disk.ended()
            kept = len(disk.acked)
            assert 0 < kept < 600
            await disk.close()
            assert not place.ended()
            monkeypatch.setattr("ironroot.adapters.nats.storage.ROOM_BYTES", 0)
            await until(place.ended)
            place.start()
            async with intake(place, store):
                await until_async(lambda: _at_least(store, "disk-1", kept))
                await until(lambda: door.broker.ready()[0])
                again = client(place, "disk-1")
                assert await again.connect() == "Success"
                again.publish("d/disk-1/up/telemetry/t", b"1")
                await until(lambda: again.acked)
                await again.close()


async def _at_least(store: Store, device: str, wanted: int) -> bool:
    return await said(store, device) >= wanted


async def test_killing_the_intake_in_the_middle_loses_and_doubles_nothing(tmp_path: Path) -> None:
    with hall(tmp_path) as place:
        async with platform(place) as door, tables(tmp_path) as store:
            door.device("steady-1")
            steady = client(place, "steady-1")
            await steady.connect()
            process = await _spawn_intake(tmp_path)
            sent = 0
            for round_ in range(3):
                for _ in range(1500):
                    steady.publish("d/steady-1/up/telemetry/t", str(sent))
                    sent += 1
                    if sent % 50 == 0:
                        await asyncio.sleep(0.01)
                    if sent == 1500 * round_ + 700:
                        os.kill(process.pid, signal.SIGKILL)
                        await process.wait()
                        process = await _spawn_intake(tmp_path)
            await until(lambda: len(steady.acked) == sent)
            await until_async(lambda: _at_least(store, "steady-1", sent), 20)
            process.terminate()
            assert await process.wait() == 0
            assert await said(store, "steady-1") == sent
            await steady.close()


async def _spawn_intake(directory: Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(sys.executable, "-m", "tests.support.intake_process", str(directory))


async def test_killing_the_broker_in_the_middle_loses_nothing_acknowledged(tmp_path: Path) -> None:
    with hall(tmp_path) as place:
        async with platform(place) as door, tables(tmp_path) as store, intake(place, store):
            device = door.device("rock-1")
            rock = client(place, "rock-1", reconnect=True, clean=False)
            await rock.connect()
            values = 0
            for turn in range(2):
                for _ in range(800):
                    values += 1
                    rock.publish("d/rock-1/up/telemetry/t", json.dumps({"value": values}))
                    if values % 40 == 0:
                        await asyncio.sleep(0.01)
                    if values == 800 * turn + 400:
                        place.kill()
                        place.start()
            await until(lambda: len(rock.acked) == values, 20)
            await until_async(lambda: _at_least(store, "rock-1", values), 20)
            points = await Telemetry(store, SystemClock()).points(
                device, "t", SystemClock().now() - timedelta(minutes=10)
            )
            assert max(p.max for p in points) == values
            await until(lambda: device in door.presence)
            await rock.close()
            await until(lambda: device not in door.presence)


async def test_a_store_that_fails_delays_and_loses_nothing(
    door: Platform, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    door.device("wait-1")
    wait = client(door.hall, "wait-1")
    await wait.connect()
    failures = 2
    original = Recorder.flush

    async def flush(self: Recorder, *given: object) -> None:
        nonlocal failures
        if failures:
            failures -= 1
            raise Unavailable("disk full")
        await original(self, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(Recorder, "flush", flush)
    async with intake(door.hall, store):
        for value in range(200):
            wait.publish("d/wait-1/up/telemetry/t", str(value))
        await until(lambda: len(wait.acked) == 200)
        await until_async(lambda: _is(said(store, "wait-1"), 200))
    assert failures == 0
    await wait.close()


async def test_a_stock_client_ends_up_on_the_device_page(door: Platform, worker: Intake, telemetry: Telemetry) -> None:
    device = door.device("stock-1")
    for value in ("21.5", "on", '{"value": 3, "at": "2026-01-01T00:00:00Z"}'):
        answer = await mosquitto(
            "pub", door.hall.port, door.hall.directory, "stock-1",
            "-i", "stock-1", "-q", "1", "-t", f"d/stock-1/up/telemetry/n{len(value)}", "-m", value,
        )  # fmt: skip
        assert answer.status == 0
    await until_async(lambda: _is(_count(telemetry, device), 3))
    assert {v.name: v.value for v in await telemetry.latest(device)} == {"n4": 21.5, "n2": "on", "n42": 3}


async def _count(telemetry: Telemetry, device: DeviceId) -> int:
    return len(await telemetry.latest(device))


@pytest.mark.parametrize(("size", "count"), [(60_000, 700), (20, 5_000)])
async def test_a_backlog_is_read_in_one_go_whatever_ends_a_pull_its_bytes_or_its_number(
    door: Platform, size: int, count: int
) -> None:
    name = f"backlog-{size}"
    door.device(name)
    sender = client(door.hall, name)
    await sender.connect()
    for _ in range(count):
        sender.publish(f"d/{name}/up/log", b"x" * size)
    await until(lambda: len(sender.acked) == count, 30)
    puller, read = Puller(INTAKE_CONSUMER, most_waiting=2_000), 0
    await puller.open(door.hall.credentials, Role.INTAKE)
    async with asyncio.timeout(20):
        while read < count:
            for message in await puller.take(1.0):  # raises when the link had to be given up
                read += message.subject.startswith(f"d.{name}.".encode())
                puller.ack(message.reply)
    await puller.flush()
    puller.close()
    await sender.close()
