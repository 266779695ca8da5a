"""Certificates, claims and certification authorities as values, and the words of RFC 5280 for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from cryptography import x509

from ironroot.core.ids import ClaimId, DeviceId, Fingerprint
from ironroot.core.secret import Secret

Purpose = Literal["enrol", "renew"]


class Role(StrEnum):
    """What a certification authority signs for. The root signs the other three."""

    ROOT = "root"
    SERVER = "server"
    FACTORY = "factory"
    DEVICE = "device"


class Reason(StrEnum):
    """Why a certificate is revoked (RFC 5280 section 5.3.1). Suspension (certificateHold) is not among them yet."""

    UNSPECIFIED = "unspecified"
    KEY_COMPROMISE = "keyCompromise"
    CA_COMPROMISE = "cACompromise"
    AFFILIATION_CHANGED = "affiliationChanged"
    SUPERSEDED = "superseded"
    CESSATION_OF_OPERATION = "cessationOfOperation"
    PRIVILEGE_WITHDRAWN = "privilegeWithdrawn"


REASON_CODE: Mapping[Reason, int] = {
    Reason.UNSPECIFIED: 0,
    Reason.KEY_COMPROMISE: 1,
    Reason.CA_COMPROMISE: 2,
    Reason.AFFILIATION_CHANGED: 3,
    Reason.SUPERSEDED: 4,
    Reason.CESSATION_OF_OPERATION: 5,
    Reason.PRIVILEGE_WITHDRAWN: 9,
}


class Status(StrEnum):
    """What a certificate is worth now."""

    VALID = "valid"
    REVOKED = "revoked"
    EXPIRED = "expired"


class ClaimState(StrEnum):
    """What a claim is worth now."""

    OPEN = "open"
    USED = "used"
    VOID = "void"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Ca:
    """One certification authority. Names carry a generation (`device-1`), so that a successor is another name."""

    name: str
    role: Role
    certificate: x509.Certificate


@dataclass(frozen=True, slots=True)
class CertificateRecord:
    """A certificate issued here. `serial` is lower-case hex without leading zeros, `spki` SHA-256 of its public key."""

    number: int
    serial: str
    fingerprint: Fingerprint
    device: DeviceId | None
    profile: str
    issuer: str
    subject: str
    key_type: str
    spki: str
    not_before: datetime
    not_after: datetime
    revoked_at: datetime | None
    reason: Reason | None
    der: bytes = field(repr=False)

    def status(self, now: datetime) -> Status:
        """Revoked wins over expired; validity includes its last instant (RFC 5280 section 4.1.2.5)."""
        if self.revoked_at is not None:
            return Status.REVOKED
        return Status.EXPIRED if now > self.not_after else Status.VALID


@dataclass(frozen=True, slots=True)
class Claim:
    """A one-time right to enrol one device. The claim's text is derived, never stored."""

    number: int
    id: ClaimId
    device: DeviceId
    created_at: datetime
    created_by: str
    expires_at: datetime
    used_at: datetime | None
    voided_at: datetime | None

    def state(self, now: datetime) -> ClaimState:
        """What it is worth at `now`."""
        if self.used_at is not None:
            return ClaimState.USED
        if self.voided_at is not None:
            return ClaimState.VOID
        return ClaimState.EXPIRED if now >= self.expires_at else ClaimState.OPEN


@dataclass(frozen=True, slots=True)
class NewClaim:
    """A claim just made. Its text is shown this once."""

    id: ClaimId
    device: DeviceId
    claim: Secret
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class ServerIdentity:
    """What a TLS server shows: leaf and issuing CA in PEM, its key as PKCS#8 PEM, and when to ask for the next."""

    chain_pem: bytes
    key_pem: Secret
    serial: str
    not_after: datetime
    renew_at: datetime


@dataclass(frozen=True, slots=True)
class Counts:
    """How many device certificates there are. The expiring ones are among the valid."""

    valid: int
    expiring_7d: int
    expiring_30d: int
    revoked: int


@dataclass(frozen=True, slots=True)
class PkiConfig:
    """`public_url`: where anyone fetches CRLs and CA certificates over plain HTTP; it is written into certificates,
    and RFC 5280 section 4.2.1.6 wants an address or a full domain name in it, which `localhost` is not.
    """

    public_url: str = "http://127.0.0.1:8080"
    device_lifetime: timedelta = timedelta(days=90)
    server_lifetime: timedelta = timedelta(days=90)
    claim_lifetime: timedelta = timedelta(hours=24)
    max_claim_lifetime: timedelta = timedelta(days=366)
    max_open_claims: int = 10
    crl_lifetime: timedelta = timedelta(days=7)
    back_date: timedelta = timedelta(minutes=5)
