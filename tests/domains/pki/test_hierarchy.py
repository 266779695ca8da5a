from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.verification import PolicyBuilder
from cryptography.x509.verification import Store as TrustStore
from sqlalchemy import select, update

from ironroot.core.errors import Corrupt, NotFound
from ironroot.domains.keys.tables import signing_key
from ironroot.domains.pki import tables
from ironroot.domains.pki.facts import CaCreated
from ironroot.domains.pki.model import Role
from tests.domains.pki.world import START, World, at, openssl, pem, world


async def test_the_first_start_makes_the_hierarchy(both: World) -> None:
    assert [ca.name for ca in both.pki.cas()] == ["root", "device-1", "factory-1", "server-1"]
    root = both.pki.ca("root").certificate
    assert "CN=Ironroot root" in root.subject.rfc4514_string()
    for ca in both.pki.cas():
        ca.certificate.verify_directly_issued_by(root)
        assert isinstance(ca.certificate.public_key(), ec.EllipticCurvePublicKey)
    created = [CaCreated.of(fact) for fact in await both.facts("ca.created")]
    assert [(c.name, c.role, c.issuer) for c in created] == [
        ("root", "root", "root"),
        ("server-1", "server", "root"),
        ("factory-1", "factory", "root"),
        ("device-1", "device", "root"),
    ]
    assert len({ca.certificate.serial_number for ca in both.pki.cas()}) == 4


async def test_the_second_start_reuses_everything(both: World) -> None:
    again = await world(both.store, both.clock)
    assert again.pki.bundle() == both.pki.bundle()
    assert len(await again.facts("ca.created")) == 4
    issued = await again.enrol()
    issued.verify_directly_issued_by(both.pki.ca("device-1").certificate)


async def test_two_installations_are_told_apart_by_their_names(
    one: World, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from tests.support.stores import Stores

    stores = Stores(f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('other')}/state.db")
    other = await world(await stores.create())
    assert other.pki.ca("root").certificate.subject != one.pki.ca("root").certificate.subject
    await stores.close()


async def test_a_ca_key_that_is_not_the_certificates_is_found_at_the_start(both: World) -> None:
    table = signing_key
    wrapped = both.ring.seal("signing_key/private/ca/device-1", _other_key())
    async with both.store.write() as tx:
        await tx.execute(update(table).where(table.c.name == "ca/device-1").values(wrapped=wrapped))
    with pytest.raises(Corrupt, match="device-1"):
        await world(both.store, both.clock)


def _other_key() -> bytes:
    from ironroot.domains.keys.model import Algorithm
    from ironroot.domains.keys.software import generate

    return generate(Algorithm.P256)[0]


async def test_no_ca_of_that_name(one: World) -> None:
    with pytest.raises(NotFound):
        one.pki.ca("../root")


async def test_openssl_verifies_every_chain_strictly(one: World, tmp_path: Path) -> None:
    device = await one.enrol()
    server = await one.pki.server_certificate(["localhost", "127.0.0.1"])
    (tmp_path / "root.pem").write_bytes(one.pki.roots_pem())
    (tmp_path / "cas.pem").write_bytes(pem(*one.pki.bundle()[1:]))
    (tmp_path / "device.pem").write_bytes(pem(device))
    (tmp_path / "server.pem").write_bytes(server.chain_pem)
    base = ("verify", "-x509_strict", "-policy_check", "-attime", at(one.clock), "-CAfile", tmp_path / "root.pem")
    chain = (*base, "-untrusted", tmp_path / "cas.pem")
    assert "OK" in openssl(*chain, "-purpose", "sslclient", tmp_path / "device.pem")
    assert "OK" in openssl(*chain, "-purpose", "sslserver", "-verify_hostname", "localhost", tmp_path / "server.pem")
    assert "OK" in openssl(*chain, "-purpose", "sslserver", "-verify_ip", "127.0.0.1", tmp_path / "server.pem")
    for ca in one.pki.bundle():
        (tmp_path / "ca.pem").write_bytes(pem(ca))
        assert "OK" in openssl(*base, tmp_path / "ca.pem")
    assert "error 26" in openssl(*chain, "-purpose", "sslserver", tmp_path / "device.pem", ok=False)
    assert "error 26" in openssl(*chain, "-purpose", "sslclient", tmp_path / "server.pem", ok=False)


async def test_a_door_verifies_a_device_by_its_leaf_alone(one: World, tmp_path: Path) -> None:
    (tmp_path / "device.pem").write_bytes(pem(await one.enrol()))
    (tmp_path / "bundle.pem").write_bytes(one.pki.device_bundle_pem())
    (tmp_path / "server.pem").write_bytes((await one.pki.server_certificate(["localhost"])).chain_pem)
    argv = ("verify", "-attime", at(one.clock), "-purpose", "sslclient", "-CAfile", tmp_path / "bundle.pem")
    assert "OK" in openssl(*argv, tmp_path / "device.pem")
    assert "error" in openssl(*argv, tmp_path / "server.pem", ok=False)


async def test_pycas_verifier_takes_devices_and_servers_as_they_are(one: World) -> None:
    from cryptography.x509 import DNSName

    device = await one.enrol()
    roots = TrustStore([one.pki.ca("root").certificate])
    between = one.pki.bundle()[1:]
    policy = PolicyBuilder().store(roots).time(one.clock.now())
    verified = policy.build_client_verifier().verify(device, between)
    assert verified.subjects == [x509.DirectoryName(device.subject)]
    server = x509.load_pem_x509_certificate((await one.pki.server_certificate(["localhost"])).chain_pem)
    assert len(policy.build_server_verifier(DNSName("localhost")).verify(server, between)) == 3


async def test_a_leaf_from_a_slow_clock_is_valid_already(one: World) -> None:
    device = await one.enrol()
    assert device.not_valid_before_utc == START - timedelta(minutes=5)


async def test_serials_are_random_and_of_full_length(one: World) -> None:
    serials = {(await one.enrol()).serial_number for _ in range(5)} | {c.serial_number for c in one.pki.bundle()}
    assert len(serials) == 9
    assert all(serial.bit_length() == 159 for serial in serials)


async def test_ca_certificates_are_in_the_register(one: World) -> None:
    async with one.store.read() as conn:
        rows = (await conn.execute(select(tables.certificate.c.profile, tables.certificate.c.issuer))).all()
    assert sorted((row.profile, row.issuer) for row in rows) == [
        ("device-ca", "root"),
        ("factory-ca", "root"),
        ("root", "root"),
        ("server-ca", "root"),
    ]
    assert one.pki.ca("device-1").role is Role.DEVICE
