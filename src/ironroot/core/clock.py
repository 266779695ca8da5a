"""Time as an argument: the Clock protocol, UTC instants, RFC 3339 text, and durations as people write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Protocol

from ironroot.core.errors import Malformed

_DURATION = re.compile(r"(\d{1,9})(s|m|h|d|w)")
_UNIT = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class Clock(Protocol):
    """Where the time comes from; the real one lives in `app`, a virtual one in `simulator`."""

    def now(self) -> datetime:
        """The current instant, aware, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds since an arbitrary point, never going back."""
        ...


def rfc3339(at: datetime) -> str:
    """Text of an instant: UTC, microseconds, `Z` (RFC 3339). Fixed width, so text order is time order."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def instant(text: str) -> datetime:
    """The instant an RFC 3339 text names, as UTC. Raises Malformed on anything else, also without a zone."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError as e:
        raise Malformed(f"not an RFC 3339 time: {text[:40]!r}", remedy="write times like 2026-01-31T12:00:00Z") from e
    if at.tzinfo is None:
        raise Malformed(f"time without a zone: {text[:40]!r}", remedy="add Z or an offset such as +01:00")
    return at.astimezone(UTC)


def duration(text: str) -> timedelta:
    """A length of time written as `90s`, `15m`, `12h`, `30d` or `2w`. Raises Malformed on anything else, also on zero."""
    found = _DURATION.fullmatch(text)
    if found is None or int(found[1]) == 0:
        raise Malformed(f"not a duration: {text[:40]!r}", remedy="write durations like 90s, 15m, 12h, 30d")
    try:
        return timedelta(**{_UNIT[found[2]]: int(found[1])})
    except OverflowError as e:
        raise Malformed(f"duration out of range: {text[:40]!r}", remedy="use a shorter one") from e
