from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ironroot.domains.messaging.delivery import FIRST_S, LONGEST_S, wait_s


def test_the_first_repeats() -> None:
    assert [wait_s(n) for n in range(1, 6)] == [5, 10, 20, 40, 80]


@given(st.integers(1, 10_000))
def test_pauses_grow_and_are_bounded(sends: int) -> None:
    assert FIRST_S <= wait_s(sends) <= wait_s(sends + 1) <= LONGEST_S


@given(st.integers(max_value=0))
def test_what_was_never_said_is_said_now(sends: int) -> None:
    assert wait_s(sends) == 0
