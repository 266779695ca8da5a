from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random  # noqa: TID251 (seeded measurements)

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironroot.simulator.devices import SimulatedDevice, fleet_ids
from ironroot.simulator.models import ROBOT_STEPS, Kind, RobotState, make_model
from ironroot.wire.messages import Value, parse_sample
from ironroot.wire.topics import MAX_TELEMETRY_NAMES, parse_up

START = datetime(2026, 1, 5, tzinfo=UTC)
RANGES: dict[str, tuple[float, float]] = {
    "power_w": (50, 8_000),
    "voltage_v": (210, 245),
    "frequency_hz": (49.8, 50.2),
    "energy_kwh": (0, 1e6),
    "fps": (1, 30),
    "bitrate_kbps": (500, 7_000),
    "temperature_c": (0, 70),
    "motion_events": (0, 1e6),
    "cycles": (0, 1e9),
    "joint1_temperature_c": (10, 90),
    "joint2_temperature_c": (10, 90),
    "joint3_temperature_c": (10, 90),
    "vibration_mm_s": (0, 10),
    "connected_nodes": (0, 60),
    "rssi_dbm": (-120, -20),
    "queue_depth": (0, 10_000),
    "forwarded": (0, 1e9),
    "uptime_s": (0, 1e8),
}
COUNTERS = {"energy_kwh", "motion_events", "cycles", "forwarded", "uptime_s"}
TEXTS = {"state"}
FLAGS = {"motion"}


def check(readings: dict[str, Value]) -> None:
    for name, value in readings.items():
        if name in TEXTS:
            assert value in {s.value for s in RobotState}
        elif name in FLAGS:
            assert isinstance(value, bool)
        else:
            low, high = RANGES[name]
            assert isinstance(value, int | float)
            assert low <= value <= high, name


@given(st.sampled_from(Kind), st.integers(), st.lists(st.floats(0.5, 7200), min_size=1, max_size=60))
def test_readings_stay_in_range_and_counters_only_grow(kind: Kind, seed: int, spans: list[float]) -> None:
    model, at = make_model(kind, Random(seed)), START  # noqa: S311 (seeded)
    before: dict[str, Value] = {}
    for span in spans:
        at += timedelta(seconds=span)
        model.advance(at, span)
        now = model.readings()
        check(now)
        for name in COUNTERS & now.keys() & before.keys():
            assert now[name] >= before[name]  # type: ignore[operator]
        before = now


@given(st.sampled_from(Kind), st.integers())
def test_the_same_seed_is_the_same_machine(kind: Kind, seed: int) -> None:
    def life() -> list[dict[str, Value]]:
        model, seen = make_model(kind, Random(seed)), []  # noqa: S311 (seeded)
        for n in range(1, 20):
            model.advance(START + timedelta(seconds=30 * n), 30)
            seen.append(model.readings())
        return seen

    assert life() == life()


def test_a_meter_knows_the_hour() -> None:
    def mean_w(hour: int) -> float:
        total = 0.0
        for seed in range(30):
            model = make_model(Kind.METER, Random(seed))  # noqa: S311 (seeded)
            for n in range(20):
                model.advance(START + timedelta(hours=hour, seconds=30 * n), 30)
            total += float(model.readings()["power_w"])
        return total / 30

    assert mean_w(19) > 2 * mean_w(3)


def test_energy_is_power_over_time() -> None:
    model, total = make_model(Kind.METER, Random(1)), 0.0  # noqa: S311 (seeded)
    model.advance(START, 1)
    first = float(model.readings()["energy_kwh"])
    for n in range(1, 721):
        model.advance(START + timedelta(seconds=5 * n), 5)
        total += float(model.readings()["power_w"]) * 5 / 3_600_000
    assert abs(float(model.readings()["energy_kwh"]) - first - total) < 0.01


def test_a_robots_steps_are_probabilities_and_reach_every_state() -> None:
    assert set(ROBOT_STEPS) == set(RobotState)
    for following in ROBOT_STEPS.values():
        assert sum(p for _, p in following) == pytest.approx(1)
    model, seen = make_model(Kind.ROBOT, Random(3)), set()  # noqa: S311 (seeded)
    for n in range(5000):
        model.advance(START + timedelta(seconds=10 * n), 10)
        seen.add(model.readings()["state"])
    assert seen == {s.value for s in RobotState}


def test_the_mix_and_the_names() -> None:
    ids = fleet_ids(1000)
    kinds = [kind for _, kind in ids]
    assert [kinds.count(k) for k in (Kind.METER, Kind.CAMERA, Kind.ROBOT, Kind.GATEWAY)] == [400, 300, 150, 150]
    assert len({device for device, _ in ids}) == 1000
    assert ids[:25] == fleet_ids(25)
    assert ("meter-01", Kind.METER) in ids
    assert ("meter-400", Kind.METER) in ids
    assert {k for _, k in fleet_ids(8)} == set(Kind)


@pytest.mark.parametrize("kind", Kind)
def test_what_they_say_is_what_the_platform_reads(kind: Kind) -> None:
    device = SimulatedDevice(fleet_ids(20)[0][0], kind, 1, START)
    said = device.telemetry(START + timedelta(seconds=5))
    assert 4 < len(said) < MAX_TELEMETRY_NAMES
    for topic, payload in said:
        assert parse_up(topic).device == device.id
        assert parse_sample(payload).at == START + timedelta(seconds=5)
