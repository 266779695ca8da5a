"""An in-memory world around the PKI: real store, log and keys; devices, policy and refusals that a test can turn."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from ironroot.core.decision import Decision
from ironroot.core.errors import Conflict
from ironroot.core.ids import DeviceId
from ironroot.domains.keys.master import MasterKeyFile
from ironroot.domains.keys.service import KeyRing
from ironroot.domains.pki.ledger import fingerprint_of
from ironroot.domains.pki.model import NewClaim, PkiConfig, Purpose, Reason
from ironroot.domains.pki.service import Authority
from ironroot.eventlog.log import EventLog
from ironroot.eventlog.model import Fact, NewFact
from ironroot.store.engine import Store, Tx
from tests.support.clock import ManualClock

METER = DeviceId("meter-1")
OTHER = DeviceId("meter-2")
ADMIN = "user/usr_admin"
SOURCE = "192.0.2.7"
START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class FakeDevices:
    known: dict[DeviceId, str | None] = field(default_factory=dict)
    retired: set[DeviceId] = field(default_factory=set)

    async def ensure(self, tx: Tx, device: DeviceId, actor: str, *, type_: str | None = None) -> None:
        if device in self.retired:
            raise Conflict("retired")
        self.known.setdefault(device, type_)


@dataclass
class FakeAdmission:
    refused: dict[DeviceId, str] = field(default_factory=dict)

    async def decide(self, tx: Tx, device: DeviceId, purpose: Purpose) -> Decision:
        reason = self.refused.get(device)
        return Decision(reason is None, () if reason is None else (reason,))


@dataclass
class FakeRefusals:
    noted: list[NewFact] = field(default_factory=list)

    async def note(self, fact: NewFact) -> None:
        self.noted.append(fact)

    def codes(self, kind: str) -> list[object]:
        return [fact.body["code"] for fact in self.noted if fact.kind == kind]


@dataclass
class World:
    store: Store
    clock: ManualClock
    log: EventLog
    ring: KeyRing
    devices: FakeDevices
    admission: FakeAdmission
    refusals: FakeRefusals
    config: PkiConfig
    pki: Authority

    async def claim(self, device: DeviceId = METER) -> NewClaim:
        return await self.pki.create_claim(device, ADMIN)

    async def enrol(self, device: DeviceId = METER, key: ec.EllipticCurvePrivateKey | None = None) -> x509.Certificate:
        """A claim made and used, the whole way."""
        made = await self.claim(device)
        return await self.show(device, made, key)

    async def show(
        self, device: DeviceId, claim: NewClaim, key: ec.EllipticCurvePrivateKey | None = None
    ) -> x509.Certificate:
        der = await self.pki.enrol(device, claim.claim.reveal().decode(), csr(key or new_key(), device), SOURCE)
        return x509.load_der_x509_certificate(der)

    async def renew(
        self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey | None = None
    ) -> x509.Certificate:
        der = await self.pki.reenrol(fingerprint_of(certificate), csr(key or new_key()), SOURCE)
        return x509.load_der_x509_certificate(der)

    async def compromised(self, device: DeviceId = METER) -> list[str]:
        return await self.pki.revoke_device(device, Reason.KEY_COMPROMISE, ADMIN)

    async def facts(self, *kinds: str) -> list[Fact]:
        await self.log.settle()
        return await self.log.read(kinds=kinds, limit=1000)

    async def statuses(self, device: DeviceId = METER) -> list[tuple[str, str | None]]:
        """Status and reason of the device's certificates, oldest first."""
        found = await self.pki.certificates(device)
        return [(c.status(self.clock.now()), c.reason) for c in reversed(found)]


async def world(store: Store, clock: ManualClock | None = None, config: PkiConfig | None = None) -> World:
    clock = clock or ManualClock(START)
    config = config or PkiConfig()
    log = EventLog(store, clock)
    ring = KeyRing(store, log, MasterKeyFile(bytes(range(32))), clock)
    await ring.initialise()
    devices, admission, refusals = FakeDevices(), FakeAdmission(), FakeRefusals()
    pki = Authority(store, log, ring, clock, devices, config, admission=admission, refusals=refusals)
    await pki.initialise()
    return World(store, clock, log, ring, devices, admission, refusals, config, pki)


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def csr(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey,
    name: str | None = None,
    hash_: hashes.SHA256 | hashes.SHA384 | None = None,
) -> bytes:
    """A request in DER."""
    subject = x509.Name([] if name is None else [x509.NameAttribute(NameOID.COMMON_NAME, name)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject)
    return request.sign(key, hash_ or hashes.SHA256()).public_bytes(Encoding.DER)


def openssl(*argv: str | Path, stdin: bytes = b"", ok: bool = True) -> str:
    """What Debian's openssl says; with `ok`, it must not complain."""
    done = subprocess.run(["/usr/bin/openssl", *map(str, argv)], input=stdin, capture_output=True, check=False)
    said = (done.stdout + done.stderr).decode(errors="replace")
    assert not ok or done.returncode == 0, said
    return said


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(c.public_bytes(Encoding.PEM) for c in certificates)


def at(clock: ManualClock) -> str:
    """openssl's -attime."""
    return str(int(clock.now().timestamp()))
