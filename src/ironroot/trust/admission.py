"""What every door asks: whose certificate is this, and what may that device do now?

One indexed read, always fresh; `CachedAdmission` keeps answers for at most a second and forgets a device as its
evidence changes, so a door that asks on every request still refuses at once.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import RowMapping, bindparam, select

from ironroot.core.clock import Clock
from ironroot.core.errors import Forbidden
from ironroot.core.ids import DeviceId, Fingerprint
from ironroot.store.engine import Store
from ironroot.trust import tables
from ironroot.trust.model import Capability, TrustDecision
from ironroot.trust.rules import REMEDY


@dataclass(frozen=True, slots=True)
class Admitted:
    """The holder of a certificate that is known, not revoked and not expired; what it may do is in the decision."""

    device: DeviceId
    fingerprint: Fingerprint
    not_after: datetime
    decision: TrustDecision

    def require(self, capability: Capability) -> None:
        """Raise Forbidden where the device's state does not permit it."""
        if capability not in self.decision.capabilities:
            why = "; ".join(r.text for r in self.decision.reasons)
            raise Forbidden(
                f"{self.device} is {self.decision.state}: {why}",
                remedy=REMEDY[self.decision.state],
                code=f"device-{self.decision.state}",
            )


_JOINED = select(tables.decision, tables.certificate.c.not_after, tables.certificate.c.revoked).select_from(
    tables.certificate.join(tables.decision, tables.certificate.c.device_id == tables.decision.c.device_id)
)
QUESTION = _JOINED.where(tables.certificate.c.fingerprint == bindparam("asked"))
"""The whole question, as one statement with the fingerprint as `asked`."""


class Admission:
    """Reads the answer from the store each time."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def by_fingerprint(self, fingerprint: Fingerprint) -> Admitted:
        """Who holds this certificate. Raises Forbidden when it is unknown, revoked or expired."""
        return self.judge(fingerprint, await self._read(fingerprint))

    async def _read(self, fingerprint: Fingerprint) -> RowMapping | None:
        async with self._store.read() as conn:
            return (await conn.execute(QUESTION, {"asked": fingerprint})).mappings().first()

    def judge(self, fingerprint: Fingerprint, row: RowMapping | None) -> Admitted:
        """What the answer to `QUESTION` means. Raises Forbidden."""
        if row is None:
            raise Forbidden(
                "no certificate of a device of this platform", remedy="enrol first", code="certificate-unknown"
            )
        if row["revoked"] is not None:
            raise Forbidden(
                f"the certificate is revoked: {row['revoked']}",
                remedy="an administrator decides: a new claim is the only way back",
                code="certificate-revoked",
            )
        admitted = Admitted(DeviceId(row["device_id"]), fingerprint, row["not_after"], tables.decided(row))
        self._unexpired(admitted)
        return admitted

    def _unexpired(self, admitted: Admitted) -> None:
        if admitted.not_after <= self._clock.now():
            raise Forbidden("the certificate has expired", remedy="enrol with a new claim", code="certificate-expired")


class CachedAdmission(Admission):
    """The same, from memory where it can. Bounded; an answer lives a second, or until its device changes."""

    def __init__(self, store: Store, clock: Clock, *, lifetime_s: float = 1.0, capacity: int = 50_000) -> None:
        super().__init__(store, clock)
        self._lifetime_s = lifetime_s
        self._capacity = capacity
        self._kept: OrderedDict[Fingerprint, tuple[float, Admitted]] = OrderedDict()
        self._of: dict[DeviceId, set[Fingerprint]] = {}
        self._changes = 0

    async def by_fingerprint(self, fingerprint: Fingerprint) -> Admitted:
        """Who holds this certificate. Raises Forbidden as `Admission` does."""
        now = self._clock.monotonic()
        kept = self._kept.get(fingerprint)
        if kept is not None and now - kept[0] < self._lifetime_s:
            self._unexpired(kept[1])
            return kept[1]
        changes = self._changes
        admitted = await super().by_fingerprint(fingerprint)
        if changes == self._changes:  # a change since the read began would make this answer stale
            self._keep(admitted, now)
        return admitted

    def _keep(self, admitted: Admitted, now: float) -> None:
        self._kept[admitted.fingerprint] = (now, admitted)
        self._kept.move_to_end(admitted.fingerprint)
        self._of.setdefault(admitted.device, set()).add(admitted.fingerprint)
        if len(self._kept) > self._capacity:
            _, (_, oldest) = self._kept.popitem(last=False)
            self._drop(oldest)

    def _drop(self, gone: Admitted) -> None:
        prints = self._of.get(gone.device, set())
        prints.discard(gone.fingerprint)
        if not prints:
            self._of.pop(gone.device, None)

    def forget(self, device: DeviceId) -> None:
        """Ask the store again about this device."""
        self._changes += 1
        for fingerprint in self._of.pop(device, set()):
            self._kept.pop(fingerprint, None)
