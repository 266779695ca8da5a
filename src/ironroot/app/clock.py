"""The real clock: the one place that asks the operating system for the time."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class SystemClock:
    """A `core.clock.Clock`."""

    def now(self) -> datetime:
        """The current instant, UTC."""
        return datetime.now(UTC)  # noqa: TID251 (the clock itself)

    def monotonic(self) -> float:
        """Seconds since some point, never going back."""
        return time.monotonic()
