"""Enrolment and renewal: the right to ask, the policy's word, a sound key, one certificate, one transaction.

Two rights exist: a claim (enrol) and the current certificate (renew). A refusal leaves the claim as it was and is a
fact. What the device had before ends as superseded, except the certificate a renewal was asked with: the answer may
get lost, and the device must be able to ask again. EST and, later, CMP are two ways in to the same two functions.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.serialization import Encoding

from ironroot.core.clock import Clock
from ironroot.core.errors import Forbidden, NotFound, Refused, TooMany, Unauthenticated, Unprocessable
from ironroot.core.gcra import Budget, Gcra
from ironroot.core.ids import DeviceId, Fingerprint, device_id
from ironroot.domains.pki import claims, csr, names, tables
from ironroot.domains.pki.claimbook import ClaimBook
from ironroot.domains.pki.csr import Request
from ironroot.domains.pki.facts import EnrolmentRefused
from ironroot.domains.pki.hierarchy import Hierarchy
from ironroot.domains.pki.ledger import Ledger, Origin, serial_text, superseded
from ironroot.domains.pki.model import CertificateRecord, PkiConfig, Purpose, Reason, Role, Status
from ironroot.domains.pki.ports import Admission, Refusals
from ironroot.domains.pki.profiles import DEVICE
from ironroot.eventlog.model import about_device
from ironroot.store.engine import Store, Tx

RENEWALS = Budget(burst=20, period_s=600)
"""Attempts at renewal by one device: each that succeeds is a row and a fact for ever."""


class Enrolment:
    """Certifies devices."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        hierarchy: Hierarchy,
        ledger: Ledger,
        book: ClaimBook,
        admission: Admission,
        refusals: Refusals,
        config: PkiConfig,
    ) -> None:
        self._store = store
        self._clock = clock
        self._hierarchy = hierarchy
        self._ledger = ledger
        self._book = book
        self._admission = admission
        self._refusals = refusals
        self._config = config
        self._renewals = Gcra(RENEWALS)

    async def enrol(self, device_text: str, claim_text: str, request: bytes, source: str) -> bytes:
        """A certificate (DER) for the device that shows a claim of its own.

        Raises Unauthenticated for a wrong, used, expired or voided claim, TooMany for guessing, Forbidden where the
        policy says no, Malformed, TooLarge or Unprocessable for the request.
        """
        try:
            device = device_id(device_text)
        except Refused as refusal:
            raise await self._book.refuse(None, source, refusal) from None
        claim = await self._book.genuine(device, claim_text, source)
        try:
            wanted = csr.examine(request, device, DEVICE.families)
            async with self._store.write() as tx:
                revoked_at = await tables.lock(tx, self._store.engine_name, device)
                await self._book.spend(tx, device, claim)
                await self._admit(tx, device, "enrol")
                origin = Origin(about_device(device), device, claim=claim)
                der, serial = await self._certify(tx, wanted, origin, keep=frozenset())
                await self._book.spent(tx, device, claim, serial)
                if revoked_at is not None:
                    await tables.readmit(tx, device)
        except Unauthenticated as refusal:
            raise await self._book.refuse(device, source, refusal, claim) from None
        except Refused as refusal:
            await self._refused(device, source, refusal, renew=False)
            raise self._book.charge(claim, refusal) from None
        return der

    async def reenrol(self, fingerprint: Fingerprint | None, request: bytes, source: str) -> bytes:
        """A new certificate (DER) for the device that proved, in TLS, to hold the key of this one.

        Raises Unauthenticated without a certificate, Forbidden where it is not a device's of this platform, revoked,
        expired, or the policy says no; TooMany; Malformed, TooLarge or Unprocessable for the request.
        """
        if fingerprint is None:
            raise Unauthenticated(
                "renewal needs the current certificate", remedy="connect with it, or enrol with a claim", code="renew"
            )
        device: DeviceId | None = None
        try:
            self._brake(fingerprint)
            async with self._store.write() as tx:
                device, current = await self._holder(tx, fingerprint)
                self._brake(device)
                status = current.status(self._clock.now())
                if status is not Status.VALID:
                    raise _not_current(f"the certificate is {status}", f"certificate-{status}")
                await self._admit(tx, device, "renew")
                wanted = csr.examine(request, device, DEVICE.families)
                origin = Origin(about_device(device), device, renewed=current.serial)
                der, _ = await self._certify(tx, wanted, origin, keep=frozenset({current.serial}))
        except Refused as refusal:
            await self._refused(device, source, refusal, renew=True)
            raise
        return der

    async def _holder(self, tx: Tx, fingerprint: Fingerprint) -> tuple[DeviceId, CertificateRecord]:
        """Whose certificate this is, and the certificate as it is now that the device is locked."""
        try:
            found = await self._ledger.find_in(tx, fingerprint)
        except NotFound as e:
            raise _not_current("not a certificate of this platform") from e
        if found.device is None:
            raise _not_current("no certificate of a device")
        await tables.lock(tx, self._store.engine_name, found.device)
        return found.device, await self._ledger.find_in(tx, fingerprint)

    async def _admit(self, tx: Tx, device: DeviceId, purpose: Purpose) -> None:
        decision = await self._admission.decide(tx, device, purpose)
        if not decision.allowed:
            why = "; ".join(decision.reasons) or "the policy says no"
            raise Forbidden(
                f"{device} may not {purpose}: {why}",
                remedy="an operator decides about this device",
                code=f"{purpose}-denied",
            )

    def _brake(self, key: str) -> None:
        """Every attempt counts, once per certificate (before the store is asked) and once per device."""
        if wait := self._renewals.take(key, self._clock.monotonic()):
            raise TooMany(
                "too many renewals", retry_after_s=wait, remedy="renew at two thirds of the certificate's life"
            )

    async def _certify(self, tx: Tx, wanted: Request, origin: Origin, keep: frozenset[str]) -> tuple[bytes, str]:
        """The certificate in DER and its serial; what the device had before, but for `keep`, is superseded."""
        device = origin.device
        assert device is not None  # noqa: S101 (both callers name one)
        await self._own(tx, device, wanted)
        signing = self._hierarchy.current(Role.DEVICE)
        before = await tables.valid_of(tx.conn, device, self._clock.now())
        certificate = self._hierarchy.sign(
            signing,
            DEVICE,
            subject=names.common_name(device),
            alternative=names.device_names(device),
            public_key=wanted.public_key,
            lifetime=self._config.device_lifetime,
        )
        await self._ledger.issued(
            tx,
            certificate,
            profile=DEVICE.name,
            issuer=signing.ca.name,
            key_type=wanted.key_type,
            spki=wanted.spki,
            origin=origin,
        )
        for old in superseded(before, keep):
            await self._ledger.revoke(tx, old, Reason.SUPERSEDED, origin.actor)
        return certificate.public_bytes(Encoding.DER), serial_text(certificate.serial_number)

    async def _own(self, tx: Tx, device: DeviceId, wanted: Request) -> None:
        """One key, one device: a copied key would make two devices one."""
        owner, new = await tables.owner_of_key(tx, self._store.engine_name, wanted.spki, about_device(device))
        if owner != about_device(device):
            raise Unprocessable(
                "this key is certified for somebody else", remedy="make a new key on the device", code="key-copied"
            )
        if not new and await self._ledger.compromised(tx, wanted.spki):
            raise Unprocessable(
                "this key was reported compromised", remedy="make a new key on the device", code="key-compromised"
            )

    async def _refused(self, device: DeviceId | None, source: str, refusal: Refused, *, renew: bool) -> None:
        peer = claims.peer(source)
        body = EnrolmentRefused(device, source, refusal.error_code, renew, refusal.message[:200])
        await self._refusals.note(body.fact(about_device(device) if device else peer, peer))


def _not_current(text: str, code: str = "certificate-unknown") -> Forbidden:
    return Forbidden(text, remedy="enrol with a new claim", code=code)
