from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ironroot.core.ids import DeviceId
from ironroot.domains.messaging.budget import FloodLimit, FloodMeter

A, B = DeviceId("a"), DeviceId("b")


def test_the_burst_and_the_sustained_rate_are_free() -> None:
    meter = FloodMeter(FloodLimit(50, 500))
    assert meter.add({(A, 0): 500}) == {}
    assert all(meter.add({(A, second): 50}) == {} for second in range(1, 200))


def test_more_than_the_burst_is_a_flood_with_its_size() -> None:
    assert FloodMeter(FloodLimit(50, 500)).add({(A, 0): 700, (B, 0): 500}) == {A: 200}


def test_more_than_the_rate_for_long_is_a_flood() -> None:
    meter = FloodMeter(FloodLimit(50, 500))
    assert any(meter.add({(A, second): 100}) for second in range(12))


def test_a_backlog_in_message_time_is_no_flood() -> None:
    """The platform was down for an hour and reads all of it at once."""
    assert FloodMeter(FloodLimit(50, 500)).add({(A, second): 40 for second in range(3600)}) == {}


def test_a_flood_is_reported_once_a_minute() -> None:
    meter = FloodMeter(FloodLimit(50, 500, denied_s=60))
    reports = [second for second in range(130) if meter.add({(A, second): 5000})]
    assert reports == [0, 60, 120]


@given(st.lists(st.tuples(st.integers(0, 3600), st.integers(1, 50)), max_size=50, unique_by=lambda x: x[0]))
def test_who_keeps_to_the_rate_is_never_reported(traffic: list[tuple[int, int]]) -> None:
    meter = FloodMeter(FloodLimit(50, 50))
    assert all(not meter.add({(A, second): count}) for second, count in sorted(traffic))


def test_memory_is_bounded() -> None:
    meter = FloodMeter(FloodLimit(50, 500), capacity=10)
    meter.add({(DeviceId(f"d{i}"), 0): 5000 for i in range(100)})
    assert len(meter._full_at) == len(meter._reported) == 10
