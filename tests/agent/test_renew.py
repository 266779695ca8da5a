from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from ironroot.agent.backoff import Backoff
from ironroot.agent.renew import (
    Attempts,
    Due,
    certificate_randomness,
    due,
    renewal_at,
    retry_delay,
)

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
LIVES = st.timedeltas(timedelta(minutes=5), timedelta(days=3650))
CHANCE = st.floats(0, 1, exclude_max=True)


@given(LIVES, CHANCE)
def test_renewal_is_at_two_thirds_of_the_life_give_or_take_a_tenth(life: timedelta, chance: float) -> None:
    share = (renewal_at(BEGIN, BEGIN + life, chance) - BEGIN) / life
    assert 2 / 3 - 0.1001 < share < 2 / 3 + 0.1001


def test_the_ends_of_the_jitter() -> None:
    end = BEGIN + timedelta(days=30)
    assert renewal_at(BEGIN, end, 0.5) == BEGIN + timedelta(days=20)
    assert renewal_at(BEGIN, end, 0) == BEGIN + timedelta(days=17)
    assert renewal_at(BEGIN, end, 1) == BEGIN + timedelta(days=23)


def test_a_fleet_enrolled_in_one_second_spreads_its_renewals() -> None:
    fingerprints = [hashlib.sha256(b"%d" % n).hexdigest() for n in range(1000)]
    times = [renewal_at(BEGIN, BEGIN + timedelta(days=10), certificate_randomness(f)) for f in fingerprints]
    assert max(times) - min(times) > timedelta(days=1.9)
    assert certificate_randomness(fingerprints[1]) == certificate_randomness(fingerprints[1])


@given(LIVES, CHANCE, st.floats(-0.5, 1.5))
def test_due_goes_from_not_yet_to_now_to_expired(life: timedelta, chance: float, share: float) -> None:
    now = BEGIN + life * share
    answer = due(now, BEGIN, BEGIN + life, chance)
    if answer is Due.EXPIRED:
        assert now >= BEGIN + life
    elif answer is Due.NOW:
        assert now >= BEGIN + life * 0.56
    else:
        assert now < BEGIN + life * 0.77


def test_a_clock_before_the_certificates_time_is_no_reason_to_renew() -> None:
    assert due(BEGIN - timedelta(days=400), BEGIN, BEGIN + timedelta(days=7), 0.0) is Due.NOT_YET


@given(st.integers(1, 10_000), st.timedeltas(timedelta(days=-10), timedelta(days=400)), CHANCE)
def test_retries_are_bounded_and_leave_tries_before_the_end(n: int, remaining: timedelta, chance: float) -> None:
    wait = retry_delay(n, remaining, chance)
    assert timedelta(seconds=5) <= wait <= timedelta(hours=6)
    if remaining > timedelta(minutes=1):
        assert wait <= remaining / 5


@given(st.floats(0, 1e9), CHANCE)
def test_retry_after_is_honoured_up_to_a_day(asked_s: float, chance: float) -> None:
    wait = retry_delay(1, timedelta(days=3), chance, asked_s).total_seconds()
    assert wait >= min(asked_s, 86_400)
    assert wait <= 86_400


def test_attempts_wait_longer_each_time() -> None:
    end = BEGIN + timedelta(days=7)
    attempts = Attempts()
    assert attempts.may_try(BEGIN)
    waits = []
    for _ in range(8):
        attempts = attempts.failed(BEGIN, end, 0.5)
        assert attempts.next_at is not None
        assert not attempts.may_try(attempts.next_at - timedelta(seconds=1))
        assert attempts.may_try(attempts.next_at)
        waits.append(attempts.next_at - BEGIN)
    assert waits == sorted(waits)
    assert waits[-1] > waits[0]


@given(st.integers(0, 10_000), CHANCE)
def test_back_off_is_never_faster_than_its_first_wait_nor_longer_than_its_longest(n: int, chance: float) -> None:
    assert 1.0 <= Backoff().delay_s(n, chance) <= 300.0


def test_a_hundred_devices_refused_together_do_not_return_together() -> None:
    waits = sorted(Backoff().delay_s(6, n / 100) for n in range(100))
    assert waits[-1] - waits[0] > 25
