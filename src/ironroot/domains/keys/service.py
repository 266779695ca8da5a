"""The key ring: purpose keys, signing keys, sealing, and the log's signer. Keys are cached in memory once opened.

Two levels: the master key wraps the few purpose keys; the purpose key `seal` seals everything else. Changing the
master key therefore rewrites a handful of rows. A key is made once: two makers at the same time end with one key.
The log takes facts before it has keys (`EventLog.equip`), so that the making of its own key is a fact too.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Literal, TypeVar, overload

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from ironroot.core.clock import Clock
from ironroot.core.errors import Corrupt, Misconfigured
from ironroot.core.secret import Secret
from ironroot.domains.keys import envelope, software, tables
from ironroot.domains.keys.model import SECRET_BYTES, Algorithm, SigningKey
from ironroot.domains.keys.persons import PersonKeyring
from ironroot.domains.keys.ports import Facts, MasterKey
from ironroot.domains.keys.signer import LogSigner
from ironroot.eventlog.model import PLATFORM
from ironroot.store.engine import Store, Tx
from ironroot.store.sql import upsert

SEAL = "seal"
T = TypeVar("T")


class KeyRing:
    """Every key of the platform. Call `initialise` before `seal`, `open`, `signing_key` and `persons`."""

    def __init__(self, store: Store, log: Facts, master: MasterKey, clock: Clock) -> None:
        self._store = store
        self._log = log
        self._master = master
        self._clock = clock
        self._secrets: dict[str, Secret] = {}
        self._signing: dict[str, SigningKey] = {}
        self._seal: dict[int, bytes] = {}
        self.persons = PersonKeyring(store, log, self, clock)

    async def initialise(self) -> None:
        """Open the sealing key, made on the first start. Raises Misconfigured for a master key of another store."""
        await self.secret(SEAL)
        table = tables.secret_key
        async with self._store.read() as conn:
            rows = (await conn.execute(select(table).where(table.c.name == SEAL).limit(1000))).all()
        self._seal = {r.generation: self._master.unwrap(_secret_at(SEAL, r.generation), r.wrapped) for r in rows}

    async def secret(self, name: str, tx: Tx | None = None) -> Secret:
        """The 32-byte purpose key called `name`, made on first use. Inside a write transaction pass it as `tx`.

        Raises Corrupt, Misconfigured.
        """
        if name in self._secrets:
            return self._secrets[name]
        key = await self._load_or_make(
            lambda conn: self._load_secret(conn, name), lambda t: self._make_secret(t, name), tx
        )
        _keep(self._secrets, name, key, tx)
        return key

    @overload
    async def signing_key(
        self, name: str, algorithm: Literal["p256"], tx: Tx | None = None
    ) -> EllipticCurvePrivateKey: ...

    @overload
    async def signing_key(
        self, name: str, algorithm: Literal["ed25519"], tx: Tx | None = None
    ) -> Ed25519PrivateKey: ...

    async def signing_key(self, name: str, algorithm: Literal["p256", "ed25519"], tx: Tx | None = None) -> SigningKey:
        """The signing key called `name`, made on first use. Inside a write transaction pass it as `tx`.

        Raises Corrupt; Misconfigured when the key exists and is of another algorithm.
        """
        wanted = Algorithm(algorithm)
        key: SigningKey
        if name in self._signing:
            key = self._signing[name]
        else:
            key = await self._load_or_make(
                lambda conn: self._load_signing(conn, name), lambda t: self._make_signing(t, name, wanted), tx
            )
            _keep(self._signing, name, key, tx)
        if software.algorithm(key) is not wanted:
            raise Misconfigured(f"the key {name!r} is not {algorithm}", remedy="use another name for another algorithm")
        return key

    async def checkpoint_signer(self, origin: str) -> LogSigner:
        """The key that signs the log's checkpoints, under the name they carry."""
        return LogSigner(origin, await self.signing_key("log", "ed25519"))

    def seal(self, context: str, plaintext: bytes) -> bytes:
        """`plaintext` sealed for the place `context` names (`TABLE/COLUMN/ROW`)."""
        keys = self._opened()
        newest = max(keys)
        return envelope.seal(keys[newest], newest, context, plaintext, secrets.token_bytes(envelope.NONCE_BYTES))

    def open(self, context: str, sealed: bytes) -> bytes:
        """What was sealed for the same place. Raises Corrupt."""
        key = self._opened().get(envelope.generation(sealed))
        if key is None:
            raise Corrupt(f"sealed value at {context!r} names a key that does not exist", remedy="restore a backup")
        return envelope.unseal(key, context, sealed)

    def _opened(self) -> dict[int, bytes]:
        if not self._seal:
            raise Misconfigured("the key ring is not open", remedy="call KeyRing.initialise first")
        return self._seal

    async def _load_or_make(
        self,
        load: Callable[[AsyncConnection], Awaitable[T | None]],
        make: Callable[[Tx], Awaitable[None]],
        tx: Tx | None,
    ) -> T:
        """Read; make what is not there; read again, because another process may have been faster."""
        if tx is None:
            async with self._store.read() as conn:
                found = await load(conn)
            if found is not None:
                return found
        unit: AbstractAsyncContextManager[Tx] = self._store.write() if tx is None else nullcontext(tx)
        async with unit as t:
            found = await load(t.conn)
            if found is None:
                await make(t)
                found = await load(t.conn)
        if found is None:
            raise Corrupt("a key just written is not there", remedy="look at the store's health")
        return found

    async def _load_secret(self, conn: AsyncConnection, name: str) -> Secret | None:
        table = tables.secret_key
        newest = select(table).where(table.c.name == name).order_by(table.c.generation.desc()).limit(1)
        row = (await conn.execute(newest)).first()
        if row is None:
            return None
        return Secret(self._master.unwrap(_secret_at(name, row.generation), row.wrapped))

    async def _make_secret(self, tx: Tx, name: str) -> None:
        wrapped = self._master.wrap(_secret_at(name, 1), secrets.token_bytes(SECRET_BYTES))
        insert = upsert(self._store.engine_name, tables.secret_key).values(
            name=name, generation=1, wrapped=wrapped, created_at=self._clock.now()
        )
        if (await tx.execute(insert.on_conflict_do_nothing())).rowcount == 1:
            await self._log.append(tx, software.secret_created(name, 1).fact(PLATFORM, PLATFORM))

    async def _load_signing(self, conn: AsyncConnection, name: str) -> SigningKey | None:
        table = tables.signing_key
        row = (await conn.execute(select(table.c.wrapped).where(table.c.name == name))).first()
        return None if row is None else software.load(self.open(_signing_at(name), row.wrapped))

    async def _make_signing(self, tx: Tx, name: str, algorithm: Algorithm) -> None:
        private, public = software.generate(algorithm)
        insert = upsert(self._store.engine_name, tables.signing_key).values(
            name=name,
            algorithm=algorithm.value,
            wrapped=self.seal(_signing_at(name), private),
            public=public,
            created_at=self._clock.now(),
        )
        if (await tx.execute(insert.on_conflict_do_nothing())).rowcount == 1:
            body = software.signing_created(name, algorithm, public)
            await self._log.append(tx, body.fact(PLATFORM, PLATFORM))


def _keep(cache: dict[str, T], name: str, key: T, tx: Tx | None) -> None:
    """Cache a key that is durable; one made in a transaction that rolls back must not survive in memory."""
    if tx is None:
        cache[name] = key
    else:
        tx.on_commit(lambda: cache.__setitem__(name, key))


def _secret_at(name: str, generation: int) -> str:
    return f"secret_key/wrapped/{name}/{generation}"


def _signing_at(name: str) -> str:
    return f"signing_key/private/{name}"
