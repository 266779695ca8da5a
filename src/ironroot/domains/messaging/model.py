"""The values of messaging: what the broker asks at a connect and is told, what devices are wanted to do, what they report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from ironroot.core.ids import CommandId, DeviceId, Fingerprint
from ironroot.wire.messages import Value

PUBLISH = "publish"
PUBLISH_EVENT = "publish-event"
SUBSCRIBE = "subscribe"
"""The capabilities of a trust decision that this door gives something for."""


@dataclass(frozen=True, slots=True)
class Knock:
    """A device at the MQTT door, its certificate verified against our CAs in TLS.

    `common_names`: every CN of the certificate's subject. `client_id`: what the client sent, or what the broker
    made up for a client that sent none; the two cannot be told apart.
    """

    client_id: str
    fingerprint: Fingerprint
    common_names: tuple[str, ...]
    address: str


@dataclass(frozen=True, slots=True)
class Grant:
    """What a connection may do: subjects of the broker, limits, and the instant at which it is cut."""

    device: DeviceId
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    expires_at: datetime
    max_subscriptions: int
    max_payload_bytes: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """A connect the door said no to. `device` is whom the certificate names, where it is one of ours."""

    device: str | None
    code: str
    reason: str
    address: str
    client_id: str
    unreported: int = 0
    """Refusals that the door held back since the one before, for they came too fast."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A connected device did what it may not: publish or subscribe elsewhere, or send more than its budget."""

    device: DeviceId
    kind: Literal["publish", "subscribe", "flood"]
    detail: str
    address: str = ""
    client_id: str = ""


@dataclass(frozen=True, slots=True)
class Connection:
    """One live connection of a device. `client_id` is empty where the broker made it up."""

    server: str
    cid: int
    client_id: str
    address: str
    since: datetime


class ConfigStatus(StrEnum):
    """How far the device is with the desired configuration."""

    PENDING = "pending"
    APPLIED = "applied"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class DesiredConfig:
    """The desired configuration of a device, newest version, and the newest version it said it applied."""

    device: DeviceId
    version: int
    config: Mapping[str, Any]
    status: ConfigStatus
    applied_version: int | None
    detail: str
    updated_at: datetime


class CommandState(StrEnum):
    """The life of a command; all but the first are final."""

    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"
    REFUSED = "refused"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Command:
    """A command to one device. `result` is what the device answered."""

    id: CommandId
    device: DeviceId
    name: str
    args: Mapping[str, Any]
    state: CommandState
    created_at: datetime
    expires_at: datetime
    ended_at: datetime | None
    result: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class LatestValue:
    """The newest value of one telemetry name; `at` is the device's time where it gave a plausible one."""

    name: str
    value: Value
    at: datetime


@dataclass(frozen=True, slots=True)
class Point:
    """Five minutes of one numeric telemetry name."""

    at: datetime
    count: int
    min: float
    max: float
    mean: float
    last: float


@dataclass(frozen=True, slots=True)
class Activity:
    """When a device was last heard, how much it has said in all, and its rate over the last minute."""

    last_seen: datetime
    messages: int
    bytes: int
    messages_per_minute: float
    bytes_per_minute: float


@dataclass(frozen=True, slots=True)
class Report:
    """The newest report of a device."""

    at: datetime
    body: Mapping[str, Any]
