"""The register of all certificates issued here: written once each, revoked at most once, with the fact of each act."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from hashlib import sha256
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import ColumnElement, Row, Select, func, insert, select, update

from ironroot.core.clock import Clock
from ironroot.core.errors import NotFound
from ironroot.core.ids import DeviceId, Fingerprint
from ironroot.domains.pki import names, tables
from ironroot.domains.pki.facts import CertificateIssued, CertificateRevoked
from ironroot.domains.pki.model import CertificateRecord, Counts, Reason, Status
from ironroot.domains.pki.ports import Facts
from ironroot.eventlog.model import PLATFORM, about_device
from ironroot.store.engine import Store, Tx


@dataclass(frozen=True, slots=True)
class Origin:
    """Who asked for a certificate, and by which right."""

    actor: str
    device: DeviceId | None = None
    claim: str | None = None
    renewed: str | None = None


def serial_text(serial: int) -> str:
    """A serial number as it is shown and stored: lower-case hexadecimal without leading zeros."""
    return f"{serial:x}"


def fingerprint_of(certificate: x509.Certificate) -> Fingerprint:
    """SHA-256 of the certificate's DER, hexadecimal."""
    return Fingerprint(sha256(certificate.public_bytes(Encoding.DER)).hexdigest())


class Ledger:
    """Reads and writes the register."""

    def __init__(self, store: Store, facts: Facts, clock: Clock) -> None:
        self._store = store
        self._facts = facts
        self._clock = clock
        self._watchers: list[Callable[[str], None]] = []

    def on_revoked(self, call: Callable[[str], None]) -> None:
        """Be told the CA's name of every certificate revoked here, as its transaction commits."""
        self._watchers.append(call)

    async def insert(
        self,
        tx: Tx,
        certificate: x509.Certificate,
        *,
        profile: str,
        issuer: str,
        key_type: str,
        spki: str,
        origin: Origin,
    ) -> None:
        """Write a certificate down, without a fact."""
        await tx.execute(
            insert(tables.certificate).values(
                serial=serial_text(certificate.serial_number),
                fingerprint=fingerprint_of(certificate),
                device=origin.device,
                profile=profile,
                issuer=issuer,
                subject=names.text(certificate.subject),
                key_type=key_type,
                spki=spki,
                not_before=certificate.not_valid_before_utc,
                not_after=certificate.not_valid_after_utc,
                der=certificate.public_bytes(Encoding.DER),
            )
        )

    async def issued(
        self,
        tx: Tx,
        certificate: x509.Certificate,
        *,
        profile: str,
        issuer: str,
        key_type: str,
        spki: str,
        origin: Origin,
    ) -> None:
        """Write a leaf certificate down, with its fact."""
        await self.insert(tx, certificate, profile=profile, issuer=issuer, key_type=key_type, spki=spki, origin=origin)
        body = CertificateIssued(
            device=origin.device,
            serial=serial_text(certificate.serial_number),
            fingerprint=fingerprint_of(certificate),
            profile=profile,
            not_before=certificate.not_valid_before_utc,
            not_after=certificate.not_valid_after_utc,
            issuer=issuer,
            key_type=key_type,
            spki=spki,
            claim=origin.claim,
            renewed=origin.renewed,
        )
        await self._facts.append(tx, body.fact(_subject(origin.device), origin.actor))

    async def revoke(
        self, tx: Tx, found: CertificateRecord, reason: Reason, actor: str, comment: str | None = None
    ) -> bool:
        """Revoke a certificate; True if that changed anything.

        The second time changes nothing, except that a key may turn out to be compromised later: then the reason
        becomes that one, and the time stays the first.
        """
        table = tables.certificate
        now = self._clock.now().replace(microsecond=0)
        this = update(table).where(table.c.serial == found.serial)
        was: Reason | None = None
        done = await tx.execute(this.where(table.c.revoked_at.is_(None)).values(revoked_at=now, reason=reason.value))
        if done.rowcount == 0:
            was = found.reason or Reason.UNSPECIFIED
            if reason is not Reason.KEY_COMPROMISE:
                return False
            worse = await tx.execute(this.where(table.c.reason != reason.value).values(reason=reason.value))
            if worse.rowcount == 0:
                return False
        await tx.execute(
            update(tables.ca).where(tables.ca.c.name == found.issuer).values(revision=tables.ca.c.revision + 1)
        )
        for call in self._watchers:
            tx.on_commit(partial(call, found.issuer))
        body = CertificateRevoked(found.device, found.serial, found.fingerprint, reason.value, comment, was)
        await self._facts.append(tx, body.fact(_subject(found.device), actor))
        return True

    async def find(self, name: str) -> CertificateRecord:
        """The certificate with this serial or fingerprint, in hexadecimal. Raises NotFound."""
        async with self._store.read() as conn:
            row = (await conn.execute(_named(name))).first()
        return _found(row, name)

    async def find_in(self, tx: Tx, name: str) -> CertificateRecord:
        """The same, inside a transaction."""
        return _found((await tx.execute(_named(name))).first(), name)

    async def compromised(self, tx: Tx, spki: str) -> bool:
        """Whether a certificate of this key was revoked because the key is not a secret any more."""
        table = tables.certificate
        query = select(table.c.number).where(table.c.spki == spki, table.c.reason == Reason.KEY_COMPROMISE.value)
        return (await tx.execute(query.limit(1))).first() is not None

    async def page(
        self, *, device: DeviceId | None, status: Status | None, before: int | None, limit: int
    ) -> list[CertificateRecord]:
        """Certificates, newest first."""
        async with self._store.read() as conn:
            return await tables.certificates(
                conn, now=self._clock.now(), device=device, status=status, before=before, limit=limit
            )

    async def newest(self, devices: Sequence[DeviceId]) -> dict[DeviceId, CertificateRecord]:
        """The newest certificate of each of these devices (at most a page of them)."""
        async with self._store.read() as conn:
            return await tables.newest(conn, devices)

    async def counts(self) -> Counts:
        """How many device certificates there are; reads one index entry per certificate."""
        now = self._clock.now()
        table = tables.certificate
        live = (table.c.revoked_at.is_(None)) & (table.c.not_after >= now)

        def soon(days: int) -> ColumnElement[int]:
            return func.count().filter(live & (table.c.not_after < now + timedelta(days=days)))

        query = select(
            func.count().filter(live),
            soon(7),
            soon(30),
            func.count().filter(table.c.revoked_at.is_not(None)),
        ).where(table.c.device.is_not(None))
        async with self._store.read() as conn:
            row = (await conn.execute(query)).one()
        return Counts(*row)


def superseded(valid: Sequence[CertificateRecord], keep: frozenset[str]) -> list[CertificateRecord]:
    """Which of a device's valid certificates end with a new one: all but those whose serials are kept."""
    return [found for found in valid if found.serial not in keep]


def _named(name: str) -> Select[Any]:
    table = tables.certificate
    text = name.lower()
    if len(text) == 64:
        return select(table).where(table.c.fingerprint == text)
    return select(table).where(table.c.serial == text.lstrip("0"))


def _found(row: Row[Any] | None, name: str) -> CertificateRecord:
    if row is None:
        raise NotFound(f"no certificate {name[:70]!r}", remedy="list them: ironroot cert list", code="no-certificate")
    return tables.record(row)


def _subject(device: DeviceId | None) -> str:
    return PLATFORM if device is None else about_device(device)
