"""What the PKI appends to the log. Instants are RFC 3339 text in a fact's body; a device is its id."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from ironroot.eventlog.model import Body


@dataclass(frozen=True, slots=True)
class CaCreated(Body):
    """A certification authority exists. Subject `ca/NAME`."""

    KIND: ClassVar[str] = "ca.created"

    name: str
    role: str
    serial: str
    fingerprint: str
    not_before: datetime
    not_after: datetime
    issuer: str


@dataclass(frozen=True, slots=True)
class CertificateIssued(Body):
    """A certificate exists. `device` is None for a server's; `claim` and `renewed` (a serial) say by which right."""

    KIND: ClassVar[str] = "certificate.issued"

    device: str | None
    serial: str
    fingerprint: str
    profile: str
    not_before: datetime
    not_after: datetime
    issuer: str
    key_type: str
    spki: str
    claim: str | None = None
    renewed: str | None = None


@dataclass(frozen=True, slots=True)
class CertificateRevoked(Body):
    """A certificate is revoked, or (`was` set) known to be revoked for a worse reason than before."""

    KIND: ClassVar[str] = "certificate.revoked"

    device: str | None
    serial: str
    fingerprint: str
    reason: str
    comment: str | None = None
    was: str | None = None


@dataclass(frozen=True, slots=True)
class ClaimCreated(Body):
    """A device may enrol once. `after_revocation`: its certificates were revoked as a whole, and somebody who may
    has decided that it comes back.
    """

    KIND: ClassVar[str] = "claim.created"

    device: str
    claim: str
    expires_at: datetime
    after_revocation: bool = False


@dataclass(frozen=True, slots=True)
class ClaimUsed(Body):
    """A claim was spent on a certificate."""

    KIND: ClassVar[str] = "claim.used"

    device: str
    claim: str
    serial: str


@dataclass(frozen=True, slots=True)
class ClaimRefused(Body):
    """Somebody showed a claim that is not one, or is one no more. `claim` is set where it was genuine."""

    KIND: ClassVar[str] = "claim.refused"

    device: str | None
    source: str
    code: str
    claim: str | None = None


@dataclass(frozen=True, slots=True)
class ClaimVoided(Body):
    """An open claim is worth nothing any more."""

    KIND: ClassVar[str] = "claim.voided"

    device: str
    claim: str


@dataclass(frozen=True, slots=True)
class EnrolmentRefused(Body):
    """Somebody with a right to ask got no certificate. `renew`: it came with a certificate rather than a claim."""

    KIND: ClassVar[str] = "enrolment.refused"

    device: str | None
    source: str
    code: str
    renew: bool
    text: str


@dataclass(frozen=True, slots=True)
class CrlIssued(Body):
    """A new certificate revocation list. Subject `ca/NAME`."""

    KIND: ClassVar[str] = "crl.issued"

    ca: str
    number: int
    entries: int
    this_update: datetime
    next_update: datetime
