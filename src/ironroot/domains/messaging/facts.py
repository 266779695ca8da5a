"""What messaging appends: refusals and violations at the MQTT door, configurations and commands with their outcome.

Neither configurations nor arguments are in a fact, only their SHA-256: they may hold secrets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ironroot.eventlog.model import Body


@dataclass(frozen=True, slots=True)
class MqttRefused(Body):
    """A connect at the MQTT door was refused; `code` says why for programs."""

    KIND: ClassVar[str] = "mqtt.refused"
    code: str
    reason: str
    client_id: str
    unreported: int = 0
    """Refusals that the door itself held back since the one before, for they came too fast."""


@dataclass(frozen=True, slots=True)
class MqttViolation(Body):
    """A connected device published or subscribed where it may not (`publish`, `subscribe`), or flooded (`flood`)."""

    KIND: ClassVar[str] = "mqtt.violation"
    violation: str
    detail: str
    address: str
    client_id: str


@dataclass(frozen=True, slots=True)
class ConfigDesired(Body):
    """Somebody set the configuration a device is to have."""

    KIND: ClassVar[str] = "config.desired"
    version: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ConfigApplied(Body):
    """The device says it applied a configuration."""

    KIND: ClassVar[str] = "config.applied"
    version: int


@dataclass(frozen=True, slots=True)
class ConfigFailed(Body):
    """The device says it could not apply a configuration."""

    KIND: ClassVar[str] = "config.failed"
    version: int
    status: str
    detail: str


@dataclass(frozen=True, slots=True)
class CommandSent(Body):
    """Somebody told a device to do something."""

    KIND: ClassVar[str] = "command.sent"
    command: str
    name: str
    sha256: str
    expires_at: str


@dataclass(frozen=True, slots=True)
class CommandDone(Body):
    """The device says it did it."""

    KIND: ClassVar[str] = "command.done"
    command: str
    name: str


@dataclass(frozen=True, slots=True)
class CommandFailed(Body):
    """The device says it tried and could not."""

    KIND: ClassVar[str] = "command.failed"
    command: str
    name: str


@dataclass(frozen=True, slots=True)
class CommandRefused(Body):
    """The device says it will not."""

    KIND: ClassVar[str] = "command.refused"
    command: str
    name: str


@dataclass(frozen=True, slots=True)
class CommandExpired(Body):
    """Nobody answered in time."""

    KIND: ClassVar[str] = "command.expired"
    command: str
    name: str
