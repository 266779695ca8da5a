import asyncio
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from ironroot.core.errors import (
    Conflict,
    Forbidden,
    Malformed,
    Refused,
    TooMany,
    Unauthenticated,
    Unavailable,
    Unprocessable,
)
from ironroot.core.ids import FactId, Fingerprint
from ironroot.domains.pki.facts import CertificateIssued, CertificateRevoked, ClaimCreated, ClaimUsed
from ironroot.domains.pki.ledger import fingerprint_of, serial_text
from ironroot.domains.pki.model import NewClaim
from ironroot.eventlog.model import NewFact
from ironroot.store.engine import Tx
from tests.domains.pki.world import ADMIN, METER, OTHER, SOURCE, World, csr, new_key, world


def text(claim: NewClaim) -> str:
    return claim.claim.reveal().decode()


async def test_a_claim_buys_one_certificate(both: World) -> None:
    key = new_key()
    claim = await both.claim()
    certificate = await both.show(METER, claim, key)
    assert certificate.public_key() == key.public_key()
    assert certificate.subject.rfc4514_string() == "CN=meter-1"
    (created,) = await both.facts("claim.created")
    assert ClaimCreated.of(created) == ClaimCreated(METER, claim.id, claim.expires_at, after_revocation=False)
    assert (created.subject, created.actor) == ("device/meter-1", ADMIN)
    (used,) = await both.facts("claim.used")
    serial = serial_text(certificate.serial_number)
    assert ClaimUsed.of(used) == ClaimUsed(METER, claim.id, serial)
    (fact,) = await both.facts("certificate.issued")
    issued = CertificateIssued.of(fact)
    assert (fact.subject, fact.actor) == ("device/meter-1", "device/meter-1")
    assert (issued.device, issued.serial, issued.fingerprint) == (METER, serial, fingerprint_of(certificate))
    assert (issued.not_before, issued.not_after) == (certificate.not_valid_before_utc, certificate.not_valid_after_utc)
    assert (issued.profile, issued.issuer, issued.key_type, issued.claim) == ("device", "device-1", "P-256", claim.id)


async def test_a_claim_registers_a_device_that_is_new(one: World) -> None:
    await one.pki.create_claim(METER, ADMIN, type_="meter")
    assert one.devices.known == {METER: "meter"}


async def test_a_claim_used_again_is_refused(both: World) -> None:
    claim = await both.claim()
    await both.show(METER, claim)
    with pytest.raises(Unauthenticated, match="has been used"):
        await both.show(METER, claim)
    assert both.refusals.codes("claim.refused") == ["claim-used"]
    assert both.refusals.noted[0].actor == "peer/192.0.2.7"
    assert await both.statuses() == [("valid", None)]


async def test_one_claim_used_many_times_at_once_buys_one_certificate(both: World) -> None:
    claim = await both.claim()
    done = await asyncio.gather(*(both.show(METER, claim) for _ in range(6)), return_exceptions=True)
    assert sum(not isinstance(result, BaseException) for result in done) == 1
    assert all(isinstance(result, Unauthenticated) for result in done if isinstance(result, BaseException))
    assert len(await both.facts("certificate.issued")) == 1
    assert len(await both.facts("claim.used")) == 1


async def test_an_expired_claim_is_refused(both: World) -> None:
    claim = await both.claim()
    both.clock.advance(timedelta(hours=24))
    with pytest.raises(Unauthenticated, match="expired"):
        await both.show(METER, claim)


async def test_a_claim_of_another_device_is_refused(one: World) -> None:
    claim = await one.claim(OTHER)
    with pytest.raises(Unauthenticated, match="not a claim for this device"):
        await one.show(METER, claim)
    await one.show(OTHER, claim)


async def test_a_guessed_claim_is_refused_and_soon_slowed_down(one: World) -> None:
    guess = "irc_" + "a" * 26 + "_" + "b" * 32
    for _ in range(10):
        with pytest.raises(Unauthenticated):
            await one.pki.enrol(METER, guess, csr(new_key()), SOURCE)
    with pytest.raises(TooMany) as e:
        await one.pki.enrol(METER, guess, csr(new_key()), SOURCE)
    assert 0 < e.value.retry_after_s <= 6
    one.clock.advance(timedelta(seconds=6))
    with pytest.raises(Unauthenticated):
        await one.pki.enrol(METER, guess, csr(new_key()), SOURCE)


async def test_a_source_that_guesses_for_many_devices_is_slowed_down(one: World) -> None:
    guess = "irc_" + "a" * 26 + "_" + "b" * 32
    refusals = []
    for number in range(61):
        with pytest.raises(Refused) as e:
            await one.pki.enrol(f"meter-{number}", guess, b"", SOURCE)
        refusals.append(type(e.value))
    assert refusals == [Unauthenticated] * 60 + [TooMany]


async def test_a_flood_of_guesses_does_not_lock_out_the_holder_of_the_claim(one: World) -> None:
    claim = await one.claim()
    for number in range(200):
        with pytest.raises(Refused):
            await one.pki.enrol(METER, f"guess-{number}", b"", SOURCE)
    await one.show(METER, claim)


async def test_a_used_claim_shown_again_and_again_is_slowed_down(one: World) -> None:
    claim = await one.claim()
    await one.show(METER, claim)
    seen = []
    for _ in range(12):
        with pytest.raises(Refused) as e:
            await one.show(METER, claim)
        seen.append(type(e.value))
    assert seen == [Unauthenticated] * 10 + [TooMany] * 2


async def test_a_request_that_is_refused_leaves_the_claim_as_it_was(one: World) -> None:
    claim = await one.claim()
    with pytest.raises(Malformed):
        await one.pki.enrol(METER, text(claim), b"garbage", SOURCE)
    with pytest.raises(Unprocessable):
        await one.pki.enrol(METER, text(claim), csr(new_key(), OTHER), SOURCE)
    assert one.refusals.codes("enrolment.refused") == ["csr", "csr-name"]
    assert not await one.facts("claim.used", "certificate.issued")
    await one.show(METER, claim)


async def test_bad_requests_with_a_good_claim_are_slowed_down(one: World) -> None:
    claim = await one.claim()
    seen = []
    for _ in range(11):
        with pytest.raises(Refused) as e:
            await one.pki.enrol(METER, text(claim), b"garbage", SOURCE)
        seen.append(type(e.value))
    assert seen == [Malformed] * 10 + [TooMany]


@pytest.mark.parametrize("device", ["", "UPPER", "a" * 64, "a/b", "meter-1\n", "-a"])
async def test_what_is_no_device_id_is_refused(one: World, device: str) -> None:
    with pytest.raises(Malformed):
        await one.pki.enrol(device, "irc", b"", SOURCE)
    assert one.refusals.noted[0].subject == "peer/192.0.2.7"


async def test_a_key_copied_from_another_device_is_refused(both: World) -> None:
    key = new_key()
    await both.enrol(OTHER, key)
    with pytest.raises(Unprocessable, match="somebody else"):
        await both.enrol(METER, key)
    assert both.refusals.codes("enrolment.refused") == ["key-copied"]
    assert await both.statuses() == []


async def test_a_key_copied_after_its_device_was_revoked_is_refused_too(one: World) -> None:
    key = new_key()
    await one.enrol(OTHER, key)
    await one.compromised(OTHER)
    with pytest.raises(Unprocessable, match="somebody else"):
        await one.enrol(METER, key)


async def test_the_same_key_in_two_devices_at_once_is_certified_once(both: World) -> None:
    key = new_key()
    done = await asyncio.gather(both.enrol(METER, key), both.enrol(OTHER, key), return_exceptions=True)
    assert sorted(type(result).__name__ for result in done) == ["Certificate", "Unprocessable"]


async def test_a_key_of_the_platforms_own_is_refused(one: World) -> None:
    key = await one.ring.signing_key("ca/device-1", "p256")
    with pytest.raises(Unprocessable, match="somebody else"):
        await one.enrol(METER, key)


async def test_a_compromised_key_never_returns(one: World) -> None:
    key = new_key()
    await one.enrol(METER, key)
    await one.compromised()
    with pytest.raises(Unprocessable, match="compromised"):
        await one.enrol(METER, key)
    await one.enrol(METER)


async def test_a_revoked_device_is_not_resurrected_by_an_old_claim(both: World) -> None:
    await both.enrol()
    old = await both.claim()
    await both.compromised()
    with pytest.raises(Unauthenticated, match="voided"):
        await both.show(METER, old)
    assert [fact.body["claim"] for fact in await both.facts("claim.voided")] == [old.id]


async def test_a_revocation_that_overtakes_an_enrolment_wins_or_is_seen(both: World) -> None:
    """Whichever of the two is first, no certificate is valid in the end."""
    claim = await both.claim()
    await asyncio.gather(both.show(METER, claim), both.compromised(), return_exceptions=True)
    assert [status for status, _ in await both.statuses()] in ([], ["revoked"])


async def test_a_new_claim_is_the_way_back_and_says_so(both: World) -> None:
    await both.enrol()
    await both.compromised()
    await both.enrol()
    await both.claim()
    created = [ClaimCreated.of(fact) for fact in await both.facts("claim.created")]
    assert [c.after_revocation for c in created] == [False, True, False]
    assert await both.statuses() == [("revoked", "keyCompromise"), ("valid", None)]


async def test_a_device_that_policy_refuses_gets_nothing(one: World) -> None:
    one.admission.refused[METER] = "quarantined by user/1"
    claim = await one.claim()
    with pytest.raises(Forbidden, match="quarantined by user/1"):
        await one.show(METER, claim)
    one.admission.refused.clear()
    certificate = await one.show(METER, claim)
    one.admission.refused[METER] = "quarantined by user/1"
    with pytest.raises(Forbidden):
        await one.renew(certificate)
    assert one.refusals.codes("enrolment.refused") == ["enrol-denied", "renew-denied"]


async def test_a_retired_device_gets_no_claim(one: World) -> None:
    one.devices.retired.add(METER)
    with pytest.raises(Conflict):
        await one.claim()
    assert not await one.facts("claim.created")


async def test_open_claims_of_a_device_are_bounded(one: World) -> None:
    for _ in range(10):
        await one.claim()
    with pytest.raises(Conflict, match="10 open claims"):
        await one.claim()
    await one.claim(OTHER)
    one.clock.advance(timedelta(days=1))
    await one.claim()


@pytest.mark.parametrize("lifetime", [timedelta(0), timedelta(days=-1), timedelta(days=367)])
async def test_a_claims_life_is_bounded(one: World, lifetime: timedelta) -> None:
    with pytest.raises(Unprocessable, match="366 days"):
        await one.pki.create_claim(METER, ADMIN, lifetime)


async def test_a_second_enrolment_ends_the_first(both: World) -> None:
    first = await both.enrol()
    await both.enrol()
    assert await both.statuses() == [("revoked", "superseded"), ("valid", None)]
    (fact,) = await both.facts("certificate.revoked")
    assert CertificateRevoked.of(fact).serial == serial_text(first.serial_number)
    kinds = [f.kind for f in await both.facts("certificate.issued", "certificate.revoked")]
    assert kinds == ["certificate.issued", "certificate.issued", "certificate.revoked"], "never without a valid one"


async def test_renewal_keeps_the_certificate_it_was_asked_with(both: World) -> None:
    first = await both.enrol()
    second = await both.renew(first)
    assert await both.statuses() == [("valid", None), ("valid", None)]
    third = await both.renew(second)
    assert await both.statuses() == [("revoked", "superseded"), ("valid", None), ("valid", None)]
    assert third.public_key() != second.public_key()
    issued = [CertificateIssued.of(fact).renewed for fact in await both.facts("certificate.issued")]
    assert issued == [None, serial_text(first.serial_number), serial_text(second.serial_number)]


async def test_a_renewal_whose_answer_was_lost_can_be_asked_again(one: World) -> None:
    first = await one.enrol()
    await one.renew(first)
    await one.renew(first)
    assert await one.statuses() == [("valid", None), ("revoked", "superseded"), ("valid", None)]


async def test_a_device_may_keep_its_key_when_it_renews(one: World) -> None:
    key = new_key()
    first = await one.enrol(METER, key)
    assert (await one.renew(first, key)).public_key() == first.public_key()


async def test_renewal_without_a_certificate_is_refused(one: World) -> None:
    with pytest.raises(Unauthenticated):
        await one.pki.reenrol(None, csr(new_key()), SOURCE)


@pytest.mark.parametrize("fingerprint", ["0" * 64, "", "zz"])
async def test_renewal_with_a_certificate_from_elsewhere_is_refused(one: World, fingerprint: str) -> None:
    with pytest.raises(Forbidden, match="not a certificate of this platform"):
        await one.pki.reenrol(Fingerprint(fingerprint), csr(new_key()), SOURCE)


async def test_renewal_with_a_revoked_certificate_is_refused(both: World) -> None:
    certificate = await both.enrol()
    await both.compromised()
    with pytest.raises(Forbidden, match="is revoked"):
        await both.renew(certificate)
    assert both.refusals.codes("enrolment.refused") == ["certificate-revoked"]
    assert both.refusals.noted[0].subject == "device/meter-1", "on the page of the device whose key it was"


async def test_renewal_with_an_expired_certificate_is_refused(one: World) -> None:
    certificate = await one.enrol()
    one.clock.advance(timedelta(days=90))
    with pytest.raises(Forbidden, match="is expired"):
        await one.renew(certificate)


@pytest.mark.parametrize("ca", ["root", "device-1"])
async def test_a_ca_certificate_renews_nothing(one: World, ca: str) -> None:
    with pytest.raises(Forbidden, match="no certificate of a device"):
        await one.pki.reenrol(fingerprint_of(one.pki.ca(ca).certificate), csr(new_key()), SOURCE)


async def test_a_server_certificate_renews_nothing(one: World) -> None:
    server = await one.pki.server_certificate(["localhost"])
    found = await one.pki.certificate(server.serial)
    with pytest.raises(Forbidden, match="no certificate of a device"):
        await one.pki.reenrol(found.fingerprint, csr(new_key()), SOURCE)


async def test_renewal_in_another_devices_name_is_refused(one: World) -> None:
    certificate = await one.enrol()
    with pytest.raises(Unprocessable, match="another device"):
        await one.pki.reenrol(fingerprint_of(certificate), csr(new_key(), OTHER), SOURCE)


async def test_a_flood_of_renewals_is_slowed_down(one: World) -> None:
    """Each renewal is a row and a fact for ever; a stolen certificate must not fill the disk."""
    current = await one.enrol()
    for _ in range(20):
        current = await one.renew(current)
    with pytest.raises(TooMany):
        await one.renew(current)


@pytest.mark.parametrize(
    "key",
    [ec.generate_private_key(ec.SECP384R1()), rsa.generate_private_key(65537, 2048)],
    ids=["P-384", "RSA-2048"],
)
async def test_other_keys_are_certified_too(one: World, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> None:
    claim = await one.claim()
    await one.pki.enrol(METER, text(claim), csr(key, METER, hashes.SHA384()), SOURCE)
    (found,) = await one.pki.certificates(METER)
    assert found.key_type in {"P-384", "RSA-2048"}


async def test_a_claim_survives_a_restart(both: World) -> None:
    claim = await both.claim()
    await (await world(both.store, both.clock)).show(METER, claim)


async def test_claims_are_listed_without_their_text(one: World) -> None:
    first = await one.claim()
    await one.show(METER, first)
    second = await one.claim(OTHER)
    found = await one.pki.claims()
    assert [(c.id, c.state(one.clock.now())) for c in found] == [(second.id, "open"), (first.id, "used")]
    assert text(first) not in repr(found)
    assert [c.id for c in await one.pki.claims(device=METER)] == [first.id]
    assert [c.id for c in await one.pki.claims(limit=1, before=found[0].number)] == [first.id]


async def test_what_is_not_written_down_is_not_handed_out(one: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store fails after the CA signed: no certificate leaves, and the claim is as it was."""
    claim = await one.claim()
    append = one.log.append

    async def failing(tx: Tx, fact: NewFact) -> FactId:
        if fact.kind == CertificateIssued.KIND:
            raise Unavailable("disk full")
        return await append(tx, fact)

    with monkeypatch.context() as patch:
        patch.setattr(one.log, "append", failing)
        with pytest.raises(Unavailable):
            await one.show(METER, claim)
    assert await one.pki.certificates(METER) == []
    await one.show(METER, claim)
