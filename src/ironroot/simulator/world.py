"""A fleet on a virtual clock: no socket, no sleep, the same messages for the same seed.

A day of a hundred devices is stepped through in seconds. Devices go away and come back as a Poisson process
(`Churn`); some may have wrong clocks. What a device would have said while away is not said: the agent's own buffer is
another part's affair.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from random import Random  # noqa: TID251 (a seeded generator is what makes a simulated fleet repeatable)

from ironroot.core.errors import Malformed
from ironroot.simulator.devices import REPORT_INTERVAL_S, Publication, SimulatedDevice, fleet_ids


@dataclass(frozen=True, slots=True)
class Churn:
    """Mean times of staying and being away, in seconds; both exponential."""

    online_s: float = 1800.0
    offline_s: float = 120.0


class VirtualClock:
    """`core.clock.Clock` that the world moves."""

    def __init__(self, start: datetime) -> None:
        self._start = start
        self._now = start

    def now(self) -> datetime:
        """Virtual time."""
        return self._now

    def monotonic(self) -> float:
        """Virtual seconds since the world began."""
        return (self._now - self._start).total_seconds()

    def move_to(self, at: datetime) -> None:
        """Let it be `at`; never backwards."""
        self._now = max(self._now, at)


class _What(IntEnum):
    LEAVE = 0
    RETURN = 1
    MEASURE = 2
    REPORT = 3


class World:
    """`count` devices. `step` moves time and yields what they say; `deliver` is the platform speaking to one."""

    def __init__(
        self,
        seed: int,
        count: int,
        *,
        start: datetime = datetime(2026, 1, 5, 6, tzinfo=UTC),
        interval_s: float = 5.0,
        churn: Churn | None = None,
        wrong_clocks: float = 0.0,
    ) -> None:
        self.clock = VirtualClock(start)
        self._chance = Random(f"{seed}/world")  # noqa: S311 (measurements, not secrets)
        self._churn = churn
        self.devices: dict[str, SimulatedDevice] = {}
        self._online: set[str] = set()
        self._agenda: list[tuple[datetime, int, _What, str, int]] = []
        self._sessions: dict[str, int] = {}
        self._order = 0
        for device, kind in fleet_ids(count):
            error = timedelta()
            if self._chance.random() < wrong_clocks:
                error = timedelta(seconds=self._chance.choice((-1, 1)) * self._chance.uniform(600, 400 * 86_400))
            self.devices[device] = SimulatedDevice(device, kind, seed, start, interval_s=interval_s, clock_error=error)
            self._plan(start + timedelta(seconds=self._chance.uniform(0, interval_s)), _What.RETURN, device)

    @property
    def online(self) -> frozenset[str]:
        """Who is connected now."""
        return frozenset(self._online)

    def step(self, span: timedelta) -> Iterator[Publication]:
        """Move time by `span`; what the devices say meanwhile, in order of time. Use it up before the next step."""
        until = self.clock.now() + span
        while self._agenda and self._agenda[0][0] <= until:
            at, _, what, name, session = heapq.heappop(self._agenda)
            self.clock.move_to(at)
            if what is not _What.RETURN and session != self._sessions.get(name):
                continue  # planned in a connection that has ended
            yield from self._happen(at, what, self.devices[name])
        self.clock.move_to(until)

    def deliver(self, topic: str, payload: bytes) -> list[Publication]:
        """What the addressed device answers; nothing when it is away (QoS 0)."""
        parts = topic.split("/")
        if len(parts) < 4 or parts[0] != "d" or parts[2] != "down":
            raise Malformed("not a downward topic")
        device = self.devices.get(parts[1])
        if device is None or device.id not in self._online:
            return []
        at = self.clock.now()
        answers = device.receive(topic, payload, at)
        if device.is_restarting(at) and device.restarting_until is not None:
            self._online.discard(device.id)
            self._plan(device.restarting_until, _What.RETURN, device.id)
        return answers

    def disconnect(self, name: str, away: timedelta) -> None:
        """Take a device off the network for a while."""
        self._online.discard(name)
        self._plan(self.clock.now() + away, _What.RETURN, name)

    def _happen(self, at: datetime, what: _What, device: SimulatedDevice) -> Iterator[Publication]:
        match what:
            case _What.RETURN:
                if device.id in self._online:
                    return
                self._online.add(device.id)
                self._sessions[device.id] = self._sessions.get(device.id, 0) + 1
                yield device.hello()
                self._plan(at + timedelta(seconds=device.interval_s * device.chance.random()), _What.MEASURE, device.id)
                self._plan(at + timedelta(seconds=REPORT_INTERVAL_S * device.chance.random()), _What.REPORT, device.id)
                if self._churn is not None:
                    stay = timedelta(seconds=self._chance.expovariate(1 / self._churn.online_s))
                    self._plan(at + stay, _What.LEAVE, device.id)
            case _What.LEAVE:
                if device.id in self._online and self._churn is not None:
                    self.disconnect(device.id, timedelta(seconds=self._chance.expovariate(1 / self._churn.offline_s)))
            case _What.MEASURE:
                if device.id in self._online:
                    yield from device.telemetry(at)
                    self._plan(at + timedelta(seconds=device.interval_s), _What.MEASURE, device.id)
            case _What.REPORT:
                if device.id in self._online:
                    yield device.report(at)
                    self._plan(at + timedelta(seconds=REPORT_INTERVAL_S), _What.REPORT, device.id)

    def _plan(self, at: datetime, what: _What, device: str) -> None:
        self._order += 1
        heapq.heappush(self._agenda, (at, self._order, what, device, self._sessions.get(device, 0)))
