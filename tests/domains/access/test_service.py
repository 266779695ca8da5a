"""Signing in by one-time link, sessions, API keys, roles: and what attackers try on each."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta

import pytest
from sqlalchemy import select

from ironroot.core.errors import Conflict, Malformed, NotFound, TooMany, Unauthenticated
from ironroot.core.ids import UserId
from ironroot.domains.access import tables
from ironroot.domains.access.model import ROLES, Role
from ironroot.domains.access.service import Access, AccessSettings
from ironroot.edge.authorize import Principal
from ironroot.edge.permissions import Permission
from ironroot.eventlog.log import EventLog
from ironroot.eventlog.refusals import RefusalLog
from ironroot.store.engine import Store, Tx
from tests.support.clock import ManualClock

HOST = Principal("host", "root", "root on this host", "host", frozenset(Permission))


class Persons:
    """Keys of persons in memory: an `eventlog.ports.PersonKeys` that can erase."""

    def __init__(self) -> None:
        self.erased: set[str] = set()

    async def seal(self, tx: Tx, person: str, plaintext: bytes) -> bytes:
        return plaintext[::-1]

    async def open(self, person: str, sealed: bytes) -> bytes | None:
        return None if person in self.erased else sealed[::-1]

    async def erase(self, tx: Tx, person: str, actor: str) -> None:
        self.erased.add(person)


@dataclass
class World:
    clock: ManualClock
    store: Store
    log: EventLog
    access: Access

    async def sign_in(self, name: str = "administrator") -> str:
        link = await self.access.create_link(name, Role.ADMINISTRATOR, HOST.actor)
        token, _ = await self.access.use_link(link.token.reveal().decode(), "10.0.0.9")
        return token.reveal().decode()

    async def kinds(self) -> list[str]:
        await self.log.settle()
        return [f.kind for f in await self.log.read()]


@pytest.fixture
def world(store: Store) -> World:
    clock = ManualClock()
    persons = Persons()
    log = EventLog(store, clock, persons=persons)
    refusals = RefusalLog(log, store, clock)
    settings = AccessSettings(timedelta(hours=1), timedelta(hours=1), timedelta(hours=12))
    return World(clock, store, log, Access(store, log, refusals, clock, persons, settings))


async def test_link_signs_in_once(world: World) -> None:
    link = await world.access.create_link("administrator", Role.ADMINISTRATOR, HOST.actor)
    text = link.token.reveal().decode()
    token, session = await world.access.use_link(text, "10.0.0.9")
    principal = await world.access.by_session(token.reveal().decode())
    assert principal is not None
    assert (principal.kind, principal.name, principal.session) == ("user", "administrator", session.handle)
    assert principal.permissions == frozenset(Permission)
    with pytest.raises(Unauthenticated, match="used"):
        await world.access.use_link(text, "10.0.0.9")
    assert await world.kinds() == ["user.created", "link.created", "session.started", "access.refused"]


async def test_replayed_link_in_a_race_signs_in_one(world: World) -> None:
    text = (await world.access.create_link("a", Role.OPERATOR, HOST.actor)).token.reveal().decode()
    tries = [world.access.use_link(text, f"10.0.0.{n}") for n in range(8)]
    done = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(not isinstance(d, BaseException) for d in done) == 1


async def test_expired_link(world: World) -> None:
    link = await world.access.create_link("a", Role.OPERATOR, HOST.actor)
    world.clock.advance(timedelta(hours=1, seconds=1))
    with pytest.raises(Unauthenticated):
        await world.access.use_link(link.token.reveal().decode(), "10.0.0.9")


async def test_a_second_link_is_for_the_same_person_and_keeps_the_role(world: World) -> None:
    first = await world.access.create_link("ann", Role.READ_ONLY, HOST.actor)
    second = await world.access.create_link("ann", Role.ADMINISTRATOR, HOST.actor)
    assert first.user == second.user
    assert second.user.role is Role.READ_ONLY


async def test_guessing_links_slows_the_guesser_alone(world: World) -> None:
    good = (await world.access.create_link("a", Role.OPERATOR, HOST.actor)).token.reveal().decode()
    for _ in range(20):
        with pytest.raises(Unauthenticated):
            await world.access.use_link("irl_guess", "10.6.6.6")
    with pytest.raises(TooMany):
        await world.access.use_link(good, "10.6.6.6")
    await world.access.use_link(good, "10.0.0.9")


async def test_session_idles_out_and_ends_at_its_age(world: World) -> None:
    token = await world.sign_in()
    for _ in range(12):
        world.clock.advance(timedelta(minutes=59))
        assert await world.access.by_session(token) is not None
    world.clock.advance(timedelta(minutes=59))
    assert await world.access.by_session(token) is None
    other = await world.sign_in()
    world.clock.advance(timedelta(minutes=61))
    assert await world.access.by_session(other) is None


async def test_ended_session_is_worth_nothing(world: World) -> None:
    token = await world.sign_in()
    (session,) = await world.access.sessions(None, 10)
    assert await world.access.session_works(session.handle)
    await world.access.end_session(session.handle, HOST.actor)
    assert await world.access.by_session(token) is None
    assert not await world.access.session_works(session.handle)
    with pytest.raises(NotFound):
        await world.access.end_session(session.handle, HOST.actor)


async def test_no_secret_is_stored(world: World) -> None:
    token = await world.sign_in()
    key = (await world.access.create_api_key("ci", Role.OPERATOR, timedelta(days=1), HOST)).key.reveal().decode()
    async with world.store.read() as conn:
        stored = ""
        for table in (tables.link, tables.session, tables.api_key):
            stored += str((await conn.execute(select(table))).all())
    assert token not in stored
    assert key.rpartition("_")[2] not in stored


async def test_api_key(world: World) -> None:
    new = await world.access.create_api_key("ci", Role.OPERATOR, timedelta(days=30), HOST)
    text = new.key.reveal().decode()
    assert text.startswith("irk_")
    principal = await world.access.by_api_key(text, "10.0.0.9")
    assert (principal.kind, principal.id, principal.permissions) == ("apikey", new.made.id, ROLES[Role.OPERATOR])
    (listed,) = await world.access.api_keys(None, 10)
    assert listed.last_used_at == world.clock.now()
    await world.access.revoke_api_key(new.made.id, HOST.actor)
    assert not await world.access.api_key_works(new.made.id)
    with pytest.raises(Unauthenticated):
        await world.access.by_api_key(text, "10.0.0.9")
    with pytest.raises(Conflict):
        await world.access.revoke_api_key(new.made.id, HOST.actor)


async def test_api_key_expires(world: World) -> None:
    text = (await world.access.create_api_key("ci", Role.OPERATOR, timedelta(days=1), HOST)).key.reveal().decode()
    world.clock.advance(timedelta(days=1))
    with pytest.raises(Unauthenticated):
        await world.access.by_api_key(text, "10.0.0.9")
    with pytest.raises(Malformed):
        await world.access.create_api_key("for ever", Role.OPERATOR, timedelta(days=400), HOST)


async def test_api_key_with_a_changed_secret_or_id(world: World) -> None:
    text = (await world.access.create_api_key("ci", Role.OPERATOR, timedelta(days=1), HOST)).key.reveal().decode()
    for forged in (text[:-1] + ("A" if text[-1] != "A" else "B"), text.replace("irk_", "irk_a", 1), "", text + "x"):
        with pytest.raises(Unauthenticated):
            await world.access.by_api_key(forged, "10.0.0.9")


def test_roles_are_the_briefs() -> None:
    assert ROLES[Role.ADMINISTRATOR] == frozenset(Permission)
    assert Permission.LOG_READ in ROLES[Role.OPERATOR]
    for role in (Role.OPERATOR, Role.READ_ONLY):
        assert not any(
            p.endswith((".write", ".contain", ".revoke", ".manage", ".create", ".send")) for p in ROLES[role]
        )
    assert Permission.LOG_READ not in ROLES[Role.READ_ONLY]


async def test_erased_person_leaves_the_record_whole(world: World) -> None:
    token = await world.sign_in("ann")
    (user,) = await world.access.users(None, 10)
    await world.log.settle()
    created = next(f for f in await world.log.read() if f.kind == "user.created")
    shown = await world.log.reveal(created)
    assert shown is not None
    assert shown.fields == {"name": "ann"}
    assert "ann" not in str(created.body)
    await world.access.erase_user(user.id, HOST.actor)
    assert await world.access.by_session(token) is None
    assert await world.access.users(None, 10) == []
    erased = await world.log.reveal(created)
    assert erased is not None
    assert erased.erased
    with pytest.raises(NotFound):
        await world.access.erase_user(UserId("usr_nobody"), HOST.actor)
