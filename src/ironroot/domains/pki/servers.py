"""Certificates of the platform's own servers: a fresh key each, stored sealed, so that a restart shows the same one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import select

from ironroot.core.canonical import encode
from ironroot.core.clock import Clock
from ironroot.core.secret import Secret
from ironroot.domains.pki import names as names_
from ironroot.domains.pki import publickey, tables
from ironroot.domains.pki.hierarchy import Hierarchy
from ironroot.domains.pki.ledger import Ledger, Origin, serial_text
from ironroot.domains.pki.model import PkiConfig, Role, ServerIdentity, Status
from ironroot.domains.pki.ports import Keys
from ironroot.domains.pki.profiles import SERVER
from ironroot.eventlog.model import PLATFORM
from ironroot.store.engine import Store
from ironroot.store.sql import upsert


class Servers:
    """Identities of the platform's TLS servers, one for each set of names."""

    def __init__(
        self, store: Store, keys: Keys, clock: Clock, hierarchy: Hierarchy, ledger: Ledger, config: PkiConfig
    ) -> None:
        self._store = store
        self._keys = keys
        self._clock = clock
        self._hierarchy = hierarchy
        self._ledger = ledger
        self._config = config

    async def identity(self, names: Sequence[str], lifetime: timedelta | None = None) -> ServerIdentity:
        """The identity for these names: the stored one until two thirds of its life, then a fresh one.

        Also fresh when the stored one was revoked or its CA has a successor. Raises Unprocessable for bad names.
        """
        alternative = names_.server_names(names)
        key = encode(sorted(str(name.value) for name in alternative)).decode()
        life = self._config.server_lifetime if lifetime is None else lifetime
        return await self._stored(key) or await self._fresh(key, alternative, life)

    async def _stored(self, names: str) -> ServerIdentity | None:
        table = tables.server_identity
        now = self._clock.now()
        async with self._store.read() as conn:
            row = (await conn.execute(select(table).where(table.c.names == names))).first()
        if row is None or now >= row.renew_at:
            return None
        found = await self._ledger.find(row.serial)
        signing = self._hierarchy.current(Role.SERVER)
        if found.status(now) is not Status.VALID or found.issuer != signing.ca.name:
            return None
        certificate = x509.load_der_x509_certificate(found.der)
        private = self._keys.open(_place(row.serial), row.private)
        return self._shown(certificate, signing.ca.certificate, private, row.renew_at)

    async def _fresh(self, names: str, alternative: Sequence[x509.GeneralName], lifetime: timedelta) -> ServerIdentity:
        signing = self._hierarchy.current(Role.SERVER)
        private_key = generate_private_key(SECP256R1())
        public_key = private_key.public_key()
        spki = publickey.spki_hash(public_key)
        certificate = self._hierarchy.sign(
            signing,
            SERVER,
            subject=names_.common_name(_title(alternative)),
            alternative=alternative,
            public_key=public_key,
            lifetime=lifetime,
        )
        private = private_key.private_bytes(
            Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        serial = serial_text(certificate.serial_number)
        starts, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        renew_at = starts + (ends - starts) * 2 / 3
        row = {"serial": serial, "private": self._keys.seal(_place(serial), private), "renew_at": renew_at}
        async with self._store.write() as tx:
            await tables.owner_of_key(tx, self._store.engine_name, spki, f"server/{serial}")
            await self._ledger.issued(
                tx,
                certificate,
                profile=SERVER.name,
                issuer=signing.ca.name,
                key_type=publickey.Family.P256.value,
                spki=spki,
                origin=Origin(PLATFORM),
            )
            table = tables.server_identity
            insert = upsert(self._store.engine_name, table).values(names=names, **row)
            await tx.execute(insert.on_conflict_do_update(index_elements=[table.c.names], set_=row))
        return self._shown(certificate, signing.ca.certificate, private, renew_at)

    def _shown(
        self, leaf: x509.Certificate, issuer: x509.Certificate, private: bytes, renew_at: datetime
    ) -> ServerIdentity:
        return ServerIdentity(
            chain_pem=leaf.public_bytes(Encoding.PEM) + issuer.public_bytes(Encoding.PEM),
            key_pem=Secret(private),
            serial=serial_text(leaf.serial_number),
            not_after=leaf.not_valid_after_utc,
            renew_at=renew_at,
        )


def _title(alternative: Sequence[x509.GeneralName]) -> str:
    """The common name: the first name that fits (64 characters, X.520)."""
    return next((text for name in alternative if len(text := str(name.value)) <= 64), "Ironroot server")


def _place(serial: str) -> str:
    return f"server_identity/private/{serial}"
