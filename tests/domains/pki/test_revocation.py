from datetime import timedelta

import pytest

from ironroot.core.errors import Malformed, NotFound, Unprocessable
from ironroot.domains.pki.facts import CertificateRevoked
from ironroot.domains.pki.ledger import fingerprint_of, serial_text
from ironroot.domains.pki.model import Counts, Reason, Status
from tests.domains.pki.world import ADMIN, METER, OTHER, World


async def test_a_device_loses_all_its_certificates_at_once(both: World) -> None:
    first = await both.enrol()
    second = await both.renew(first)
    revoked = await both.pki.revoke_device(METER, Reason.PRIVILEGE_WITHDRAWN, ADMIN, "sold")
    assert sorted(revoked) == sorted(serial_text(c.serial_number) for c in (first, second))
    facts = await both.facts("certificate.revoked")
    bodies = [CertificateRevoked.of(fact) for fact in facts]
    assert {b.fingerprint for b in bodies} == {fingerprint_of(first), fingerprint_of(second)}
    assert {(b.device, b.reason, b.comment) for b in bodies} == {(METER, "privilegeWithdrawn", "sold")}
    assert {fact.actor for fact in facts} == {ADMIN}


async def test_revoking_twice_is_revoking_once(both: World) -> None:
    certificate = await both.enrol()
    serial = serial_text(certificate.serial_number)
    assert await both.compromised() == [serial]
    assert await both.compromised() == []
    again = await both.pki.revoke(serial, Reason.SUPERSEDED, ADMIN)
    assert again.reason is Reason.KEY_COMPROMISE
    assert len(await both.facts("certificate.revoked")) == 1


async def test_a_key_may_turn_out_to_be_compromised_later(both: World) -> None:
    certificate = await both.enrol()
    serial = serial_text(certificate.serial_number)
    first = await both.pki.revoke(serial, Reason.SUPERSEDED, ADMIN)
    both.clock.advance(timedelta(hours=1))
    second = await both.pki.revoke(serial, Reason.KEY_COMPROMISE, ADMIN)
    assert (second.reason, second.revoked_at) == (Reason.KEY_COMPROMISE, first.revoked_at)
    was = [CertificateRevoked.of(fact).was for fact in await both.facts("certificate.revoked")]
    assert was == [None, "superseded"]


async def test_one_certificate_is_revoked_by_serial_or_fingerprint(one: World) -> None:
    certificate = await one.enrol()
    found = await one.pki.revoke(serial_text(certificate.serial_number).upper(), Reason.UNSPECIFIED, ADMIN)
    assert found.status(one.clock.now()) is Status.REVOKED
    assert await one.pki.certificate(fingerprint_of(certificate)) == found


@pytest.mark.parametrize("name", ["", "0", "dead", "f" * 64, "g"])
async def test_what_is_not_there_is_not_revoked(one: World, name: str) -> None:
    with pytest.raises(NotFound):
        await one.pki.revoke(name, Reason.UNSPECIFIED, ADMIN)


@pytest.mark.parametrize("name", ["root", "device-1"])
async def test_a_ca_is_not_revoked_like_a_leaf(one: World, name: str) -> None:
    with pytest.raises(Unprocessable, match="a CA is not revoked"):
        await one.pki.revoke(serial_text(one.pki.ca(name).certificate.serial_number), Reason.UNSPECIFIED, ADMIN)


async def test_a_device_without_certificates_can_be_revoked_for_its_claims(one: World) -> None:
    claim = await one.claim()
    assert await one.compromised() == []
    assert [fact.body["claim"] for fact in await one.facts("claim.voided")] == [claim.id]


@pytest.mark.parametrize(("reason", "comment"), [(Reason.UNSPECIFIED, "x" * 501), (Reason.UNSPECIFIED, "a\nb")])
async def test_a_comment_is_one_bounded_line(one: World, reason: Reason, comment: str) -> None:
    with pytest.raises(Malformed):
        await one.pki.revoke_device(METER, reason, ADMIN, comment)
    with pytest.raises(Unprocessable):
        await one.pki.revoke_device(METER, Reason.CA_COMPROMISE, ADMIN)


async def test_status_follows_time_and_revocation_wins(both: World) -> None:
    await both.enrol()
    await both.enrol(OTHER)
    await both.compromised(OTHER)
    assert [c.device for c in await both.pki.certificates(status=Status.VALID) if c.device] == [METER]
    both.clock.advance(timedelta(days=90))
    assert await both.statuses() == [("expired", None)]
    assert await both.statuses(OTHER) == [("revoked", "keyCompromise")]
    assert [c.device for c in await both.pki.certificates(status=Status.EXPIRED)] == [METER]
    assert [c.device for c in await both.pki.certificates(status=Status.REVOKED)] == [OTHER]


async def test_certificates_are_listed_newest_first_in_pages(one: World) -> None:
    for _ in range(3):
        await one.enrol()
    everything = await one.pki.certificates(METER)
    first = await one.pki.certificates(METER, limit=2)
    rest = await one.pki.certificates(METER, limit=2, before=first[-1].number)
    assert first + rest == everything
    await one.enrol(OTHER)
    newest = await one.pki.newest([METER, OTHER])
    assert newest[METER] == everything[0]
    assert newest[OTHER].device == OTHER


async def test_counts(both: World) -> None:
    assert await both.pki.counts() == Counts(0, 0, 0, 0)
    await both.enrol()
    await both.enrol(OTHER)
    await both.compromised(OTHER)
    assert await both.pki.counts() == Counts(valid=1, expiring_7d=0, expiring_30d=0, revoked=1)
    both.clock.advance(timedelta(days=65))
    assert await both.pki.counts() == Counts(valid=1, expiring_7d=0, expiring_30d=1, revoked=1)
    both.clock.advance(timedelta(days=20))
    assert await both.pki.counts() == Counts(valid=1, expiring_7d=1, expiring_30d=1, revoked=1)
