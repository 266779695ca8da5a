"""What the platform does about what happens at the MQTT door: facts about refusals and violations, and an end for
devices that flood or keep trying what they may not.
"""

from __future__ import annotations

from typing import Protocol

from ironroot.core.clock import Clock
from ironroot.core.gcra import Budget, Gcra
from ironroot.core.ids import DEVICE_ID, DeviceId
from ironroot.domains.messaging.facts import MqttRefused, MqttViolation
from ironroot.domains.messaging.model import Connection, Refusal, Violation
from ironroot.domains.messaging.ports import Cutoff, Refusals
from ironroot.eventlog.model import PLATFORM, about_device

DENIED_S = 60.0
PATIENCE = Budget(burst=20, period_s=10)
"""Denied publishes and subscriptions a device may try before it is treated like one that floods: the broker drops
them, but each costs it a line in its log."""


class Delivery(Protocol):
    """Who is told about connections."""

    def connected(self, device: DeviceId) -> None:
        """A device connected."""
        ...

    def disconnected(self, device: DeviceId) -> None:
        """A connection of a device ended."""
        ...


class DoorWatch:
    """A `BrokerEvents`."""

    def __init__(self, refusals: Refusals, cutoff: Cutoff, delivery: Delivery, clock: Clock) -> None:
        self._refusals = refusals
        self._cutoff = cutoff
        self._delivery = delivery
        self._clock = clock
        self._patience = Gcra(PATIENCE, capacity=10_000)

    async def connected(self, device: DeviceId, _connection: Connection) -> None:
        """A device connected."""
        self._delivery.connected(device)

    async def disconnected(self, device: DeviceId, _connection: Connection) -> None:
        """A connection of a device ended."""
        self._delivery.disconnected(device)

    async def refused(self, refusal: Refusal) -> None:
        """A connect was refused: a fact about the device the certificate names, else about the platform."""
        named = refusal.device is not None and DEVICE_ID.fullmatch(refusal.device)
        subject = about_device(DeviceId(refusal.device or "")) if named else PLATFORM
        body = MqttRefused(refusal.code, refusal.reason, refusal.client_id, refusal.unreported)
        await self._refusals.note(body.fact(subject, f"peer/{refusal.address}"))

    async def violated(self, violation: Violation) -> None:
        """A connected device did what it may not: a fact, and an end to its connections where that is a habit."""
        flood = violation.kind == "flood"
        spent = not flood and self._patience.take(violation.device, self._clock.monotonic()) > 0
        if flood or spent:
            await self._cutoff.deny(violation.device, DENIED_S)
            await self._cutoff.kick(violation.device)
        body = MqttViolation(violation.kind, violation.detail, violation.address, violation.client_id)
        await self._refusals.note(body.fact(about_device(violation.device), f"device/{violation.device}"))
