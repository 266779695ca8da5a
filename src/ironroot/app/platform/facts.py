"""What the platform appends about itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ironroot.eventlog.model import Body


@dataclass(frozen=True, slots=True)
class PlatformStarted(Body):
    """The platform's process began to serve."""

    KIND: ClassVar[str] = "platform.started"
    version: str
    store: str


@dataclass(frozen=True, slots=True)
class PlatformStopped(Body):
    """The platform's process was told to stop."""

    KIND: ClassVar[str] = "platform.stopped"
    version: str
