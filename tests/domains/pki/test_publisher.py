import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from ironroot.core.errors import NotFound
from ironroot.domains.pki.facts import CrlIssued
from ironroot.domains.pki.model import Reason
from tests.domains.pki.world import ADMIN, METER, OTHER, World, at, openssl, pem, world


async def crl(world: World, name: str = "device-1") -> x509.CertificateRevocationList:
    return x509.load_der_x509_crl(await world.pki.crl(name))


def number(found: x509.CertificateRevocationList) -> int:
    return found.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


async def test_every_ca_has_a_list_of_its_own(both: World) -> None:
    for ca in both.pki.cas():
        found = await crl(both, ca.name)
        key = ca.certificate.public_key()
        assert found.issuer == ca.certificate.subject
        assert found.is_signature_valid(key)  # type: ignore[arg-type]  # P-256, all of them
        assert len(found) == 0
    with pytest.raises(NotFound):
        await both.pki.crl("nobody-1")


async def test_a_revocation_is_on_the_next_list(both: World) -> None:
    before = await crl(both)
    certificate = await both.enrol()
    await both.compromised()
    after = await crl(both)
    entry = after.get_revoked_certificate_by_serial_number(certificate.serial_number)
    assert entry is not None
    assert entry.extensions[0].value == x509.CRLReason(x509.ReasonFlags.key_compromise)
    assert number(after) == number(before) + 1
    issued = [CrlIssued.of(fact) for fact in await both.facts("crl.issued")]
    assert [(c.ca, c.number, c.entries) for c in issued] == [("device-1", 1, 0), ("device-1", 2, 1)]


async def test_a_superseded_certificate_is_on_the_list(one: World) -> None:
    await crl(one)
    await one.enrol()
    await one.enrol()
    assert len(await crl(one)) == 1


async def test_without_a_change_the_list_stays_until_half_of_its_life(both: World) -> None:
    first = await both.pki.crl("device-1")
    both.clock.advance(timedelta(days=3, hours=11))
    assert await both.pki.crl("device-1") == first
    assert await (await world(both.store, both.clock)).pki.crl("device-1") == first
    both.clock.advance(timedelta(hours=1))
    second = await crl(both)
    assert number(second) == 2
    assert second.next_update_utc == both.clock.now() + timedelta(days=7)


async def test_asked_by_many_at_once_a_list_is_made_once(both: World) -> None:
    lists = await asyncio.gather(*(both.pki.crl("device-1") for _ in range(10)))
    assert len(set(lists)) == 1
    assert len(await both.facts("crl.issued")) == 1


async def test_numbers_grow_also_with_two_publishers(both: World) -> None:
    other = await world(both.store, both.clock)
    await asyncio.gather(both.pki.crl("device-1"), other.pki.crl("device-1"))
    assert await both.pki.crl("device-1") == await other.pki.crl("device-1")
    certificate = await both.enrol()
    await both.compromised()
    both.clock.advance(timedelta(seconds=1))
    seen = await crl(other)
    assert seen.get_revoked_certificate_by_serial_number(certificate.serial_number) is not None
    numbers = [CrlIssued.of(fact).number for fact in await both.facts("crl.issued")]
    assert numbers == sorted(set(numbers))


async def test_an_expired_certificate_stays_one_life_of_a_list_longer(one: World) -> None:
    await one.enrol()
    await one.compromised()
    one.clock.advance(timedelta(days=93))
    assert len(await crl(one)) == 1
    one.clock.advance(timedelta(days=5))
    assert len(await crl(one)) == 0


async def test_a_change_of_reason_is_on_the_next_list(one: World) -> None:
    certificate = await one.enrol()
    serial = f"{certificate.serial_number:x}"
    await one.pki.revoke(serial, Reason.UNSPECIFIED, ADMIN)
    (plain,) = await crl(one)
    assert not list(plain.extensions)
    await one.pki.revoke(serial, Reason.KEY_COMPROMISE, ADMIN)
    (worse,) = await crl(one)
    assert list(worse.extensions)


async def test_openssl_refuses_a_revoked_device_by_the_list(one: World, tmp_path: Path) -> None:
    good, bad = await one.enrol(METER), await one.enrol(OTHER)
    await one.compromised(OTHER)
    (tmp_path / "ca.pem").write_bytes(one.pki.roots_pem())
    (tmp_path / "between.pem").write_bytes(pem(one.pki.ca("device-1").certificate))
    lists = b""
    for name in ("root", "device-1"):
        (tmp_path / "crl.der").write_bytes(await one.pki.crl(name))
        said = openssl("crl", "-inform", "der", "-in", tmp_path / "crl.der", "-out", tmp_path / f"{name}.pem")
        assert "error" not in said
        lists += (tmp_path / f"{name}.pem").read_bytes()
    (tmp_path / "crls.pem").write_bytes(lists)
    (tmp_path / "good.pem").write_bytes(pem(good))
    (tmp_path / "bad.pem").write_bytes(pem(bad))
    one.clock.advance(timedelta(minutes=1))
    argv = (
        "verify", "-x509_strict", "-crl_check_all", "-attime", at(one.clock), "-CAfile", tmp_path / "ca.pem",
        "-untrusted", tmp_path / "between.pem", "-CRLfile", tmp_path / "crls.pem",
    )  # fmt: skip
    assert "OK" in openssl(*argv, tmp_path / "good.pem")
    assert "certificate revoked" in openssl(*argv, tmp_path / "bad.pem", ok=False)
