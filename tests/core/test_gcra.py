from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ironroot.core.gcra import Budget, Gcra

BUDGET = Budget(burst=10, period_s=60)


def test_a_burst_then_the_rate() -> None:
    limiter = Gcra(BUDGET)
    assert [limiter.take("a", 0.0) for _ in range(10)] == [0.0] * 10
    wait = limiter.take("a", 0.0)
    assert wait == BUDGET.interval_s
    assert limiter.take("a", wait - 0.01) > 0
    assert limiter.peek("a", wait) == 0
    assert limiter.take("a", wait) == 0


def test_keys_do_not_share() -> None:
    limiter = Gcra(BUDGET)
    for _ in range(11):
        limiter.take("a", 0.0)
    assert limiter.take("b", 0.0) == 0


@given(st.lists(st.floats(0, 5), min_size=1, max_size=200))
def test_no_pattern_of_requests_gets_more_than_burst_and_rate(gaps: list[float]) -> None:
    limiter, now, passed = Gcra(BUDGET), 0.0, 0
    for gap in gaps:
        now += gap
        passed += limiter.take("a", now) == 0
    assert passed <= BUDGET.burst + now / BUDGET.interval_s + 1


def test_memory_is_bounded_when_an_attacker_invents_keys() -> None:
    limiter = Gcra(BUDGET, capacity=100)
    for i in range(1_000):
        limiter.take(str(i), 0.0)
    assert len(limiter) == 100
