"""Trust states, what each permits, and what a decision is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from ironroot.core.ids import DeviceId, FactId, Fingerprint


class TrustState(StrEnum):
    """How far a device is trusted now."""

    UNKNOWN = "unknown"
    TRUSTED = "trusted"
    RESTRICTED = "restricted"
    QUARANTINED = "quarantined"
    REVOKED = "revoked"


class Capability(StrEnum):
    """What a door may let a device do."""

    PUBLISH = "publish"
    PUBLISH_EVENT = "publish-event"
    SUBSCRIBE = "subscribe"
    STATUS = "status"
    UPDATE = "update"
    ENROL = "enrol"
    RENEW = "renew"


CAPABILITIES: Mapping[TrustState, frozenset[Capability]] = MappingProxyType(
    {
        TrustState.UNKNOWN: frozenset({Capability.ENROL}),
        TrustState.TRUSTED: frozenset(Capability),
        TrustState.RESTRICTED: frozenset(
            {Capability.PUBLISH_EVENT, Capability.SUBSCRIBE, Capability.STATUS, Capability.UPDATE, Capability.ENROL},
        ),
        TrustState.QUARANTINED: frozenset({Capability.STATUS}),
        TrustState.REVOKED: frozenset(),
    },
)
"""The table of ARCHITECTURE.md: what each state permits at every door."""


@dataclass(frozen=True, slots=True)
class CertificateStanding:
    """What trust knows of one certificate of a device."""

    fingerprint: Fingerprint
    serial: str
    not_before: datetime
    not_after: datetime
    revoked: str | None
    """The reason, None while it is not revoked."""
    fact: FactId
    """The last fact about it."""


@dataclass(frozen=True, slots=True)
class Hold:
    """An operator's quarantine, until released or past `expires_at`."""

    reason: str
    actor: str
    placed_at: datetime
    expires_at: datetime | None
    fact: FactId


@dataclass(frozen=True, slots=True)
class Standing:
    """All that a decision about one device depends on."""

    device: DeviceId
    registered: FactId | None = None
    retired: FactId | None = None
    readmitted: FactId | None = None
    """A claim an operator made after the device's last revocation: the way back."""
    certificates: tuple[CertificateStanding, ...] = ()
    hold: Hold | None = None


@dataclass(frozen=True, slots=True)
class Reason:
    """Why, in words, with the fact behind it."""

    code: str
    text: str
    fact: FactId | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the rules say now; `review_at` is when time alone may change it."""

    state: TrustState
    reasons: tuple[Reason, ...]
    review_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class TrustDecision:
    """A stored verdict: which device, and since when in this state."""

    device: DeviceId
    state: TrustState
    reasons: tuple[Reason, ...]
    since: datetime
    review_at: datetime | None

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What the state permits."""
        return CAPABILITIES[self.state]
