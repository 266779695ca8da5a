"""Rate limits by the generic cell rate algorithm (GCRA, ITU-T I.371): one number of state per key, no timers.

`Budget` is the rule (burst and rate), `take` the pure step, `Gcra` a bounded table of keys in memory.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Budget:
    """`burst` requests at once, refilled evenly at `burst` per `period_s` seconds."""

    burst: int
    period_s: float

    @property
    def interval_s(self) -> float:
        """Seconds between two requests at the sustained rate."""
        return self.period_s / self.burst


def take(budget: Budget, arrival: float | None, now: float) -> tuple[float, float]:
    """One request at `now` against the theoretical arrival time of the key (None: never seen).

    Returns (new arrival time, seconds to wait): a wait of 0 is a yes; on a no the arrival time is unchanged.
    """
    expected = max(arrival if arrival is not None else now, now)
    wait = expected + budget.interval_s - now - budget.period_s
    if wait > 1e-9:
        return (arrival if arrival is not None else now), wait
    return expected + budget.interval_s, 0.0


class Gcra:
    """Budgets per key. Holds at most `capacity` keys; the key longest unused is forgotten first."""

    def __init__(self, budget: Budget, capacity: int = 65_536) -> None:
        self.budget = budget
        self.capacity = capacity
        self._arrival: OrderedDict[str, float] = OrderedDict()

    def take(self, key: str, now: float) -> float:
        """Spend one of `key`'s budget at monotonic time `now`. Returns 0, or the seconds to wait."""
        arrival, wait = take(self.budget, self._arrival.get(key), now)
        if wait == 0:
            self._arrival[key] = arrival
            self._arrival.move_to_end(key)
            if len(self._arrival) > self.capacity:
                self._arrival.popitem(last=False)
        return wait

    def peek(self, key: str, now: float) -> float:
        """What `take` would answer, without spending."""
        return take(self.budget, self._arrival.get(key), now)[1]

    def __len__(self) -> int:
        return len(self._arrival)
