"""How simulated machines behave: meter, camera, robot, gateway. Pure: time and a seeded generator are arguments.

A model advances by a span of virtual time and then shows its readings; the same seed and spans give the same readings.
Counters only grow (but for a restart, which sets those back that a real machine keeps in memory).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from random import Random  # noqa: TID251 (a seeded generator is what makes a simulated fleet repeatable)
from typing import Protocol

from ironroot.wire.messages import Value


class Kind(StrEnum):
    """The types of simulated devices."""

    METER = "meter"
    CAMERA = "camera"
    ROBOT = "robot"
    GATEWAY = "gateway"


class Model(Protocol):
    """A machine's physics."""

    def advance(self, at: datetime, span_s: float) -> None:
        """Live until `at`, `span_s` seconds from the last time."""
        ...

    def readings(self) -> dict[str, Value]:
        """What its sensors show now, by telemetry name."""
        ...

    def restart(self) -> None:
        """Lose what is kept in memory."""
        ...


def _towards(value: float, target: float, span_s: float, time_constant_s: float) -> float:
    """First-order lag: exact for any span, so that a long absence does not overshoot."""
    return target + (value - target) * math.exp(-span_s / time_constant_s)


def day_share(at: datetime) -> float:
    """Household load over the day, 0.2 at night to about 1 in the evening (UTC hours)."""
    hour = at.hour + at.minute / 60 + at.second / 3600
    morning = 0.5 * math.exp(-((hour - 7.5) ** 2) / 4)
    evening = 0.8 * math.exp(-((hour - 19.5) ** 2) / 8)
    return 0.2 + morning + evening


class Meter:
    """A single-phase electricity meter: a base load, a day curve, and appliances that come and go."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance
        self._base_w = chance.uniform(80, 250)
        self._peak_w = chance.uniform(600, 2500)
        self._appliance_w = 0.0
        self._appliance_left_s = 0.0
        self._voltage = chance.uniform(227, 233)
        self._power_w = self._base_w
        self._energy_wh = chance.uniform(1e6, 2e7)
        self._frequency = 50.0

    def advance(self, at: datetime, span_s: float) -> None:
        """Energy is power over time; it never runs backwards."""
        chance = self._chance
        self._appliance_left_s -= span_s
        if self._appliance_left_s <= 0:
            self._appliance_w = 0.0
            if chance.random() < 1 - math.exp(-span_s * day_share(at) / 1200):
                self._appliance_w = chance.choice((1000.0, 2000.0, 2200.0, 3000.0))
                self._appliance_left_s = chance.uniform(60, 1800)
        noise = chance.uniform(0.95, 1.05)
        self._power_w = (self._base_w + self._peak_w * day_share(at)) * noise + self._appliance_w
        self._energy_wh += self._power_w * span_s / 3600
        sag = self._power_w / 2000
        self._voltage = _towards(self._voltage, 230 + chance.gauss(0, 1.2) - sag, span_s, 60)
        self._frequency = 50 + chance.gauss(0, 0.012)

    def readings(self) -> dict[str, Value]:
        """Power in W, voltage in V, frequency in Hz, energy in kWh."""
        return {
            "power_w": round(self._power_w, 1),
            "voltage_v": round(self._voltage, 2),
            "frequency_hz": round(self._frequency, 3),
            "energy_kwh": round(self._energy_wh / 1000, 4),
        }

    def restart(self) -> None:
        """A meter keeps its register."""


class Camera:
    """A network camera: more motion by day, and more bits with motion."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance
        self._nominal_fps = chance.choice((15.0, 25.0, 30.0))
        self._quiet_kbps = chance.uniform(800, 2000)
        self._ambient_c = chance.uniform(15, 28)
        self._temperature_c = self._ambient_c + 12
        self._motion_left_s = 0.0
        self._motion_events = 0
        self._fps = self._nominal_fps
        self._bitrate = self._quiet_kbps

    @property
    def _moving(self) -> bool:
        return self._motion_left_s > 0

    def advance(self, at: datetime, span_s: float) -> None:
        """Motion comes about every five minutes at noon, seldom at night."""
        chance = self._chance
        self._motion_left_s = max(0.0, self._motion_left_s - span_s)
        busy = 0.1 + 0.9 * max(0.0, math.sin(math.pi * (at.hour + at.minute / 60 - 6) / 12))
        if not self._moving and chance.random() < 1 - math.exp(-span_s * busy / 300):
            self._motion_left_s = chance.uniform(3, 40)
            self._motion_events += 1
        self._fps = max(1.0, self._nominal_fps - abs(chance.gauss(0, 0.3)) - (3 if chance.random() < 0.01 else 0))
        factor = chance.uniform(1.6, 3.0) if self._moving else chance.uniform(0.9, 1.1)
        self._bitrate = self._quiet_kbps * factor
        target = self._ambient_c + 12 + (4 if self._moving else 0) + 5 * busy
        self._temperature_c = _towards(self._temperature_c, target, span_s, 600) + chance.gauss(0, 0.05)

    def readings(self) -> dict[str, Value]:
        """Frames per second, kbit/s, degrees Celsius, whether something moves and how often it did."""
        return {
            "fps": round(self._fps, 1),
            "bitrate_kbps": round(self._bitrate),
            "temperature_c": round(self._temperature_c, 1),
            "motion": self._moving,
            "motion_events": self._motion_events,
        }

    def restart(self) -> None:
        """The event counter is kept in memory."""
        self._motion_events = 0
        self._motion_left_s = 0.0


class RobotState(StrEnum):
    """What an industrial robot is doing."""

    IDLE = "idle"
    MOVING = "moving"
    GRIPPING = "gripping"
    FAULT = "fault"
    MAINTENANCE = "maintenance"


ROBOT_STEPS: Mapping[RobotState, tuple[tuple[RobotState, float], ...]] = {
    RobotState.IDLE: ((RobotState.MOVING, 0.97), (RobotState.MAINTENANCE, 0.03)),
    RobotState.MOVING: ((RobotState.GRIPPING, 0.985), (RobotState.FAULT, 0.015)),
    RobotState.GRIPPING: ((RobotState.MOVING, 0.8), (RobotState.IDLE, 0.2)),
    RobotState.FAULT: ((RobotState.MAINTENANCE, 0.6), (RobotState.IDLE, 0.4)),
    RobotState.MAINTENANCE: ((RobotState.IDLE, 1.0),),
}
"""What follows a state, and how likely."""
ROBOT_DWELL_S: Mapping[RobotState, float] = {
    RobotState.IDLE: 20,
    RobotState.MOVING: 6,
    RobotState.GRIPPING: 3,
    RobotState.FAULT: 60,
    RobotState.MAINTENANCE: 300,
}
"""Mean stay in a state, seconds."""
_MAX_STEPS = 200


class Robot:
    """A six-axis arm: a state machine that heats its joints and counts its cycles."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance
        self._ambient_c = chance.uniform(18, 26)
        self._joints_c = [self._ambient_c + chance.uniform(5, 12) for _ in range(3)]
        self._cycles = chance.randrange(10_000, 2_000_000)
        self._state = RobotState.IDLE
        self._left_s = chance.expovariate(1 / ROBOT_DWELL_S[self._state])
        self._wear = chance.uniform(0.6, 1.4)
        self._vibration = 0.2

    def advance(self, at: datetime, span_s: float) -> None:
        """One state after another until the span is used; a very long one is cut, nobody watched."""
        del at  # a robot works through the night
        chance = self._chance
        left = span_s
        for _ in range(_MAX_STEPS):
            if self._left_s > left:
                self._left_s -= left
                break
            left -= self._left_s
            following = ROBOT_STEPS[self._state]
            state = chance.choices([s for s, _ in following], [p for _, p in following])[0]
            if self._state is RobotState.GRIPPING and state is RobotState.MOVING:
                self._cycles += 1
            self._state = state
            self._left_s = chance.expovariate(1 / ROBOT_DWELL_S[state])
        moving = self._state in {RobotState.MOVING, RobotState.GRIPPING}
        for i, celsius in enumerate(self._joints_c):
            target = self._ambient_c + (28 - 5 * i if moving else 4)
            self._joints_c[i] = _towards(celsius, target, span_s, 400) + chance.gauss(0, 0.05)
        level = 2.2 * self._wear if moving else 6.0 if self._state is RobotState.FAULT else 0.2
        self._vibration = max(0.0, level + chance.gauss(0, 0.15))

    def readings(self) -> dict[str, Value]:
        """State, cycles, joint temperatures in degrees Celsius, vibration in mm/s."""
        return {
            "state": self._state.value,
            "cycles": self._cycles,
            **{f"joint{i}_temperature_c": round(c, 1) for i, c in enumerate(self._joints_c, 1)},
            "vibration_mm_s": round(self._vibration, 2),
        }

    def restart(self) -> None:
        """It stands still; the cycle counter is kept."""
        self._state = RobotState.IDLE


class Gateway:
    """A radio gateway: nodes around it, a link to them, a queue that fills when the link is poor."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance
        self._known = chance.randrange(8, 60)
        self._nodes = self._known
        self._rssi = chance.uniform(-80, -55)
        self._site_rssi = self._rssi
        self._queue = 0
        self._forwarded = 0

    def advance(self, at: datetime, span_s: float) -> None:
        """Poor reception loses nodes and fills the queue."""
        del at  # radio does not know the hour
        chance = self._chance
        self._rssi = _towards(self._rssi, self._site_rssi + chance.gauss(0, 6), span_s, 120)
        poor = min(max((-70 - self._rssi) / 25, 0.0), 1.0)
        self._nodes = max(0, self._known - round(self._known * 0.3 * poor) - chance.randrange(0, 2))
        arriving = round(self._nodes * min(span_s, 3600) / 30 * chance.uniform(0.8, 1.2))
        sent = min(self._queue + arriving, round(self._known * min(span_s, 3600) / 25 * (1 - 0.6 * poor)) + 1)
        self._queue = min(self._queue + arriving - sent, 10_000)
        self._forwarded += sent

    def readings(self) -> dict[str, Value]:
        """Nodes in reach, signal in dBm, messages waiting and forwarded."""
        return {
            "connected_nodes": self._nodes,
            "rssi_dbm": round(self._rssi, 1),
            "queue_depth": self._queue,
            "forwarded": self._forwarded,
        }

    def restart(self) -> None:
        """Queue and counter are kept in memory."""
        self._queue = 0
        self._forwarded = 0


def make_model(kind: Kind, chance: Random) -> Model:
    """A machine of this kind, its constants drawn from `chance`."""
    match kind:
        case Kind.METER:
            return Meter(chance)
        case Kind.CAMERA:
            return Camera(chance)
        case Kind.ROBOT:
            return Robot(chance)
        case Kind.GATEWAY:
            return Gateway(chance)
