from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ironroot.core.errors import Refused
from ironroot.core.ids import DeviceId
from ironroot.domains.messaging.fold import AHEAD, Fold, believed, parsed
from ironroot.wire.messages import parse_sample
from ironroot.wire.topics import MAX_TELEMETRY_NAMES, Up, UpTopic, parse_up

NOW = datetime(2026, 1, 1, 12, 0, 30, tzinfo=UTC)
DEVICE = DeviceId("meter-1")


def telemetry(name: str = "power") -> UpTopic:
    return UpTopic(DEVICE, Up.TELEMETRY, name)


def test_many_messages_become_one_row_each() -> None:
    fold = Fold()
    for value in range(100):
        fold.add(DEVICE, telemetry(), str(value).encode(), NOW, set())
    assert fold.latest == {(DEVICE, "power"): (99, NOW)}
    (rollup,) = fold.rollups.values()
    assert (rollup.count, rollup.min, rollup.max, rollup.sum, rollup.last) == (100, 0, 99, 4950, 99)
    assert len(fold.seen) == 1
    assert fold.minutes == {int(NOW.timestamp() // 60): [100, 190]}


@pytest.mark.parametrize("payload", [b'"on"', b"true", b"running", b'{"value": false}'])
def test_only_numbers_are_charted(payload: bytes) -> None:
    fold = Fold()
    fold.add(DEVICE, telemetry(), payload, NOW, set())
    assert len(fold.latest) == 1
    assert fold.rollups == {}


def test_values_too_large_to_add_up_are_not_charted() -> None:
    fold = Fold()
    fold.add(DEVICE, telemetry(), b"1e300", NOW, set())
    assert fold.rollups == {}
    assert fold.latest[DEVICE, "power"][0] == 1e300


def test_a_device_has_at_most_so_many_names() -> None:
    fold, names = Fold(), set[str]()
    for number in range(MAX_TELEMETRY_NAMES + 10):
        fold.add(DEVICE, telemetry(f"n{number}"), b"1", NOW, names)
    assert len(names) == len(fold.latest) == MAX_TELEMETRY_NAMES
    assert fold.rejected == {(DEVICE, "names"): 10}


def test_a_value_from_the_offline_buffer_gets_its_own_time_and_does_not_replace_a_newer_one() -> None:
    fold = Fold()
    fold.add(DEVICE, telemetry(), b"2", NOW, set())
    old = NOW - timedelta(hours=1)
    fold.add(DEVICE, telemetry(), json.dumps({"value": 1, "at": old.isoformat()}).encode(), NOW, {"power"})
    assert fold.latest == {(DEVICE, "power"): (2, NOW)}
    assert {b for _, _, b in fold.rollups} == {int(NOW.timestamp() // 300) * 300, int(old.timestamp() // 300) * 300}


def test_a_time_nobody_can_believe_is_ours_instead() -> None:
    history = timedelta(days=2)
    assert believed(None, NOW, history) == NOW
    assert believed(NOW + AHEAD * 2, NOW, history) == NOW
    assert believed(NOW - timedelta(days=3), NOW, history) == NOW
    assert believed(NOW - timedelta(days=1), NOW, history) == NOW - timedelta(days=1)


def test_a_report_of_numbers_json_has_not_is_refused() -> None:
    fold = Fold()
    fold.add(DEVICE, UpTopic(DEVICE, Up.REPORT), b'{"a": NaN}', NOW, set())
    assert fold.rejected == {(DEVICE, "payload"): 1}
    assert fold.reports == {}


def test_it_says_when_it_is_full() -> None:
    fold = Fold(most_report_bytes=100)
    fold.add(DEVICE, UpTopic(DEVICE, Up.REPORT), json.dumps({"a": "x" * 200}).encode(), NOW, set())
    assert fold.full()


@given(
    st.lists(
        st.tuples(
            st.sampled_from([None, "d/meter-1/up/report", "d/meter-1/up/event", "d/meter-1/up/telemetry/a"]),
            st.one_of(
                st.binary(max_size=60),
                st.recursive(
                    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
                    lambda x: st.lists(x, max_size=3) | st.dictionaries(st.sampled_from(["value", "at", "x"]), x),
                    max_leaves=5,
                ).map(lambda v: json.dumps(v).encode()),
                st.dates().map(lambda d: b'{"value":1,"at":"%sT00:00:00+23:59"}' % str(d).encode()),
            ),
        ),
        max_size=20,
    )
)
def test_no_message_stops_the_fold(messages: list[tuple[str | None, bytes]]) -> None:
    fold, names = Fold(), set[str]()
    for topic, payload in messages:
        fold.add(DEVICE, None if topic is None else parse_up(topic), payload, NOW, names)
    assert fold.messages == sum(m.messages for m in fold.seen.values()) == len(messages)
    assert sum(fold.per_second.values()) == len(messages)
    json.dumps([value for value, _ in fold.latest.values()], allow_nan=False)


_SCALARS = st.one_of(
    st.sampled_from(["1", "-0", "-0.0", "1.0", "1e400", "1E5", "0.1", "01", "1.", "NaN", "-Infinity", "null", "true"]),
    st.sampled_from(
        ['"x"', '"2026-01-01T12:00:00Z"', '"2026-01-01T12:00:00.1234567+01:00"', '"2026-01-01"', '"\\ud800"']
    ),
    st.integers(-(2**70), 2**70).map(str),
    st.sampled_from([2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**64 - 1, 2**64]).map(str),
    st.floats().map(json.dumps),
)
_FIELDS = st.tuples(st.sampled_from(["value", "at", "x", "Value"]), _SCALARS).map(lambda f: f'"{f[0]}": {f[1]}')


@settings(deadline=None)
@given(
    st.one_of(
        _SCALARS.map(str.encode),
        st.lists(_FIELDS, max_size=3).map(lambda f: ("{" + ", ".join(f) + "}").encode()),
        st.tuples(st.sampled_from([b" ", b"\n", b"\xef\xbb\xbf", b"[", b"\x00"]), _SCALARS.map(str.encode)).map(
            b"".join
        ),
        st.binary(max_size=20),
    )
)
def test_the_quick_way_to_read_a_number_says_what_the_wire_says(payload: bytes) -> None:
    def told(parse: Callable[[bytes], tuple[object, ...]]) -> object:
        try:
            value, at = parse(payload)
        except (Refused, ValueError, OverflowError) as e:
            return type(e)
        return repr(value), at

    def by_the_wire(given: bytes) -> tuple[object, ...]:
        sample = parse_sample(given)
        return sample.value, sample.at

    assert told(parsed) == told(by_the_wire)
