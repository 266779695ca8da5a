"""Whether a device sends more than it may: a bucket per device in the time of its messages, not of their processing.

Counting in message time keeps a device from being called a flooder because the platform was down and works through
what had queued up. Generic cell rate algorithm (ITU-T I.371), many messages at a step.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from ironroot.core.ids import DeviceId


@dataclass(frozen=True, slots=True)
class FloodLimit:
    """`burst` messages at once, then `per_s`; a device over it is denied for `denied_s`."""

    per_s: float = 50
    burst: int = 500
    denied_s: float = 60


class FloodMeter:
    """Buckets of the devices heard last; at most `capacity`, the longest silent is forgotten (and starts afresh)."""

    def __init__(self, limit: FloodLimit, capacity: int = 100_000) -> None:
        self.limit = limit
        self.capacity = capacity
        self._full_at: OrderedDict[DeviceId, float] = OrderedDict()
        self._reported: OrderedDict[DeviceId, float] = OrderedDict()

    def add(self, counts: Mapping[tuple[DeviceId, int], int]) -> dict[DeviceId, int]:
        """Count messages by device and whole second. Returns the devices now over their budget, with the messages
        they are over by; each at most once per `denied_s`.
        """
        over: dict[DeviceId, int] = {}
        interval = 1 / self.limit.per_s
        for (device, second), count in sorted(counts.items(), key=lambda item: item[0][1]):
            full_at = max(self._full_at.pop(device, second), second) + count * interval
            excess = full_at - second - self.limit.burst * interval
            if excess > interval / 2:
                over[device] = max(over.get(device, 0), round(excess / interval))
                full_at = float(second + self.limit.burst * interval)
            self._full_at[device] = full_at
            if len(self._full_at) > self.capacity:
                self._full_at.popitem(last=False)
        return {d: n for d, n in over.items() if self._first(d, max(s for (x, s) in counts if x == d))}

    def _first(self, device: DeviceId, second: int) -> bool:
        last = self._reported.get(device)
        if last is not None and second - last < self.limit.denied_s:
            return False
        self._reported[device] = second
        self._reported.move_to_end(device)
        if len(self._reported) > self.capacity:
            self._reported.popitem(last=False)
        return True
