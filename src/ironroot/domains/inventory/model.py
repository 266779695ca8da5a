"""What the platform knows about a device before it ever speaks: id, type, groups, labels, lifecycle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from ironroot.core.errors import Malformed, TooLarge
from ironroot.core.ids import DeviceId, plain_name

MAX_LABELS = 32
MAX_LABEL_VALUE = 256


class Lifecycle(StrEnum):
    """Where a device is in its life; how far it is trusted now is another thing (`trust`)."""

    REGISTERED = "registered"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class Device:
    """One device."""

    id: DeviceId
    type: str
    labels: Mapping[str, str]
    lifecycle: Lifecycle
    created_at: datetime
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Filter:
    """What a list of devices is narrowed to. `q` is a part of the id; empty fields narrow nothing.

    `only` and `without` are for what other contexts know: at most these devices, and none of those.
    """

    q: str = ""
    type: str = ""
    group: str = ""
    only: frozenset[DeviceId] | None = None
    without: frozenset[DeviceId] = frozenset()
    lifecycle: Lifecycle | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """A named set of devices."""

    name: str
    created_at: datetime
    devices: int = field(default=0)


def labels(given: Mapping[str, str]) -> dict[str, str]:
    """Labels a device may carry. Raises Malformed or TooLarge."""
    if len(given) > MAX_LABELS:
        raise TooLarge(f"more than {MAX_LABELS} labels")
    for key, value in given.items():
        plain_name(key, "label")
        if len(value) > MAX_LABEL_VALUE or not value.isprintable():
            raise Malformed(f"label {key}: printable text of at most {MAX_LABEL_VALUE} characters")
    return dict(given)
