"""Folds the messages of one flush into what is written: one row per device and name, not one per message. Pure.

What a message is worth is decided here (topic, value, time, number of names), and a refused one is counted by reason
rather than raised: one device's rubbish must not hold up the others. Bounded: `full` says when to flush early.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from json import dumps
from typing import Literal

import msgspec

from ironroot.core.clock import instant
from ironroot.core.errors import Refused
from ironroot.core.ids import DeviceId
from ironroot.wire.messages import Value, parse_report, parse_sample
from ironroot.wire.topics import MAX_PAYLOAD_BYTES, MAX_TELEMETRY_NAMES, Up, UpTopic

BUCKET_S = 300
MINUTE_S = 60
AHEAD = timedelta(minutes=5)
"""How far a device's clock may be ahead of ours before its time is not believed."""
LARGEST = 1e100
"""Numbers beyond this are kept as the latest value only: their sums would leave the range of a double."""

Reason = Literal["topic", "payload", "names", "duplicate"]


@dataclass(slots=True)
class Minute:
    """What a device said in one minute."""

    last_seen: datetime
    messages: int = 0
    bytes: int = 0


@dataclass(slots=True)
class Rollup:
    """What one numeric name did in one bucket."""

    count: int
    min: float
    max: float
    sum: float
    last: float
    last_at: datetime

    def add(self, value: float, at: datetime) -> None:
        """Take one more value."""
        self.count += 1
        self.min = min(self.min, value)
        self.max = max(self.max, value)
        self.sum += value
        if at >= self.last_at:
            self.last, self.last_at = value, at


@dataclass(slots=True)
class Fold:
    """The gathered effect of messages since the last flush. `history`: how far back a device's own time is believed."""

    history: timedelta = timedelta(days=2)
    most_entries: int = 50_000
    most_report_bytes: int = 16 << 20
    seen: dict[tuple[DeviceId, int], Minute] = field(default_factory=dict)
    latest: dict[tuple[DeviceId, str], tuple[Value, datetime]] = field(default_factory=dict)
    rollups: dict[tuple[DeviceId, str, int], Rollup] = field(default_factory=dict)
    reports: dict[DeviceId, tuple[datetime, str]] = field(default_factory=dict)
    minutes: dict[int, list[int]] = field(default_factory=dict)
    rejected: Counter[tuple[DeviceId, Reason]] = field(default_factory=Counter)
    per_second: Counter[tuple[DeviceId, int]] = field(default_factory=Counter)
    messages: int = 0
    report_bytes: int = 0

    def full(self) -> bool:
        """Whether it is time to write, whatever the clock says."""
        return (
            len(self.latest) + len(self.rollups) + len(self.seen) > self.most_entries
            or self.report_bytes > self.most_report_bytes
        )

    def add(self, device: DeviceId, topic: UpTopic | None, payload: bytes, at: datetime, names: set[str]) -> None:
        """Take one message from `device`, received at `at`. `topic` None: it said something on no topic of ours.

        `names`: the telemetry names the device has so far; a new one is added to it while there is room.
        """
        self.messages += 1
        stamp = at.timestamp()
        minute = int(stamp // MINUTE_S)
        self._count(device, minute, int(stamp), len(payload), at)
        if topic is None:
            self.rejected[device, "topic"] += 1
            return
        try:
            match topic.kind:
                case Up.TELEMETRY:
                    self._sample(device, topic.name or "", payload, at, names)
                case Up.REPORT:
                    self._report(device, payload, at)
                case _:
                    pass
        except (Refused, ValueError, ArithmeticError):
            self.rejected[device, "payload"] += 1

    def _count(self, device: DeviceId, minute: int, second: int, size: int, at: datetime) -> None:
        found = self.seen.get((device, minute))
        if found is None:
            found = self.seen[device, minute] = Minute(at)
        found.messages += 1
        found.bytes += size
        found.last_seen = max(found.last_seen, at)
        total = self.minutes.setdefault(minute, [0, 0])
        total[0] += 1
        total[1] += size
        self.per_second[device, second] += 1

    def _sample(self, device: DeviceId, name: str, payload: bytes, received: datetime, names: set[str]) -> None:
        value, claimed = parsed(payload)
        if name not in names:
            if len(names) >= MAX_TELEMETRY_NAMES:
                self.rejected[device, "names"] += 1
                return
            names.add(name)
        at = received if claimed is None else believed(claimed, received, self.history)
        known = self.latest.get((device, name))
        if known is None or at >= known[1]:
            self.latest[device, name] = (value, at)
        if isinstance(value, bool | str):
            return
        measured = float(value)
        if abs(measured) > LARGEST:
            return
        key = (device, name, int(at.timestamp() // BUCKET_S) * BUCKET_S)
        rollup = self.rollups.get(key)
        if rollup is None:
            self.rollups[key] = Rollup(1, measured, measured, measured, measured, at)
        else:
            rollup.add(measured, at)

    def _report(self, device: DeviceId, payload: bytes, at: datetime) -> None:
        body = dumps(parse_report(payload), separators=(",", ":"), allow_nan=False)
        _, before = self.reports.get(device, (at, ""))
        self.reports[device] = (at, body)
        self.report_bytes += len(body) - len(before)


class _Number(msgspec.Struct, forbid_unknown_fields=True):
    value: int | float
    at: str | None = None


_number = msgspec.json.Decoder(int | float | _Number).decode


def parsed(payload: bytes) -> tuple[Value, datetime | None]:
    """What `wire.messages.parse_sample` says of a payload, and raises; a number, the common case, for a third of the
    price.
    """
    if len(payload) <= MAX_PAYLOAD_BYTES:
        try:
            found = _number(payload)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            pass
        else:
            value, at = (found.value, found.at) if isinstance(found, _Number) else (found, None)
            if isinstance(value, float) or -(2**63) < value < 2**63:
                return value, None if at is None else instant(at)
    sample = parse_sample(payload)
    return sample.value, sample.at


def believed(claimed: datetime | None, received: datetime, history: timedelta) -> datetime:
    """The time a value gets: the device's own, unless it gave none, or one in the future or older than what we keep."""
    if claimed is None or not received - history <= claimed <= received + AHEAD:
        return received
    return claimed


def at_second(second: float) -> datetime:
    """An instant from seconds since 1970."""
    return datetime.fromtimestamp(second, UTC)
