"""What inventory appends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ironroot.eventlog.model import Body


@dataclass(frozen=True, slots=True)
class DeviceRegistered(Body):
    """A device is known from now on."""

    KIND: ClassVar[str] = "device.registered"
    type: str
    labels: dict[str, str]


@dataclass(frozen=True, slots=True)
class DeviceRetired(Body):
    """A device has ended its life: it is never admitted again."""

    KIND: ClassVar[str] = "device.retired"
    reason: str


@dataclass(frozen=True, slots=True)
class DeviceGrouped(Body):
    """A device joined or left a group."""

    KIND: ClassVar[str] = "device.grouped"
    group: str
    member: bool
