"""Claims as they are made, shown and voided, and the brake on guessing.

Only refused attempts spend budget, and a genuine claim is never turned away for other people's: a stranger who floods
a device's name can slow down strangers, not the device. A guess costs one HMAC and touches no row.
"""

from __future__ import annotations

import secrets
from datetime import timedelta

from sqlalchemy import func, insert, select, update

from ironroot.core.clock import Clock
from ironroot.core.errors import Conflict, Refused, TooMany, Unauthenticated, Unprocessable
from ironroot.core.gcra import Gcra
from ironroot.core.ids import ClaimId, DeviceId
from ironroot.core.secret import Secret
from ironroot.domains.pki import claims, tables
from ironroot.domains.pki.facts import ClaimCreated, ClaimRefused, ClaimUsed, ClaimVoided
from ironroot.domains.pki.model import Claim, ClaimState, NewClaim, PkiConfig
from ironroot.domains.pki.ports import Devices, Entropy, Facts, Keys, Refusals
from ironroot.eventlog.model import about_device
from ironroot.store.engine import Store, Tx


class ClaimBook:
    """All claims."""

    def __init__(
        self,
        store: Store,
        facts: Facts,
        keys: Keys,
        clock: Clock,
        devices: Devices,
        refusals: Refusals,
        config: PkiConfig,
        entropy: Entropy = secrets.token_bytes,
    ) -> None:
        self._store = store
        self._facts = facts
        self._keys = keys
        self._clock = clock
        self._devices = devices
        self._refusals = refusals
        self._config = config
        self._entropy = entropy
        self._per_device = Gcra(claims.PER_DEVICE)
        self._per_source = Gcra(claims.PER_SOURCE)

    async def create(
        self, device: DeviceId, actor: str, lifetime: timedelta | None = None, type_: str | None = None
    ) -> NewClaim:
        """A claim, shown this once. Registers the device when it is new.

        Raises Unprocessable for a lifetime out of bounds, Conflict for a retired device or one with ten open claims.
        """
        given = self._config.claim_lifetime if lifetime is None else lifetime
        if not timedelta(0) < given <= self._config.max_claim_lifetime:
            days = self._config.max_claim_lifetime.days
            raise Unprocessable(f"a claim lives at most {days} days", remedy="give a shorter time, like 24h")
        key = await self._keys.secret(claims.PURPOSE)
        now = self._clock.now()
        made = claims.claim_id(self._entropy(16))
        table = tables.claim
        async with self._store.write() as tx:
            await self._devices.ensure(tx, device, actor, type_=type_)
            revoked_at = await tables.lock(tx, self._store.engine_name, device)
            still_open = select(func.count()).where(table.c.device == device, tables.open_claim(now))
            if (await tx.execute(still_open)).scalar_one() >= self._config.max_open_claims:
                raise Conflict(
                    f"{device} has {self._config.max_open_claims} open claims",
                    remedy="use one of them, or revoke the device, which voids them",
                    code="claims-open",
                )
            await tx.execute(
                insert(table).values(id=made, device=device, created_at=now, created_by=actor, expires_at=now + given)
            )
            body = ClaimCreated(device, made, now + given, after_revocation=revoked_at is not None)
            await self._facts.append(tx, body.fact(about_device(device), actor))
        return NewClaim(made, device, Secret(claims.text(key.reveal(), device, made)), now + given)

    async def genuine(self, device: DeviceId, text: str, source: str) -> ClaimId:
        """The id of a claim made for this device; whether it may still be used is `take`'s to say.

        Raises Unauthenticated, or TooMany once this device or this source has been refused too often.
        """
        key = await self._keys.secret(claims.PURPOSE)
        try:
            claim = claims.genuine(key.reveal(), device, text)
        except Unauthenticated as refusal:
            raise await self.refuse(device, source, refusal) from None
        if wait := self._per_device.peek(claim, self._clock.monotonic()):
            raise _too_many(wait)
        return claim

    async def spend(self, tx: Tx, device: DeviceId, claim: ClaimId) -> None:
        """Use the claim up, for good once `tx` commits. Of two at the same time one gets it, the other Unauthenticated."""
        now = self._clock.now()
        table = tables.claim
        mine = (table.c.id == claim, table.c.device == device)
        if (await tx.execute(update(table).where(*mine, tables.open_claim(now)).values(used_at=now))).rowcount == 1:
            return
        row = (await tx.execute(select(table).where(*mine))).first()
        claims.usable(None if row is None else tables.claim_of(row), device, now)
        raise claims.closed(ClaimState.USED)

    async def spent(self, tx: Tx, device: DeviceId, claim: ClaimId, serial: str) -> None:
        """The fact of it, once the certificate's serial is known."""
        await self._facts.append(tx, ClaimUsed(device, claim, serial).fact(about_device(device), about_device(device)))

    async def void(self, tx: Tx, device: DeviceId, actor: str) -> None:
        """Close every open claim of the device."""
        now = self._clock.now()
        table = tables.claim
        closing = (
            update(table)
            .where(table.c.device == device, tables.open_claim(now))
            .values(voided_at=now)
            .returning(table.c.id)
        )
        for claim in (await tx.execute(closing)).scalars().all():
            await self._facts.append(tx, ClaimVoided(device, claim).fact(about_device(device), actor))

    async def refuse(
        self, device: DeviceId | None, source: str, refusal: Refused, claim: ClaimId | None = None
    ) -> Refused:
        """Charge a refused attempt and record it. Returns what to raise: the refusal, or TooMany when over budget.

        `claim` is set where it was genuine: its holder is charged for itself alone.
        """
        now = self._clock.monotonic()
        key = claims.source_key(source)
        waits = [self._per_source.take(key, now)] if claim is None else []
        waits.append(self._per_device.take(claim or device or key, now))
        body = ClaimRefused(device, source, refusal.error_code, claim)
        peer = claims.peer(source)
        await self._refusals.note(body.fact(about_device(device) if device else peer, peer))
        wait = max(waits)
        return _too_many(wait) if wait else refusal

    def charge(self, claim: ClaimId, refusal: Refused) -> Refused:
        """Charge a refused request to the claim it came with. Returns what to raise, as `refuse` does."""
        wait = self._per_device.take(claim, self._clock.monotonic())
        return _too_many(wait) if wait else refusal

    async def page(
        self, *, device: DeviceId | None, state: ClaimState | None, before: int | None, limit: int
    ) -> list[Claim]:
        """Claims, newest first; their text is not among what can be shown."""
        async with self._store.read() as conn:
            return await tables.claims(
                conn, now=self._clock.now(), device=device, state=state, before=before, limit=limit
            )


def _too_many(wait: float) -> TooMany:
    return TooMany("too many refused attempts", retry_after_s=wait, remedy="wait, then use the right claim")
