"""Simulated devices: a name, a machine, and a device's manners. Pure: functions of virtual time and a seed.

They speak exactly as real ones do (`wire`): samples, reports, answers to configuration and commands.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import islice
from random import Random  # noqa: TID251 (a seeded generator is what makes a simulated fleet repeatable)
from typing import Any

from ironroot.core.errors import Refused, Unprocessable
from ironroot.core.ids import CommandId, DeviceId
from ironroot.simulator.models import Kind, Model, make_model
from ironroot.wire import topics
from ironroot.wire.messages import (
    CAPABILITY,
    Command,
    CommandResult,
    ConfigResult,
    DesiredConfig,
    Event,
    Hello,
    Outcome,
    Sample,
    encode_event,
    encode_sample,
    parse_command,
    parse_config,
)

Publication = tuple[str, bytes]
"""Topic and payload."""

_M, _C, _R, _G = Kind.METER, Kind.CAMERA, Kind.ROBOT, Kind.GATEWAY
MIX = (_M, _C, _M, _R, _M, _C, _G, _M, _C, _M, _R, _C, _M, _G, _M, _C, _R, _M, _C, _G)
"""40 % meters, 30 % cameras, 15 % robots, 15 % gateways, in an order that holds for every count."""
AGENT = "simulator"
DEFAULT_INTERVAL_S = 5.0
REPORT_INTERVAL_S = 60.0
MAX_REMEMBERED = 64
_LISTENING: Mapping[Kind, tuple[int, ...]] = {_M: (), _C: (443, 554), _R: (502,), _G: (22, 443, 1700)}


def fleet_ids(count: int) -> list[tuple[DeviceId, Kind]]:
    """Names and kinds of the first `count` devices; a larger fleet begins with the same ones."""
    numbers = dict.fromkeys(Kind, 0)
    named = []
    for i in range(count):
        kind = MIX[i % len(MIX)]
        numbers[kind] += 1
        named.append((DeviceId(f"{kind}-{numbers[kind]:02d}"), kind))
    return named


class SimulatedDevice:
    """One device. `at` is true (virtual) time; what it writes into messages is its own clock."""

    def __init__(
        self,
        device: DeviceId,
        kind: Kind,
        seed: int,
        at: datetime,
        *,
        interval_s: float = DEFAULT_INTERVAL_S,
        clock_error: timedelta = timedelta(),
    ) -> None:
        self.id = device
        self.kind = kind
        self.chance = Random(f"{seed}/{device}")  # noqa: S311 (measurements, not secrets)
        self.interval_s = interval_s
        self.clock_error = clock_error
        self.config_version = 0
        self.restarting_until: datetime | None = None
        self._default_interval_s = interval_s
        self._model: Model = make_model(kind, self.chance)
        self._lived_until = at
        self._booted_at = at - timedelta(seconds=self.chance.uniform(0, 30 * 86_400))
        self._answers: OrderedDict[CommandId, CommandResult] = OrderedDict()
        self._report_id = 0
        self._bytes_out = 0
        self._packets_out = 0

    def hello(self) -> Publication:
        """The first words after connecting."""
        return self._event(Hello(CAPABILITY, AGENT))

    def telemetry(self, at: datetime) -> list[Publication]:
        """What the device measures at `at`. Time only goes forward."""
        span_s = (at - self._lived_until).total_seconds()
        if span_s > 0:
            self._model.advance(at, span_s)
            self._lived_until = at
        stamp = at + self.clock_error
        readings = {**self._model.readings(), "uptime_s": int((at - self._booted_at).total_seconds())}
        said = [
            (topics.telemetry(self.id, name), encode_sample(Sample(value, stamp))) for name, value in readings.items()
        ]
        self._count(said)
        return said

    def report(self, at: datetime) -> Publication:
        """The security report (Device Defender's document) since the one before."""
        self._report_id = max(int((at + self.clock_error).timestamp()), self._report_id + 1)
        sent, packets, self._bytes_out, self._packets_out = self._bytes_out, self._packets_out, 0, 0
        listening = _LISTENING[self.kind]
        ports = [{"port": port} for port in listening]
        document = {
            "header": {"report_id": self._report_id, "version": "1.0"},
            "metrics": {
                "listening_tcp_ports": {"ports": ports, "total": len(ports)},
                "listening_udp_ports": {"ports": [], "total": 0},
                "network_stats": {
                    "bytes_in": sent // 6 + 200,
                    "bytes_out": sent,
                    "packets_in": packets,
                    "packets_out": packets,
                },
                "tcp_connections": {
                    "established_connections": {
                        "connections": [{"local_port": 49152, "remote_addr": "192.0.2.1:8883"}],
                        "total": 1,
                    }
                },
            },
        }
        said = (topics.up(self.id, topics.Up.REPORT), json.dumps(document, separators=(",", ":")).encode())
        self._count([said])
        return said

    def receive(self, topic: str, payload: bytes, at: datetime) -> list[Publication]:
        """The answers to one message from the platform; nothing for what is not an order."""
        try:
            if topic == topics.config_topic(self.id):
                return [self._event(self._configure(parse_config(payload)))]
            if topic == topics.command_topic(self.id):
                return [self._event(self._obey(parse_command(payload), at))]
        except Refused:
            return []
        return []

    def is_restarting(self, at: datetime) -> bool:
        """Whether it is away because of a reboot."""
        return self.restarting_until is not None and at < self.restarting_until

    def _configure(self, desired: DesiredConfig) -> ConfigResult:
        if desired.version < self.config_version:
            return ConfigResult(desired.version, Outcome.FAILED, f"older than version {self.config_version}")
        try:
            interval_s = _interval(desired.config.get("interval_s", self._default_interval_s))
        except Refused as e:
            return ConfigResult(desired.version, Outcome.FAILED, e.message)
        self.interval_s = interval_s
        self.config_version = desired.version
        return ConfigResult(desired.version, Outcome.APPLIED)

    def _obey(self, command: Command, at: datetime) -> CommandResult:
        known = self._answers.get(command.id)
        if known is not None:
            return known
        answer = self._do(command, at)
        self._answers[command.id] = answer
        for old in list(islice(self._answers, max(0, len(self._answers) - MAX_REMEMBERED))):
            del self._answers[old]
        return answer

    def _do(self, command: Command, at: datetime) -> CommandResult:
        if at + self.clock_error >= command.expires_at:
            return CommandResult(command.id, Outcome.REFUSED, {"reason": "expired"})
        try:
            return CommandResult(command.id, Outcome.DONE, self._act(command.name, command.args, at))
        except Refused as e:
            return CommandResult(command.id, Outcome.REFUSED, {"reason": e.message})

    def _act(self, name: str, args: Mapping[str, Any], at: datetime) -> dict[str, Any]:
        match name:
            case "reboot":
                self._booted_at = at
                self._model.restart()
                self.restarting_until = at + timedelta(seconds=self.chance.uniform(3, 8))
                return {"back_in_s": round((self.restarting_until - at).total_seconds(), 1)}
            case "identify":
                return {"type": self.kind.value, "blink_s": 10}
            case "set-interval":
                self.interval_s = _interval(args.get("interval_s"))
                return {"interval_s": self.interval_s}
            case "ping":
                return {"agent": AGENT, "capability": CAPABILITY}
            case _:
                raise Unprocessable(f"unknown command {name[:64]!r}")

    def _event(self, event: Event) -> Publication:
        said = (topics.up(self.id, topics.Up.EVENT), encode_event(event))
        self._count([said])
        return said

    def _count(self, said: list[Publication]) -> None:
        self._packets_out += len(said)
        self._bytes_out += sum(len(topic) + len(payload) + 60 for topic, payload in said)


def _interval(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value <= 86_400:
        raise Unprocessable("interval_s is a number of seconds from 1 to 86400")
    return float(value)
