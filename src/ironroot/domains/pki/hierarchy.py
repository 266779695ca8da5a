"""The certification authorities: made on the first start, opened on every other, and their pen.

Root above server-1, factory-1 and device-1. A CA's private key stays in the key ring; what is stored here is its
certificate, and at every start the two are held against each other. `sign` is the only place where a CA key signs a
certificate, and it takes the whole way: prepare, lint, issue.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import insert, select

from ironroot.core.clock import Clock
from ironroot.core.errors import Corrupt, NotFound
from ironroot.domains.pki import names, publickey, tables
from ironroot.domains.pki.facts import CaCreated
from ironroot.domains.pki.issue import issue, prepare
from ironroot.domains.pki.ledger import Ledger, Origin, fingerprint_of, serial_text
from ironroot.domains.pki.lint import lint
from ironroot.domains.pki.model import Ca, PkiConfig, Role
from ironroot.domains.pki.ports import Entropy, Facts, Keys
from ironroot.domains.pki.profiles import CA_PROFILES, Profile
from ironroot.eventlog.model import PLATFORM
from ironroot.store.engine import Store, Tx

FIRST: Sequence[tuple[str, Role]] = (
    ("root", Role.ROOT),
    ("server-1", Role.SERVER),
    ("factory-1", Role.FACTORY),
    ("device-1", Role.DEVICE),
)


@dataclass(frozen=True, slots=True)
class Signing:
    """A CA with its pen."""

    ca: Ca
    key: EllipticCurvePrivateKey


class Hierarchy:
    """All CAs of this installation, in memory once `initialise` has run."""

    def __init__(
        self,
        store: Store,
        facts: Facts,
        keys: Keys,
        clock: Clock,
        ledger: Ledger,
        config: PkiConfig,
        entropy: Entropy = secrets.token_bytes,
    ) -> None:
        self._store = store
        self._facts = facts
        self._keys = keys
        self._clock = clock
        self._ledger = ledger
        self._config = config
        self._entropy = entropy
        self._signing: dict[str, Signing] = {}

    async def initialise(self) -> None:
        """Open every CA; make those of the first start that are missing, all in one transaction.

        Raises Corrupt when a CA's key is not the one its certificate names.
        """
        async with self._store.read() as conn:
            rows = (await conn.execute(select(tables.ca).order_by(tables.ca.c.created_at).limit(1000))).all()
        for row in rows:
            ca = Ca(row.name, Role(row.role), x509.load_der_x509_certificate(row.certificate))
            self._signing[ca.name] = Signing(ca, await self._open(ca))
        missing = [(name, role) for name, role in FIRST if name not in self._signing]
        if missing:
            made: dict[str, Signing] = {}
            async with self._store.write() as tx:
                for name, role in missing:
                    made[name] = await self._make(tx, name, role, self._signing | made)
            self._signing |= made

    def current(self, role: Role) -> Signing:
        """The CA that signs for this purpose now: the newest. Raises NotFound before `initialise`."""
        found = [s for s in self._signing.values() if s.ca.role is role]
        if not found:
            raise NotFound(f"no {role} CA", remedy="start the platform once")
        return max(found, key=lambda s: s.ca.certificate.not_valid_before_utc)

    def named(self, name: str) -> Signing:
        """The CA of this name. Raises NotFound."""
        if name not in self._signing:
            raise NotFound("no such CA", remedy="list them: ironroot ca list", code="no-ca")
        return self._signing[name]

    def all(self) -> list[Ca]:
        """Every CA, roots first."""
        return sorted((s.ca for s in self._signing.values()), key=lambda ca: (ca.role is not Role.ROOT, ca.name))

    def sign(
        self,
        signing: Signing,
        profile: Profile,
        *,
        subject: x509.Name,
        alternative: Sequence[x509.GeneralName],
        public_key: EllipticCurvePublicKey | RSAPublicKey,
        lifetime: timedelta,
    ) -> x509.Certificate:
        """A leaf certificate: prepared, linted, issued. About 0.3 ms. Raises LintFailed."""
        draft = prepare(
            profile,
            subject=subject,
            names=alternative,
            public_key=public_key,
            issuer=signing.ca,
            public_url=self._config.public_url,
            serial=self._serial(),
            now=self._clock.now(),
            back_date=self._config.back_date,
            lifetime=lifetime,
        )
        return issue(lint(draft, profile), signing.key)

    def _serial(self) -> int:
        """158 random bits with a leading one: positive, 20 octets, never short (RFC 5280 4.1.2.2)."""
        return int.from_bytes(self._entropy(20)) >> 2 | 1 << 158

    async def _open(self, ca: Ca) -> EllipticCurvePrivateKey:
        key = await self._keys.signing_key(_key_name(ca.name), "p256")
        if key.public_key() != ca.certificate.public_key():
            raise Corrupt(
                f"the key of the CA {ca.name} is not the one in its certificate",
                remedy="restore state.db and keys/ from the same backup",
            )
        return key

    async def _make(self, tx: Tx, name: str, role: Role, known: dict[str, Signing]) -> Signing:
        profile = CA_PROFILES[role]
        key = await self._keys.signing_key(_key_name(name), "p256", tx)
        public_key = key.public_key()
        spki = publickey.spki_hash(public_key)
        above = None if profile.self_signed else _root_of(known)
        draft = prepare(
            profile,
            subject=names.authority_name(f"Ironroot {name}", spki[:16]),
            public_key=public_key,
            issuer=above.ca if above else None,
            public_url=self._config.public_url,
            serial=self._serial(),
            now=self._clock.now(),
            back_date=self._config.back_date,
        )
        certificate = issue(lint(draft, profile), above.key if above else key)
        await self._write(tx, Ca(name, role, certificate), above.ca.name if above else name, profile, spki)
        return Signing(Ca(name, role, certificate), key)

    async def _write(self, tx: Tx, ca: Ca, issuer: str, profile: Profile, spki: str) -> None:
        now = self._clock.now()
        certificate = ca.certificate
        der = certificate.public_bytes(Encoding.DER)
        await tx.execute(
            insert(tables.ca).values(name=ca.name, role=ca.role.value, certificate=der, created_at=now, revision=0)
        )
        await tx.execute(
            insert(tables.crl).values(ca=ca.name, number=0, revision=-1, der=b"", this_update=now, next_update=now)
        )
        await tables.owner_of_key(tx, self._store.engine_name, spki, f"ca/{ca.name}")
        await self._ledger.insert(
            tx,
            certificate,
            profile=profile.name,
            issuer=issuer,
            key_type=publickey.Family.P256.value,
            spki=spki,
            origin=Origin(PLATFORM),
        )
        body = CaCreated(
            name=ca.name,
            role=ca.role.value,
            serial=serial_text(certificate.serial_number),
            fingerprint=fingerprint_of(certificate),
            not_before=certificate.not_valid_before_utc,
            not_after=certificate.not_valid_after_utc,
            issuer=issuer,
        )
        await self._facts.append(tx, body.fact(f"ca/{ca.name}", PLATFORM))


def _root_of(known: dict[str, Signing]) -> Signing:
    return next(s for s in known.values() if s.ca.role is Role.ROOT)


def _key_name(ca: str) -> str:
    return f"ca/{ca}"
