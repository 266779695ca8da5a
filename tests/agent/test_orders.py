from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironroot.agent.host import HostApplication, Rhythm, rhythm
from ironroot.agent.orders import MAX_REMEMBERED, Orders
from ironroot.core.errors import Unprocessable
from ironroot.core.ids import CommandId, DeviceId
from ironroot.wire.messages import Command, CommandResult, ConfigResult, DesiredConfig, Outcome
from tests.support.clock import ManualClock

COMMAND = "d/meter-1/down/command"
CONFIG = "d/meter-1/down/config"


class Device:
    def __init__(self) -> None:
        self.done: list[str] = []
        self.config: Mapping[str, Any] = {}

    def configure(self, config: Mapping[str, Any]) -> None:
        if "bad" in config:
            raise Unprocessable("no such key", remedy="leave it out")
        if "bug" in config:
            raise ZeroDivisionError
        self.config = config

    def command(self, name: str, args: Mapping[str, Any]) -> Mapping[str, Any]:
        self.done.append(name)
        match name:
            case "refuse":
                raise Unprocessable("not now")
            case "crash":
                raise ZeroDivisionError
            case "power-cut":
                raise KeyboardInterrupt
            case "huge":
                return {"x": "y" * 100_000}
            case _:
                return dict(args)


@pytest.fixture
def device() -> Device:
    return Device()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def orders(tmp_path: Path, device: Device, clock: ManualClock) -> Orders:
    return Orders(DeviceId("meter-1"), tmp_path, device, clock, durable=False)


def command(clock: ManualClock, id_: str = "cmd_1", name: str = "go", lifetime_s: float = 60, **args: Any) -> bytes:
    return Command(CommandId(id_), name, args, clock.now() + timedelta(seconds=lifetime_s)).encode()


def test_a_command_is_done_once_and_its_answer_given_again_even_after_a_restart(
    tmp_path: Path, device: Device, clock: ManualClock
) -> None:
    payload = command(clock, n=1)
    first = orders(tmp_path, device, clock).handle(COMMAND, payload)
    again = orders(tmp_path, device, clock).handle(COMMAND, payload)
    assert first == again == CommandResult(CommandId("cmd_1"), Outcome.DONE, {"n": 1})
    assert device.done == ["go"]


def test_a_command_that_killed_the_device_is_not_run_again(tmp_path: Path, device: Device, clock: ManualClock) -> None:
    payload = command(clock, name="power-cut")
    with pytest.raises(KeyboardInterrupt):
        orders(tmp_path, device, clock).handle(COMMAND, payload)
    answer = orders(tmp_path, device, clock).handle(COMMAND, payload)
    assert answer == CommandResult(CommandId("cmd_1"), Outcome.FAILED, {"reason": "interrupted"})
    assert device.done == ["power-cut"]


def test_a_replayed_command_past_its_time_is_refused(tmp_path: Path, device: Device, clock: ManualClock) -> None:
    payload = command(clock)
    clock.advance(timedelta(minutes=2))
    answer = orders(tmp_path, device, clock).handle(COMMAND, payload)
    assert answer == CommandResult(CommandId("cmd_1"), Outcome.REFUSED, {"reason": "expired"})
    assert device.done == []


@pytest.mark.parametrize(
    ("name", "status"),
    [("refuse", Outcome.REFUSED), ("crash", Outcome.FAILED), ("huge", Outcome.DONE)],
)
def test_what_the_device_says_is_answered(
    tmp_path: Path, device: Device, clock: ManualClock, name: str, status: Outcome
) -> None:
    answer = orders(tmp_path, device, clock).handle(COMMAND, command(clock, name=name))
    assert isinstance(answer, CommandResult)
    assert answer.status is status
    assert len(str(answer.result)) < 5000


def test_the_record_of_commands_is_bounded(tmp_path: Path, device: Device, clock: ManualClock) -> None:
    handler = orders(tmp_path, device, clock)
    for n in range(MAX_REMEMBERED + 10):
        handler.handle(COMMAND, command(clock, f"cmd_{n}"))
    assert len(orders(tmp_path, device, clock)._answers) == MAX_REMEMBERED


def test_configuration_versions_count_up(tmp_path: Path, device: Device, clock: ManualClock) -> None:
    handler = orders(tmp_path, device, clock)
    assert handler.handle(CONFIG, DesiredConfig(2, {"a": 1}).encode()) == ConfigResult(2, Outcome.APPLIED)
    assert handler.handle(CONFIG, DesiredConfig(2, {"a": 1}).encode()) == ConfigResult(2, Outcome.APPLIED)
    older = handler.handle(CONFIG, DesiredConfig(1, {"a": 0}).encode())
    assert isinstance(older, ConfigResult)
    assert older.status is Outcome.FAILED
    assert device.config == {"a": 1}


@pytest.mark.parametrize("key", ["bad", "bug"])
def test_a_configuration_that_fails_leaves_the_old_one_in_force(
    tmp_path: Path, device: Device, clock: ManualClock, key: str
) -> None:
    handler = orders(tmp_path, device, clock)
    handler.handle(CONFIG, DesiredConfig(1, {"a": 1}).encode())
    answer = handler.handle(CONFIG, DesiredConfig(2, {key: 1}).encode())
    assert isinstance(answer, ConfigResult)
    assert answer.status is Outcome.FAILED
    fresh = Device()
    again = orders(tmp_path, fresh, clock)
    again.restore()
    assert fresh.config == {"a": 1}
    assert again.config_version == 1


@given(st.binary(max_size=200), st.sampled_from([COMMAND, CONFIG, "d/meter-1/down/x", "d/other/down/command"]))
def test_no_message_can_stop_the_device(tmp_path_factory: pytest.TempPathFactory, payload: bytes, topic: str) -> None:
    handler = orders(tmp_path_factory.getbasetemp(), Device(), ManualClock())
    assert handler.handle(topic, payload) is None


def test_orders_of_another_device_are_not_ours(tmp_path: Path, device: Device, clock: ManualClock) -> None:
    assert orders(tmp_path, device, clock).handle("d/meter-2/down/command", command(clock)) is None
    assert device.done == []


def test_with_a_full_disk_no_command_is_run_and_the_device_goes_on(
    tmp_path: Path, device: Device, clock: ManualClock
) -> None:
    handler = orders(tmp_path / "gone", device, clock)  # no such directory: nothing can be written
    answer = handler.handle(COMMAND, command(clock))
    assert isinstance(answer, CommandResult)
    assert answer.status is Outcome.FAILED
    assert "cannot write" in answer.result["reason"]
    assert device.done == []
    assert handler.handle(CONFIG, DesiredConfig(1, {"a": 1}).encode()) == ConfigResult(1, Outcome.APPLIED)


@pytest.mark.parametrize("name", ["commands.json", "config.json"])
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"answers":[{}]}', b'{"answers":7,"version":"x"}'])
def test_damaged_files_do_not_stop_the_device(
    tmp_path: Path, device: Device, clock: ManualClock, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    handler = orders(tmp_path, device, clock)
    handler.restore()
    assert handler.handle(COMMAND, command(clock)) is not None


def test_the_hosts_own_commands_and_keys() -> None:
    done: list[str] = []
    host = HostApplication(Rhythm(), report=lambda: done.append("report"), renew=lambda: done.append("renew"))
    assert host.command("ping", {})["capability"] == 1
    host.command("identify", {})
    host.command("report", {})
    host.command("renew", {})
    assert done == ["report", "renew"]
    for name, args in (("rm", {}), ("report", {"x": 1})):
        with pytest.raises(Unprocessable):
            host.command(name, args)
    host.configure({"telemetry_interval_s": 5})
    assert host.rhythm == Rhythm(5, 300)


@pytest.mark.parametrize(
    "config",
    [{"x": 1}, {"telemetry_interval_s": 0}, {"telemetry_interval_s": True}, {"report_interval_s": "60"},
     {"report_interval_s": float("nan")}],
)  # fmt: skip
def test_keys_and_values_it_does_not_know_are_refused(config: dict[str, Any]) -> None:
    with pytest.raises(Unprocessable):
        rhythm(config, Rhythm())
