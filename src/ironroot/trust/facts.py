"""What trust appends: decisions that changed, and the holds operators place."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from ironroot.eventlog.model import Body


@dataclass(frozen=True, slots=True)
class TrustDecided(Body):
    """A device went from one trust state to another; the doors follow this fact."""

    KIND: ClassVar[str] = "trust.decided"
    before: str
    after: str
    reasons: list[str]


@dataclass(frozen=True, slots=True)
class HoldPlaced(Body):
    """An operator quarantined a device."""

    KIND: ClassVar[str] = "hold.placed"
    reason: str
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class HoldReleased(Body):
    """An operator released a device."""

    KIND: ClassVar[str] = "hold.released"
    reason: str


@dataclass(frozen=True, slots=True)
class HoldExpired(Body):
    """A quarantine reached its end."""

    KIND: ClassVar[str] = "hold.expired"
    reason: str
