import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from sqlalchemy import select, update

from ironroot.core.errors import Corrupt, Misconfigured, NotFound
from ironroot.domains.keys import tables
from ironroot.domains.keys.facts import KeyCreated, PersonErased
from ironroot.domains.keys.master import MasterKeyFile
from ironroot.domains.keys.service import KeyRing
from ironroot.eventlog.log import EventLog
from ironroot.eventlog.model import Fact
from ironroot.eventlog.ports import CheckpointSigner, PersonKeys
from ironroot.store.engine import Store, Tx
from tests.support.clock import ManualClock

MASTER = MasterKeyFile(bytes(range(32)))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def log(store: Store, clock: ManualClock) -> EventLog:
    return EventLog(store, clock)


@pytest.fixture
async def ring(store: Store, log: EventLog, clock: ManualClock) -> KeyRing:
    made = KeyRing(store, log, MASTER, clock)
    await made.initialise()
    return made


async def again(store: Store, clock: ManualClock, master: MasterKeyFile = MASTER) -> KeyRing:
    ring = KeyRing(store, EventLog(store, clock), master, clock)
    await ring.initialise()
    return ring


async def facts(log: EventLog, kind: str) -> list[Fact]:
    await log.settle()
    return await log.read(kinds=[kind], limit=1000)


class Stopped(Exception):
    pass


@asynccontextmanager
async def rolled_back(store: Store) -> AsyncIterator[Tx]:
    with suppress(Stopped):
        async with store.write() as tx:
            yield tx
            raise Stopped


@pytest.fixture
async def rings(store: Store, clock: ManualClock, ring: KeyRing) -> list[KeyRing]:
    return [await again(store, clock) for _ in range(4)]


async def test_a_purpose_key_is_made_once_with_its_fact(
    ring: KeyRing, store: Store, clock: ManualClock, log: EventLog
) -> None:
    claim = await ring.secret("claim")
    assert len(claim.reveal()) == 32
    assert await ring.secret("claim") == claim
    assert await (await again(store, clock)).secret("claim") == claim
    assert await ring.secret("other") != claim
    created = [KeyCreated.of(fact) for fact in await facts(log, "key.created")]
    assert [(c.name, c.home, c.public) for c in created] == [
        ("seal", "software", None),
        ("claim", "software", None),
        ("other", "software", None),
    ]


async def test_makers_at_the_same_time_end_with_one_key(rings: list[KeyRing], log: EventLog) -> None:
    keys = await asyncio.gather(*(ring.secret("claim") for ring in rings))
    assert all(key == keys[0] for key in keys)
    signing = await asyncio.gather(*(ring.signing_key("ca/root", "p256") for ring in rings))
    assert len({key.private_numbers().private_value for key in signing}) == 1
    assert [KeyCreated.of(fact).name for fact in await facts(log, "key.created")] == ["seal", "claim", "ca/root"]


async def test_signing_keys_survive_a_restart(ring: KeyRing, store: Store, clock: ManualClock, log: EventLog) -> None:
    p256 = await ring.signing_key("ca/root", "p256")
    ed25519 = await ring.signing_key("log", "ed25519")
    restarted = await again(store, clock)
    assert (await restarted.signing_key("ca/root", "p256")).public_key() == p256.public_key()
    assert (await restarted.signing_key("log", "ed25519")).public_key() == ed25519.public_key()
    created = {c.name: c for c in map(KeyCreated.of, await facts(log, "key.created"))}
    assert created["ca/root"].algorithm == "p256"
    assert created["log"].public is not None


async def test_a_key_is_not_taken_for_one_of_another_algorithm(ring: KeyRing) -> None:
    await ring.signing_key("log", "ed25519")
    with pytest.raises(Misconfigured, match="not p256"):
        await ring.signing_key("log", "p256")


async def test_a_key_made_in_a_transaction_that_rolls_back_is_forgotten(
    ring: KeyRing, store: Store, log: EventLog
) -> None:
    async with rolled_back(store) as tx:
        lost = await ring.signing_key("ca/root", "p256", tx)
        lost_secret = await ring.secret("claim", tx)
    kept = await ring.signing_key("ca/root", "p256")
    assert kept.public_key() != lost.public_key()
    assert await ring.secret("claim") != lost_secret
    assert len(await facts(log, "key.created")) == 3


async def test_a_key_made_in_a_transaction_is_there_inside_and_after_it(ring: KeyRing, store: Store) -> None:
    async with store.write() as tx:
        first = await ring.signing_key("ca/root", "p256", tx)
        second = await ring.signing_key("ca/root", "p256", tx)
        assert first.public_key() == second.public_key()
    assert (await ring.signing_key("ca/root", "p256")).public_key() == first.public_key()


async def test_nothing_in_the_store_is_a_key_in_the_clear(ring: KeyRing, store: Store) -> None:
    secret = (await ring.secret("claim")).reveal()
    private = (await ring.signing_key("ca/root", "p256")).private_numbers().private_value.to_bytes(32)
    async with store.read() as conn:
        held = [row.wrapped for row in await conn.execute(select(tables.secret_key))]
        held += [row.wrapped for row in await conn.execute(select(tables.signing_key))]
    assert not any(secret in wrapped or private in wrapped for wrapped in held)


async def test_the_wrong_master_key_is_refused_at_the_start(ring: KeyRing, store: Store, clock: ManualClock) -> None:
    with pytest.raises(Misconfigured, match="another master key"):
        await again(store, clock, MasterKeyFile(bytes(32)))


async def test_a_row_copied_over_another_is_found(ring: KeyRing, store: Store, clock: ManualClock) -> None:
    await ring.signing_key("ca/root", "p256")
    await ring.signing_key("ca/device-1", "p256")
    table = tables.signing_key
    async with store.write() as tx:
        root = (await tx.execute(select(table.c.wrapped).where(table.c.name == "ca/root"))).scalar_one()
        await tx.execute(update(table).where(table.c.name == "ca/device-1").values(wrapped=root))
    with pytest.raises(Corrupt):
        await (await again(store, clock)).signing_key("ca/device-1", "p256")


async def test_seal_and_open(ring: KeyRing, store: Store, clock: ManualClock) -> None:
    sealed = ring.seal("server_identity/private/1", b"key")
    assert ring.open("server_identity/private/1", sealed) == b"key"
    assert (await again(store, clock)).open("server_identity/private/1", sealed) == b"key"
    with pytest.raises(Corrupt):
        ring.open("server_identity/private/2", sealed)
    with pytest.raises(Corrupt, match="does not exist"):
        ring.open("server_identity/private/1", sealed[:1] + bytes(4) + sealed[5:])


async def test_sealing_waits_for_initialise(sqlite_store: Store, clock: ManualClock) -> None:
    store = sqlite_store
    with pytest.raises(Misconfigured, match="not open"):
        KeyRing(store, EventLog(store, clock), MASTER, clock).seal("c", b"")


async def test_the_log_is_signed(ring: KeyRing, log: EventLog) -> None:
    signer = await ring.checkpoint_signer("ironroot.test/log")
    port: CheckpointSigner = signer
    persons: PersonKeys = ring.persons
    log.equip(signer=port, persons=persons)
    assert (await log.checkpoint()).startswith("ironroot.test/log\n")
    assert len(signer.sign(b"note")) == 64


async def test_a_person_is_erased_and_the_fact_says_so(
    ring: KeyRing, store: Store, clock: ManualClock, log: EventLog
) -> None:
    async with store.write() as tx:
        sealed = await ring.persons.seal(tx, "usr_1", b"Ada")
        more = await ring.persons.seal(tx, "usr_1", b"Lovelace")
    assert await ring.persons.open("usr_1", sealed) == b"Ada"
    assert await (await again(store, clock)).persons.open("usr_1", more) == b"Lovelace"
    for _ in range(2):
        async with store.write() as tx:
            await ring.persons.erase(tx, "usr_1", "user/usr_admin")
    assert await ring.persons.open("usr_1", sealed) is None
    assert await (await again(store, clock)).persons.open("usr_1", sealed) is None
    (fact,) = await facts(log, "person.erased")
    assert (PersonErased.of(fact).person, fact.subject, fact.actor) == ("usr_1", "user/usr_1", "user/usr_admin")


async def test_a_new_key_after_erasure_does_not_open_the_old_text(ring: KeyRing, store: Store) -> None:
    async with store.write() as tx:
        old = await ring.persons.seal(tx, "usr_1", b"before")
    async with store.write() as tx:
        await ring.persons.erase(tx, "usr_1", "platform")
    async with store.write() as tx:
        new = await ring.persons.seal(tx, "usr_1", b"after")
    assert await ring.persons.open("usr_1", old) is None
    assert await ring.persons.open("usr_1", new) == b"after"


async def test_one_persons_key_does_not_open_anothers_text(ring: KeyRing, store: Store) -> None:
    async with store.write() as tx:
        ada = await ring.persons.seal(tx, "usr_1", b"Ada")
        await ring.persons.seal(tx, "usr_2", b"Bob")
    with pytest.raises(Corrupt):
        await ring.persons.open("usr_2", ada)
    with pytest.raises(NotFound):
        async with store.write() as tx:
            await ring.persons.erase(tx, "usr_3", "platform")


async def test_a_person_sealed_in_a_lost_transaction_has_no_key(ring: KeyRing, store: Store) -> None:
    async with rolled_back(store) as tx:
        lost = await ring.persons.seal(tx, "usr_1", b"Ada")
    assert await ring.persons.open("usr_1", lost) is None
