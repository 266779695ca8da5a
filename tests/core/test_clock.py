from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironroot.core.clock import duration, instant, rfc3339
from ironroot.core.errors import Malformed

instants = st.datetimes(datetime(1000, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001 (hypothesis adds the zone)


@given(instants, instants)
def test_text_of_instants_reads_back_and_sorts(a: datetime, b: datetime) -> None:
    assert instant(rfc3339(a)) == a
    assert (rfc3339(a) < rfc3339(b)) == (a < b)


def test_other_zones_become_utc() -> None:
    there = datetime(2026, 1, 31, 13, tzinfo=timezone(timedelta(hours=1)))
    assert rfc3339(there) == "2026-01-31T12:00:00.000000Z"
    assert instant("2026-01-31T13:00:00+01:00") == there


@pytest.mark.parametrize("text", ["", "now", "2026-01-31T12:00:00", "2026-13-01T00:00:00Z", "12"])
def test_not_an_instant(text: str) -> None:
    with pytest.raises(Malformed) as e:
        instant(text)
    assert e.value.remedy


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("15m", 900), ("12h", 43_200), ("30d", 2_592_000), ("2w", 1_209_600)]
)
def test_durations_as_people_write_them(text: str, seconds: int) -> None:
    assert duration(text).total_seconds() == seconds


@pytest.mark.parametrize("text", ["", "0s", "-1s", "1", "s", "1.5h", "1y", " 1s", "9999999999s", "999999999w", "1s\n"])
def test_not_a_duration(text: str) -> None:
    with pytest.raises(Malformed):
        duration(text)
