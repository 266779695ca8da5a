"""What messaging needs from others: the trust decision, the device register, the broker, a place for refusals."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Literal, Protocol

from ironroot.core.ids import DeviceId, Fingerprint
from ironroot.domains.messaging.model import Connection, Refusal, Violation
from ironroot.eventlog.model import NewFact


class Decision(Protocol):
    """As much of a trust decision as this door reads."""

    @property
    def state(self) -> str:
        """The state's name."""
        ...

    @property
    def capabilities(self) -> AbstractSet[str]:
        """What the state permits."""
        ...


class Admitted(Protocol):
    """The holder of a certificate that is known, not revoked and not expired."""

    @property
    def device(self) -> DeviceId:
        """Whose certificate it is, by our record."""
        ...

    @property
    def not_after(self) -> datetime:
        """When the certificate ends."""
        ...

    @property
    def decision(self) -> Decision:
        """How far the device is trusted now."""
        ...


class Admission(Protocol):
    """The policy decision point, as the door asks it; read from the store each time."""

    async def by_fingerprint(self, fingerprint: Fingerprint) -> Admitted:
        """Who holds this certificate. Raises Forbidden when nobody may."""
        ...


class Devices(Protocol):
    """The register of devices."""

    async def device(self, device: DeviceId) -> object:
        """The device. Raises NotFound."""
        ...


class Downlink(Protocol):
    """Says something to a device that is connected. Best effort: what matters is sent again until it is answered."""

    def connected(self, device: DeviceId) -> bool:
        """Whether the device is connected now."""
        ...

    async def send(self, device: DeviceId, topic: Literal["config", "command"], payload: bytes) -> None:
        """Publish on `d/ID/down/TOPIC`. Raises Unavailable without a broker."""
        ...


class Refusals(Protocol):
    """Takes facts that an attacker can repeat, and coalesces them."""

    async def note(self, fact: NewFact) -> object:
        """Note one."""
        ...


class Cutoff(Protocol):
    """Ends a device's connections."""

    async def deny(self, device: DeviceId, seconds: float) -> None:
        """Refuse the device's connects for a while."""
        ...

    async def kick(self, device: DeviceId) -> int:
        """End its connections now, and again those that were on their way. Returns how many were found now."""
        ...


class BrokerEvents(Protocol):
    """What the broker's adapter reports to the platform. Quick, and must not raise."""

    async def connected(self, device: DeviceId, connection: Connection) -> None:
        """A device connected."""
        ...

    async def disconnected(self, device: DeviceId, connection: Connection) -> None:
        """A connection of a device ended."""
        ...

    async def refused(self, refusal: Refusal) -> None:
        """A connect was refused."""
        ...

    async def violated(self, violation: Violation) -> None:
        """A connected device did what it may not."""
        ...
