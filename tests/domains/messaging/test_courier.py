"""When a device is told again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ironroot.core.errors import Unavailable
from ironroot.domains.messaging import tables
from ironroot.store.engine import Store
from tests.domains.messaging.world import CAMERA, HOST, METER, World


@pytest.fixture
def world(sqlite_store: Store) -> World:
    return World(sqlite_store)


async def step(world: World, seconds: float) -> int:
    world.clock.advance(timedelta(seconds=seconds))
    return await world.courier.tick()


async def test_it_is_said_again_less_and_less_often(world: World) -> None:
    world.connect(METER)
    await world.messaging.set_config(METER, {}, HOST)
    said_at = []
    for second in range(200):
        if await world.courier.tick():
            said_at.append(second)
        world.clock.advance(timedelta(seconds=1))
    assert said_at == [0, 5, 15, 35, 75, 155]


async def test_a_device_hears_after_it_connects_and_at_once_after_hello(world: World) -> None:
    await world.messaging.set_config(METER, {}, HOST)
    assert await step(world, 60) == 0
    world.connect(METER)
    assert await step(world, 0.5) == 0
    assert await step(world, 0.6) == 1
    await world.event(METER, type="hello", capability=1)
    assert await step(world, 0) == 1
    assert await step(world, 5) == 1


async def test_nobody_is_spoken_to_who_is_not_there(world: World) -> None:
    world.connect(METER)
    await world.messaging.set_config(METER, {}, HOST)
    world.disconnect(METER)
    assert await step(world, 60) == 0
    assert len(world.courier) == 0


async def test_a_device_with_nothing_outstanding_costs_nothing(world: World) -> None:
    world.connect(METER)
    world.connect(CAMERA)
    await world.messaging.set_config(CAMERA, {}, HOST)
    await step(world, 2)
    assert len(world.courier) == 1


async def test_a_broker_or_store_that_fails_is_tried_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.connect(METER)
    await world.messaging.set_config(METER, {}, HOST)
    world.air.down = True
    assert await step(world, 0) == 0
    world.air.down = False
    assert await step(world, 5) == 1

    async def fail(*_: object) -> None:
        raise Unavailable("no store")

    with monkeypatch.context() as broken:
        broken.setattr("ironroot.domains.messaging.tables.outstanding", fail)
        assert await step(world, 10) == 0
    assert await step(world, 10) == 1


async def test_many_devices_are_told_in_turns(world: World) -> None:
    from ironroot.core.ids import DeviceId

    devices = [DeviceId(f"d{i}") for i in range(150)]
    for device in devices:
        world.messaging._devices.known.add(device)  # type: ignore[attr-defined]
        await world.messaging.send_command(device, "ping", {}, HOST)
        world.connect(device)
    world.clock.advance(timedelta(seconds=2))
    assert [await world.courier.tick() for _ in range(4)] == [64, 64, 22, 0]


async def test_what_is_wanted_while_the_courier_reads_is_not_forgotten(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.connect(METER)
    outstanding = tables.outstanding

    async def slowly(*args: Any) -> Any:
        found = await outstanding(*args)
        monkeypatch.undo()
        await world.messaging.set_config(METER, {}, HOST)
        return found

    monkeypatch.setattr(tables, "outstanding", slowly)
    assert await step(world, 2) == 0
    assert await step(world, 0) == 1
