from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ironroot.core.errors import Malformed
from ironroot.core.ids import CommandId
from ironroot.simulator.devices import Publication
from ironroot.simulator.world import Churn, World
from ironroot.wire.messages import (
    Command,
    CommandResult,
    ConfigResult,
    DesiredConfig,
    Hello,
    Outcome,
    parse_event,
    parse_sample,
)
from ironroot.wire.topics import Up, parse_up

MINUTE = timedelta(minutes=1)


def live(world: World, minutes: int) -> list[Publication]:
    return [said for _ in range(minutes) for said in world.step(MINUTE)]


def kinds(said: list[Publication]) -> Counter[Up]:
    return Counter(parse_up(topic).kind for topic, _ in said)


@settings(max_examples=20)
@given(st.integers(0, 2**32), st.booleans())
def test_the_same_seed_is_the_same_world(seed: int, churn: bool) -> None:
    def world() -> World:
        return World(seed, 8, churn=Churn(60, 20) if churn else None, wrong_clocks=0.3)

    assert live(world(), 3) == live(world(), 3)


def test_the_size_of_the_steps_does_not_matter() -> None:
    fine, coarse = World(1, 10), World(1, 10)
    assert [m for _ in range(60) for m in fine.step(timedelta(seconds=2))] == list(coarse.step(2 * MINUTE))


def test_every_device_says_hello_measures_every_interval_and_reports_every_minute() -> None:
    world = World(7, 20)
    said = live(world, 10)
    assert world.online == set(world.devices)
    assert kinds(said)[Up.EVENT] == 20
    assert all(isinstance(parse_event(p), Hello) for t, p in said if t.endswith("event"))
    assert 20 * 9 <= kinds(said)[Up.REPORT] <= 20 * 10
    uptimes = [t for t, _ in said if t == "d/meter-01/up/telemetry/uptime_s"]
    assert 118 <= len(uptimes) <= 121


def test_a_phase_of_its_own_for_each_device() -> None:
    world = World(7, 50)
    live(world, 1)
    per_second = Counter[int]()
    for second in range(5):
        for topic, _ in world.step(timedelta(seconds=1)):
            per_second[second] += topic.endswith("uptime_s")
    assert max(per_second.values()) < 25


def test_reports_have_growing_ids_even_with_a_wrong_clock() -> None:
    world = World(3, 20, wrong_clocks=1.0, churn=Churn(300, 30))
    ids: dict[str, list[int]] = {}
    for topic, payload in live(world, 30):
        if topic.endswith("/report"):
            ids.setdefault(topic, []).append(json.loads(payload)["header"]["report_id"])
    assert all(seen == sorted(set(seen)) for seen in ids.values())


def test_a_wrong_clock_shows_in_the_samples() -> None:
    world = World(3, 10, wrong_clocks=1.0)
    for topic, payload in live(world, 1):
        if "/telemetry/" in topic:
            at = parse_sample(payload).at
            assert at is not None
            assert abs(at - world.clock.now()) > timedelta(minutes=8)


def test_churn_takes_devices_away_for_the_share_of_time_it_says() -> None:
    world = World(11, 100, interval_s=60, churn=Churn(online_s=300, offline_s=100))
    live(world, 20)
    shares = []
    for _ in range(60):
        for _message in world.step(MINUTE):
            pass
        shares.append(len(world.online) / 100)
    assert 0.65 < sum(shares) / len(shares) < 0.85
    assert min(shares) < 1


def test_after_a_return_a_device_does_not_speak_twice_as_often() -> None:
    world = World(5, 1)
    live(world, 1)
    world.disconnect("meter-01", timedelta(seconds=1))
    said = live(world, 10)
    assert 118 <= sum(t.endswith("uptime_s") for t, _ in said) <= 121


def test_configuration_and_commands_change_what_a_device_does() -> None:
    world = World(5, 1)
    live(world, 1)
    (answer,) = world.deliver("d/meter-01/down/config", DesiredConfig(2, {"interval_s": 30}).encode())
    assert parse_event(answer[1]) == ConfigResult(2, Outcome.APPLIED)
    live(world, 1)
    assert 19 <= sum(t.endswith("uptime_s") for t, _ in live(world, 10)) <= 21
    (answer,) = world.deliver("d/meter-01/down/config", DesiredConfig(3, {"interval_s": "x"}).encode())
    refused = parse_event(answer[1])
    assert isinstance(refused, ConfigResult)
    assert refused.status is Outcome.FAILED


def order(world: World, name: str, **args: object) -> list[Publication]:
    command = Command(CommandId("cmd_1"), name, args, world.clock.now() + timedelta(hours=1))
    return world.deliver("d/meter-01/down/command", command.encode())


def test_a_reboot_takes_it_away_and_back_with_a_new_uptime() -> None:
    world = World(5, 1)
    live(world, 1)
    (answer,) = order(world, "reboot")
    result = parse_event(answer[1])
    assert isinstance(result, CommandResult)
    assert result.status is Outcome.DONE
    assert world.online == frozenset()
    assert order(world, "ping") == []
    said = live(world, 1)
    assert kinds(said)[Up.EVENT] == 1
    uptimes = [parse_sample(p).value for t, p in said if t.endswith("uptime_s")]
    assert isinstance(uptimes[-1], int)
    assert uptimes[-1] <= 60
    (again,) = order(world, "reboot")
    assert again == answer
    assert world.online == {"meter-01"}


@pytest.mark.parametrize(
    ("name", "args", "status"),
    [
        ("identify", {}, Outcome.DONE),
        ("ping", {}, Outcome.DONE),
        ("set-interval", {"interval_s": 2}, Outcome.DONE),
        ("set-interval", {}, Outcome.REFUSED),
        ("self-destruct", {}, Outcome.REFUSED),
    ],
)
def test_commands(name: str, args: dict[str, object], status: Outcome) -> None:
    world = World(5, 1)
    live(world, 1)
    (answer,) = order(world, name, **args)
    result = parse_event(answer[1])
    assert isinstance(result, CommandResult)
    assert result.status is status


def test_an_expired_command_is_refused() -> None:
    world = World(5, 1)
    live(world, 1)
    command = Command(CommandId("cmd_1"), "ping", {}, world.clock.now() - MINUTE)
    (answer,) = world.deliver("d/meter-01/down/command", command.encode())
    result = parse_event(answer[1])
    assert isinstance(result, CommandResult)
    assert result.status is Outcome.REFUSED


@given(st.binary(max_size=100))
def test_no_message_can_break_a_device(payload: bytes) -> None:
    world = World(5, 1)
    live(world, 1)
    assert world.deliver("d/meter-01/down/command", payload) == []
    assert world.deliver("d/meter-01/down/other", payload) == []
    with pytest.raises(Malformed):
        world.deliver("d/meter-01/up/event", payload)
