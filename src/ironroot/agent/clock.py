"""The device's real clock. The one file of the agent that reads the time."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class SystemClock:
    """Implements `core.clock.Clock` with the machine's clocks."""

    def now(self) -> datetime:
        """The current instant, aware, UTC; as wrong as the device's clock is."""
        return datetime.now(UTC)  # noqa: TID251 (this is the Clock)

    def monotonic(self) -> float:
        """Seconds since an arbitrary point, never going back."""
        return time.monotonic()
