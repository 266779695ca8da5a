"""Desired configurations and commands, from setting to answer."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ironroot.core.errors import Malformed, NotFound, TooLarge, TooMany
from ironroot.core.ids import DeviceId
from ironroot.domains.messaging.model import CommandState, ConfigStatus
from ironroot.domains.messaging.service import MOST_PENDING
from ironroot.store.engine import Store
from tests.domains.messaging.world import CAMERA, HOST, METER, World

DEVICE = "device/meter-1"


@pytest.fixture
def world(store: Store) -> World:
    return World(store)


@pytest.fixture
def quick(sqlite_store: Store) -> World:
    return World(sqlite_store)


async def test_a_configuration_is_versioned_said_and_applied(world: World) -> None:
    world.connect(METER)
    first = await world.messaging.set_config(METER, {"interval": 5}, HOST)
    second = await world.messaging.set_config(METER, {"interval": 9, "rate": 0.5}, HOST)
    assert (first.version, second.version, second.status) == (1, 2, ConfigStatus.PENDING)
    await world.courier.tick()
    assert world.air.said == [(METER, "config", {"version": 2, "config": {"interval": 9, "rate": 0.5}})]
    await world.event(METER, type="config", version=2, status="applied")
    found = await world.messaging.config(METER)
    assert found is not None
    assert (found.applied_version, found.status, found.config) == (
        2,
        ConfigStatus.APPLIED,
        {"interval": 9, "rate": 0.5},
    )
    assert [k for k, _, _ in world.witness.seen()] == ["config.desired", "config.desired", "config.applied"]
    assert world.witness.seen()[-1] == ("config.applied", DEVICE, DEVICE)


async def test_a_failed_configuration_says_why_and_can_still_be_applied(world: World) -> None:
    await world.messaging.set_config(METER, {"interval": 5}, HOST)
    await world.event(METER, type="config", version=1, status="failed", detail="no such sensor")
    found = await world.messaging.config(METER)
    assert found is not None
    assert (found.status, found.detail) == (ConfigStatus.FAILED, "no such sensor")
    await world.event(METER, type="config", version=1, status="applied")
    found = await world.messaging.config(METER)
    assert found is not None
    assert found.status is ConfigStatus.APPLIED


async def test_answers_nobody_awaits_make_no_facts(quick: World) -> None:
    await quick.messaging.set_config(METER, {}, HOST)
    await quick.event(METER, type="config", version=1, status="applied")
    before = len(quick.witness.facts)
    for version, status in ((1, "applied"), (1, "failed"), (7, "applied"), (0, "applied"), (-1, "failed")):
        await quick.event(METER, type="config", version=version, status=status)
    await quick.event(CAMERA, type="config", version=1, status="applied")
    assert len(quick.witness.facts) == before


async def test_a_command_is_said_until_it_is_done(world: World) -> None:
    world.connect(METER)
    command = await world.messaging.send_command(METER, "reboot", {"delay_s": 3}, HOST)
    await world.courier.tick()
    await world.courier.tick()
    assert [(t, m["id"], m["args"]) for _, t, m in world.air.said] == [("command", command.id, {"delay_s": 3})]
    await world.event(METER, type="command", id=command.id, status="done", result={"uptime": 12.5})
    (found,) = await world.messaging.commands(METER)
    assert (found.state, found.result, found.name) == (CommandState.DONE, {"uptime": 12.5}, "reboot")
    world.clock.advance(timedelta(minutes=1))
    assert await world.courier.tick() == 0
    assert [k for k, _, _ in world.witness.seen()] == ["command.sent", "command.done"]


@pytest.mark.parametrize("status", ["failed", "refused"])
async def test_a_command_may_end_badly(quick: World, status: str) -> None:
    command = await quick.messaging.send_command(METER, "reboot", {}, HOST)
    await quick.event(METER, type="command", id=command.id, status=status, result={"why": "locked"})
    await quick.event(METER, type="command", id=command.id, status="done")
    (found,) = await quick.messaging.commands(METER)
    assert (found.state, found.result) == (CommandState(status), {"why": "locked"})
    assert [k for k, _, _ in quick.witness.seen()] == ["command.sent", f"command.{status}"]


async def test_another_device_cannot_answer_a_command(quick: World) -> None:
    command = await quick.messaging.send_command(METER, "reboot", {}, HOST)
    await quick.event(CAMERA, type="command", id=command.id, status="done")
    (found,) = await quick.messaging.commands(METER)
    assert found.state is CommandState.PENDING


async def test_a_command_nobody_answers_expires(world: World) -> None:
    world.connect(METER)
    command = await world.messaging.send_command(METER, "reboot", {}, HOST, timedelta(seconds=30))
    assert await world.messaging.expire() == 0
    world.clock.advance(timedelta(seconds=30))
    assert await world.courier.tick() == 0
    assert await world.messaging.expire() == 1
    assert await world.messaging.expire() == 0
    await world.event(METER, type="command", id=command.id, status="done")
    (found,) = await world.messaging.commands(METER)
    assert found.state is CommandState.EXPIRED
    assert world.witness.seen()[-1] == ("command.expired", DEVICE, "platform")


async def test_the_queue_of_a_device_is_bounded(quick: World) -> None:
    for _ in range(MOST_PENDING):
        await quick.messaging.send_command(METER, "reboot", {}, HOST)
    with pytest.raises(TooMany):
        await quick.messaging.send_command(METER, "reboot", {}, HOST)
    await quick.messaging.send_command(CAMERA, "reboot", {}, HOST)


async def test_pages_of_commands_skip_and_repeat_nothing(world: World) -> None:
    sent = []
    for number in range(7):
        sent.append((await world.messaging.send_command(METER, f"c{number}", {}, HOST)).name)
        if number % 3:
            world.clock.advance(timedelta(seconds=1))
    found: list[str] = []
    before = None
    while page := await world.messaging.commands(METER, before, 2):
        found += [c.name for c in page]
        before = (page[-1].created_at, page[-1].id)
    assert sorted(found) == sent
    assert len(found) == len(set(found))


async def test_an_unknown_device_gets_nothing(quick: World) -> None:
    for call in (
        quick.messaging.set_config(DeviceId("ghost"), {}, HOST),
        quick.messaging.send_command(DeviceId("ghost"), "reboot", {}, HOST),
        quick.messaging.commands(DeviceId("ghost")),
    ):
        with pytest.raises(NotFound):
            await call


async def test_what_does_not_fit_or_is_no_json_is_refused(quick: World) -> None:
    with pytest.raises(TooLarge):
        await quick.messaging.set_config(METER, {"x": "y" * 70_000}, HOST)
    with pytest.raises(Malformed):
        await quick.messaging.set_config(METER, {"x": float("nan")}, HOST)
    with pytest.raises(Malformed):
        await quick.messaging.set_config(METER, {"x": "\ud800"}, HOST)
    with pytest.raises(Malformed):
        await quick.messaging.send_command(METER, "Reboot Now!", {}, HOST)
    with pytest.raises(Malformed):
        await quick.messaging.send_command(METER, "reboot", {}, HOST, timedelta(days=31))
    assert quick.witness.facts == []
    assert await quick.messaging.config(METER) is None


@pytest.mark.parametrize(
    "payload",
    [b"", b"null", b"[]", b"\xff", b'{"type":"hello"}', b'{"type":"config","version":1,"status":"done"}', b"9" * 5000],
)
async def test_rubbish_from_a_device_changes_nothing(quick: World, payload: bytes) -> None:
    await quick.messaging.set_config(METER, {}, HOST)
    await quick.messaging.on_event(METER, payload)
    assert len(quick.witness.facts) == 1


async def test_a_result_too_large_is_not_stored(quick: World) -> None:
    command = await quick.messaging.send_command(METER, "dump", {}, HOST)
    await quick.event(METER, type="command", id=command.id, status="done", result={"x": "y" * 20_000})
    (found,) = await quick.messaging.commands(METER)
    assert found.state is CommandState.PENDING
