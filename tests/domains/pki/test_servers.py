from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from sqlalchemy import select

from ironroot.core.errors import Unprocessable
from ironroot.domains.pki import tables
from ironroot.domains.pki.facts import CertificateIssued
from ironroot.domains.pki.model import Reason, ServerIdentity
from tests.domains.pki.world import ADMIN, World, world

NAMES = ["localhost", "127.0.0.1", "::1"]


def leaf(identity: ServerIdentity) -> x509.Certificate:
    return x509.load_pem_x509_certificates(identity.chain_pem)[0]


async def test_a_server_shows_its_chain_and_holds_its_key(both: World) -> None:
    identity = await both.pki.server_certificate(NAMES)
    certificates = x509.load_pem_x509_certificates(identity.chain_pem)
    assert certificates[1] == both.pki.ca("server-1").certificate
    certificates[0].verify_directly_issued_by(certificates[1])
    names = certificates[0].extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(name.value) for name in names] == NAMES
    key = load_pem_private_key(identity.key_pem.reveal(), None)
    assert key.public_key() == certificates[0].public_key()
    assert "PRIVATE" not in repr(identity)
    (fact,) = await both.facts("certificate.issued")
    assert (fact.subject, CertificateIssued.of(fact).device) == ("platform", None)


async def test_a_restart_shows_the_same_certificate(both: World) -> None:
    first = await both.pki.server_certificate(NAMES)
    second = await (await world(both.store, both.clock)).pki.server_certificate(list(reversed(NAMES)))
    assert second.chain_pem == first.chain_pem
    assert second.key_pem == first.key_pem


async def test_other_names_are_another_identity(one: World) -> None:
    assert (await one.pki.server_certificate(NAMES)).serial != (await one.pki.server_certificate(["a.example"])).serial


async def test_renewed_at_two_thirds_of_its_life_with_a_fresh_key(both: World) -> None:
    first = await both.pki.server_certificate(NAMES)
    assert timedelta(days=59) < first.renew_at - both.clock.now() < timedelta(days=60)
    both.clock.advance(timedelta(days=59))
    assert (await both.pki.server_certificate(NAMES)).serial == first.serial
    both.clock.advance(timedelta(days=1))
    second = await both.pki.server_certificate(NAMES)
    assert second.serial != first.serial
    assert leaf(second).public_key() != leaf(first).public_key()
    assert (await both.pki.server_certificate(NAMES)).serial == second.serial


async def test_a_revoked_server_certificate_is_replaced(one: World) -> None:
    first = await one.pki.server_certificate(NAMES)
    await one.pki.revoke(first.serial, Reason.KEY_COMPROMISE, ADMIN)
    assert (await one.pki.server_certificate(NAMES)).serial != first.serial


async def test_the_key_at_rest_is_sealed(one: World) -> None:
    identity = await one.pki.server_certificate(NAMES)
    async with one.store.read() as conn:
        (row,) = (await conn.execute(select(tables.server_identity))).all()
    assert b"PRIVATE" not in row.private
    assert one.ring.open(f"server_identity/private/{identity.serial}", row.private) == identity.key_pem.reveal()


async def test_a_short_life_can_be_asked_for(one: World) -> None:
    identity = await one.pki.server_certificate(NAMES, timedelta(hours=1))
    assert identity.not_after == one.clock.now() + timedelta(hours=1, seconds=-1)


async def test_wildcards_are_refused(one: World) -> None:
    with pytest.raises(Unprocessable):
        await one.pki.server_certificate(["*.example"])
