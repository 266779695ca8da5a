"""The certificate authority as the rest of the platform sees it: one front for hierarchy, claims, enrolment,
revocation, lists and server certificates. Each has its own file; what crosses them (revocation) is here.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import update

from ironroot.core.clock import Clock
from ironroot.core.errors import Malformed, Unprocessable
from ironroot.core.ids import DeviceId, Fingerprint
from ironroot.domains.pki import tables
from ironroot.domains.pki.claimbook import ClaimBook
from ironroot.domains.pki.enrolment import Enrolment
from ironroot.domains.pki.hierarchy import Hierarchy
from ironroot.domains.pki.ledger import Ledger
from ironroot.domains.pki.model import (
    Ca,
    CertificateRecord,
    Claim,
    ClaimState,
    Counts,
    NewClaim,
    PkiConfig,
    Reason,
    Role,
    ServerIdentity,
    Status,
)
from ironroot.domains.pki.ports import Admission, Devices, Entropy, Facts, Keys, Refusals
from ironroot.domains.pki.profiles import CA_PROFILES
from ironroot.domains.pki.publisher import Publisher
from ironroot.domains.pki.servers import Servers
from ironroot.store.engine import Store

MAX_COMMENT = 500
CA_NAMES = frozenset(profile.name for profile in CA_PROFILES.values())


class Authority:
    """Call `initialise` once before anything else."""

    def __init__(
        self,
        store: Store,
        log: Facts,
        ring: Keys,
        clock: Clock,
        devices: Devices,
        config: PkiConfig,
        *,
        admission: Admission,
        refusals: Refusals,
        entropy: Entropy = secrets.token_bytes,
    ) -> None:
        self._store = store
        self._clock = clock
        self._ledger = Ledger(store, log, clock)
        self._hierarchy = Hierarchy(store, log, ring, clock, self._ledger, config, entropy)
        self._book = ClaimBook(store, log, ring, clock, devices, refusals, config, entropy)
        self._enrolment = Enrolment(
            store, clock, self._hierarchy, self._ledger, self._book, admission, refusals, config
        )
        self._publisher = Publisher(store, log, clock, self._hierarchy, config)
        self._ledger.on_revoked(self._publisher.changed)
        self._servers = Servers(store, ring, clock, self._hierarchy, self._ledger, config)

    async def initialise(self) -> None:
        """Open the hierarchy, made on the first start. Raises Corrupt for keys that do not fit."""
        await self._hierarchy.initialise()

    async def create_claim(
        self, device: DeviceId, actor: str, lifetime: timedelta | None = None, type_: str | None = None
    ) -> NewClaim:
        """A claim for a device, registered now when it is new; see `ClaimBook.create`."""
        return await self._book.create(device, actor, lifetime, type_)

    async def claims(
        self,
        *,
        device: DeviceId | None = None,
        state: ClaimState | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[Claim]:
        """Claims, newest first. Of the states only `open` narrows."""
        return await self._book.page(device=device, state=state, before=before, limit=limit)

    async def enrol(self, device_text: str, claim_text: str, csr: bytes, source: str) -> bytes:
        """A certificate (DER) for a claim; see `Enrolment.enrol`."""
        return await self._enrolment.enrol(device_text, claim_text, csr, source)

    async def reenrol(self, fingerprint: Fingerprint | None, csr: bytes, source: str) -> bytes:
        """A certificate (DER) for the current one; see `Enrolment.reenrol`."""
        return await self._enrolment.reenrol(fingerprint, csr, source)

    async def revoke_device(
        self, device: DeviceId, reason: Reason, actor: str, comment: str | None = None
    ) -> list[str]:
        """Revoke every valid certificate of the device and void its open claims; serials of what was revoked.

        Doing it twice is doing it once. A claim made afterwards is the only way back.
        """
        _examine(reason, comment)
        now = self._clock.now()
        async with self._store.write() as tx:
            await tables.lock(tx, self._store.engine_name, device)
            await tx.execute(update(tables.holder).where(tables.holder.c.device == device).values(revoked_at=now))
            await self._book.void(tx, device, actor)
            found = await tables.valid_of(tx.conn, device, now)
            for certificate in found:
                await self._ledger.revoke(tx, certificate, reason, actor, comment)
        return [certificate.serial for certificate in found]

    async def revoke(self, serial: str, reason: Reason, actor: str, comment: str | None = None) -> CertificateRecord:
        """Revoke one certificate. Again changes nothing, except that `keyCompromise` replaces a milder reason.

        Raises NotFound; Unprocessable for a CA's certificate.
        """
        _examine(reason, comment)
        async with self._store.write() as tx:
            found = await self._ledger.find_in(tx, serial)
            if found.profile in CA_NAMES:
                raise Unprocessable(
                    "a CA is not revoked like a leaf: everything it signed would end",
                    remedy="replace it by a successor first",
                    code="ca-certificate",
                )
            if found.device is not None:
                await tables.lock(tx, self._store.engine_name, found.device)
                found = await self._ledger.find_in(tx, serial)
            await self._ledger.revoke(tx, found, reason, actor, comment)
        return await self._ledger.find(serial)

    async def certificate(self, name: str) -> CertificateRecord:
        """The certificate with this serial or fingerprint. Raises NotFound."""
        return await self._ledger.find(name)

    async def certificates(
        self,
        device: DeviceId | None = None,
        *,
        status: Status | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[CertificateRecord]:
        """Certificates, newest first."""
        return await self._ledger.page(device=device, status=status, before=before, limit=limit)

    async def newest(self, devices: Sequence[DeviceId]) -> dict[DeviceId, CertificateRecord]:
        """The newest certificate of each of these devices (at most a page of them), whatever its status."""
        return await self._ledger.newest(devices)

    async def counts(self) -> Counts:
        """How many device certificates there are."""
        return await self._ledger.counts()

    async def server_certificate(self, names: Sequence[str], lifetime: timedelta | None = None) -> ServerIdentity:
        """The identity of the platform's server with these names; see `Servers.identity`."""
        return await self._servers.identity(names, lifetime)

    async def crl(self, ca: str) -> bytes:
        """The newest revocation list of a CA, DER. Raises NotFound."""
        return await self._publisher.crl(ca)

    def cas(self) -> list[Ca]:
        """Every CA, the root first."""
        return self._hierarchy.all()

    def ca(self, name: str) -> Ca:
        """The CA of this name. Raises NotFound."""
        return self._hierarchy.named(name).ca

    def bundle(self) -> list[x509.Certificate]:
        """Every CA certificate, the root first: what EST's cacerts answers."""
        return [ca.certificate for ca in self._hierarchy.all()]

    def roots_pem(self) -> bytes:
        """The roots alone: what servers' clients trust."""
        return self._pem(Role.ROOT)

    def device_bundle_pem(self) -> bytes:
        """What a door verifies devices against: they show their leaf alone, so their issuers are in it."""
        return self._pem(Role.DEVICE) + self._pem(Role.ROOT)

    def _pem(self, role: Role) -> bytes:
        return b"".join(ca.certificate.public_bytes(Encoding.PEM) for ca in self._hierarchy.all() if ca.role is role)


def _examine(reason: Reason, comment: str | None) -> None:
    if reason is Reason.CA_COMPROMISE:
        raise Unprocessable("cACompromise is a reason for CAs", remedy="use keyCompromise", code="reason")
    if comment is not None and (len(comment) > MAX_COMMENT or not comment.isprintable()):
        raise Malformed(f"a comment is printable text of at most {MAX_COMMENT} characters", remedy="shorten it")
