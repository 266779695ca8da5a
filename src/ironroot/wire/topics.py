"""The topics of a device: what it may say and hear, and nothing else, ever.

`d/ID/up/telemetry/NAME`, `d/ID/up/report`, `d/ID/up/log`, `d/ID/up/event`; down: everything below `d/ID/down`.
MQTT, CoAP and the broker's subjects all come from here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from ironroot.core.errors import Malformed
from ironroot.core.ids import DeviceId, device_id

TELEMETRY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")

MAX_PAYLOAD_BYTES = 65_536
"""Largest message either way, at every door."""
MAX_TELEMETRY_NAMES = 64
"""Different telemetry names a device may have; more are refused and counted."""
SUSTAINED_MESSAGES_PER_S = 50
BURST_MESSAGES = 500
"""What one device may send: so many at once, then at this rate. A device that empties an offline buffer keeps to it,
for one that goes past is cut off and refused for a minute."""


class Up(StrEnum):
    """What a device may say."""

    TELEMETRY = "telemetry"
    REPORT = "report"
    LOG = "log"
    EVENT = "event"


@dataclass(frozen=True, slots=True)
class UpTopic:
    """A parsed upward topic; `name` only with telemetry."""

    device: DeviceId
    kind: Up
    name: str | None = None


def parse_up(topic: str) -> UpTopic:
    """The meaning of an upward topic. Raises Malformed for every topic that is none."""
    parts = topic.split("/")
    if len(parts) < 4 or parts[0] != "d" or parts[2] != "up":
        raise Malformed("not an upward topic")
    device = device_id(parts[1])
    if parts[3] == Up.TELEMETRY:
        if len(parts) != 5 or TELEMETRY_NAME.fullmatch(parts[4]) is None:
            raise Malformed("telemetry goes to d/ID/up/telemetry/NAME", remedy="NAME: letters, digits, - and _")
        return UpTopic(device, Up.TELEMETRY, parts[4])
    if len(parts) != 4 or parts[3] not in {Up.REPORT, Up.LOG, Up.EVENT}:
        raise Malformed("not an upward topic")
    return UpTopic(device, Up(parts[3]))


def telemetry(device: DeviceId, name: str) -> str:
    """Where a device says one measured value."""
    return f"d/{device}/up/telemetry/{name}"


def up(device: DeviceId, kind: Up) -> str:
    """Where a device says anything but telemetry."""
    return f"d/{device}/up/{kind}"


def down(device: DeviceId) -> str:
    """The filter a device subscribes to."""
    return f"d/{device}/down/#"


def command_topic(device: DeviceId) -> str:
    """Where a device hears its commands."""
    return f"d/{device}/down/command"


def config_topic(device: DeviceId) -> str:
    """Where a device hears its desired configuration."""
    return f"d/{device}/down/config"


def subject(topic: str) -> str:
    """The broker's subject of a topic whose levels hold no dot (nats-server maps `/` to `.`)."""
    return topic.replace("/", ".")
