"""Facts in, decisions out, in one transaction: folding, holds, reviews, and what the doors are told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest

from ironroot.core.errors import Conflict, Forbidden, NotFound
from ironroot.core.ids import DeviceId, Fingerprint
from ironroot.domains.inventory.service import Inventory
from ironroot.domains.pki.facts import CertificateIssued, CertificateRevoked, ClaimCreated
from ironroot.eventlog.log import EventLog
from ironroot.eventlog.model import Body, about_device
from ironroot.store.engine import Store
from ironroot.trust.admission import CachedAdmission
from ironroot.trust.facts import TrustDecided
from ironroot.trust.model import Capability, TrustState
from ironroot.trust.service import Trust, TrustFold
from tests.support.clock import ManualClock

DEVICE = DeviceId("meter-1")
PRINT = Fingerprint("aa" * 32)
HOST = "host/root"


@dataclass
class World:
    """A platform's trust, and two lines to make something happen to a device."""

    clock: ManualClock
    store: Store
    log: EventLog
    fold: TrustFold
    trust: Trust
    inventory: Inventory
    admission: CachedAdmission

    async def happen(self, body: Body, device: DeviceId = DEVICE) -> None:
        async with self.store.write() as tx:
            await self.log.append(tx, body.fact(about_device(device), HOST))

    async def issue(self, fingerprint: Fingerprint = PRINT, lifetime: timedelta = timedelta(days=1)) -> None:
        now = self.clock.now()
        await self.happen(issued(fingerprint, now, now + lifetime))

    async def state(self, device: DeviceId = DEVICE) -> TrustState:
        return (await self.trust.decision(device)).state


def issued(fingerprint: Fingerprint, not_before: datetime, not_after: datetime) -> CertificateIssued:
    return CertificateIssued(
        device=DEVICE,
        serial="1f",
        fingerprint=fingerprint,
        profile="device",
        not_before=not_before,
        not_after=not_after,
        issuer="device-1",
        key_type="p256",
        spki="cc" * 32,
    )


def revoked(fingerprint: Fingerprint = PRINT) -> CertificateRevoked:
    return CertificateRevoked(device=DEVICE, serial="1f", fingerprint=fingerprint, reason="keyCompromise")


@pytest.fixture
async def world(store: Store) -> World:
    clock = ManualClock()
    log = EventLog(store, clock)
    fold = TrustFold(store.engine_name, clock)
    log.add_fold(fold)
    trust = Trust(store, log, clock, fold)
    admission = CachedAdmission(store, clock)
    fold.on_change(admission.forget)
    made = World(clock, store, log, fold, trust, Inventory(store, log, clock), admission)
    await made.inventory.register(DEVICE, HOST)
    return made


async def test_a_device_is_unknown_until_it_has_a_certificate(world: World) -> None:
    assert await world.state() is TrustState.UNKNOWN
    await world.issue()
    assert await world.state() is TrustState.TRUSTED


async def test_the_change_is_a_fact_with_reasons(world: World) -> None:
    await world.issue()
    await world.log.settle()
    (decided,) = await world.log.read(kinds=[TrustDecided.KIND])
    body = TrustDecided.of(decided)
    assert (body.before, body.after) == ("unknown", "trusted")
    assert "valid until" in body.reasons[0]
    decision = await world.trust.decision(DEVICE)
    assert decision.reasons[0].fact is not None
    places = await world.log.places([decision.reasons[0].fact])
    (fact,) = await world.log.read(kinds=[CertificateIssued.KIND])
    assert places == {fact.id: fact.seq}


async def test_revocation_and_decision_are_one_transaction(world: World) -> None:
    await world.issue()

    async def interrupted() -> None:
        async with world.store.write() as tx:
            await world.log.append(tx, revoked().fact(about_device(DEVICE), HOST))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await interrupted()
    assert await world.state() is TrustState.TRUSTED
    await world.happen(revoked())
    assert await world.state() is TrustState.REVOKED


async def test_cached_admission_refuses_in_the_moment_of_revocation(world: World) -> None:
    await world.issue()
    assert (await world.admission.by_fingerprint(PRINT)).device == DEVICE
    await world.happen(revoked())
    with pytest.raises(Forbidden, match="revoked"):
        await world.admission.by_fingerprint(PRINT)


async def test_unknown_certificate_is_refused(world: World) -> None:
    with pytest.raises(Forbidden):
        await world.admission.by_fingerprint(Fingerprint("bb" * 32))


async def test_expired_certificate_is_refused_although_cached(world: World) -> None:
    await world.issue(lifetime=timedelta(milliseconds=500))
    await world.admission.by_fingerprint(PRINT)
    world.clock.advance(timedelta(milliseconds=600))
    with pytest.raises(Forbidden, match="expired"):
        await world.admission.by_fingerprint(PRINT)


async def test_quarantine_closes_all_but_status_and_ends_by_itself(world: World) -> None:
    await world.issue()
    until = world.clock.now() + timedelta(hours=1)
    decision = await world.trust.quarantine(DEVICE, "odd traffic", HOST, until)
    assert decision.state is TrustState.QUARANTINED
    assert decision.capabilities == {Capability.STATUS}
    assert "odd traffic" in decision.reasons[0].text
    admitted = await world.admission.by_fingerprint(PRINT)
    with pytest.raises(Forbidden):
        admitted.require(Capability.PUBLISH)
    world.clock.advance(timedelta(hours=1, seconds=1))
    assert await world.trust.review_due() == 1
    assert await world.state() is TrustState.TRUSTED
    assert await world.trust.review_due() == 0


async def test_release(world: World) -> None:
    await world.issue()
    await world.trust.quarantine(DEVICE, "odd", HOST, None)
    assert (await world.trust.release(DEVICE, "checked", HOST)).state is TrustState.TRUSTED
    with pytest.raises(Conflict):
        await world.trust.release(DEVICE, "again", HOST)


async def test_release_does_not_lift_a_revocation(world: World) -> None:
    await world.issue()
    await world.trust.quarantine(DEVICE, "odd", HOST, None)
    await world.happen(revoked())
    assert await world.state() is TrustState.REVOKED
    assert (await world.trust.release(DEVICE, "oops", HOST)).state is TrustState.REVOKED


async def test_expiry_is_noticed_without_any_fact(world: World) -> None:
    await world.issue(lifetime=timedelta(hours=2))
    world.clock.advance(timedelta(hours=2))
    assert await world.trust.review_due() == 1
    decision = await world.trust.decision(DEVICE)
    assert (decision.state, decision.reasons[0].code) == (TrustState.UNKNOWN, "certificate-expired")


async def test_claim_after_revocation_readmits_and_only_then(world: World) -> None:
    claim = ClaimCreated(device=DEVICE, claim="clm_1", expires_at=world.clock.now() + timedelta(days=1))
    await world.happen(claim)
    await world.issue()
    await world.happen(revoked())
    assert await world.state() is TrustState.REVOKED
    await world.happen(claim)
    decision = await world.trust.decision(DEVICE)
    assert (decision.state, decision.reasons[0].code) == (TrustState.UNKNOWN, "readmitted")
    assert decision.capabilities == {Capability.ENROL}


async def test_a_retired_device_never_returns(world: World) -> None:
    await world.issue()
    await world.inventory.retire(DEVICE, "scrapped", HOST)
    await world.issue(Fingerprint("dd" * 32))
    assert await world.state() is TrustState.REVOKED


async def test_counts_and_unknown_device(world: World) -> None:
    assert (await world.trust.counts())[TrustState.UNKNOWN] == 1
    with pytest.raises(NotFound):
        await world.trust.decision(DeviceId("nobody"))


async def test_late_renewal_is_noticed(world: World) -> None:
    await world.issue(lifetime=timedelta(days=10))
    assert await world.trust.late(9) == {}
    world.clock.advance(timedelta(days=8, hours=1))
    late = await world.trust.late(9)
    assert late == {DEVICE: world.clock.now() + timedelta(days=1, hours=23)}
    await world.issue(Fingerprint("ee" * 32), lifetime=timedelta(days=10))
    assert await world.trust.late(9) == {}
