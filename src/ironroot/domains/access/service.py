"""Signs people in by one-time link, keeps their sessions, gives API keys, and says what a credential is worth.

Failures are counted per source address: past the budget a source waits, whatever it sends, so guessing costs
time and victims are never locked out.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, Update, delete, insert, select, update

from ironroot.core.clock import Clock
from ironroot.core.errors import Conflict, Malformed, NotFound, TooMany, Unauthenticated, Unavailable
from ironroot.core.gcra import Budget, Gcra
from ironroot.core.ids import ApiKeyId, UserId, new_id
from ironroot.core.secret import Secret
from ironroot.domains.access import tables
from ironroot.domains.access.credentials import new_api_key, new_token, parse_api_key, stored
from ironroot.domains.access.facts import (
    AccessRefused,
    ApiKeyCreated,
    ApiKeyRevoked,
    LinkCreated,
    SessionEnded,
    SessionStarted,
    UserCreated,
)
from ironroot.domains.access.model import ROLES, ApiKey, Role, Session, User
from ironroot.domains.access.ports import PersonEraser
from ironroot.edge.authorize import Principal
from ironroot.eventlog.log import EventLog
from ironroot.eventlog.model import NewFact
from ironroot.eventlog.refusals import RefusalLog
from ironroot.store.engine import Store, Tx

FAILURES = Budget(burst=20, period_s=60)
TOUCH = timedelta(minutes=1)
MOST_LIFETIME = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class AccessSettings:
    """Lifetimes: of a one-time link, of a session unused, of a session at most."""

    link_lifetime: timedelta = timedelta(hours=1)
    session_idle: timedelta = timedelta(hours=1)
    session_lifetime: timedelta = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class NewLink:
    """A one-time link's token, and until when it works."""

    token: Secret
    user: User
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class NewApiKey:
    """A key just made: the only time its text is known."""

    key: Secret
    made: ApiKey


class Access:
    """Who is who (an `edge.authentication.Authenticator`)."""

    def __init__(
        self,
        store: Store,
        log: EventLog,
        refusals: RefusalLog,
        clock: Clock,
        persons: PersonEraser,
        settings: AccessSettings | None = None,
    ) -> None:
        self._store = store
        self._log = log
        self._refusals = refusals
        self._clock = clock
        self._persons = persons
        self._settings = settings or AccessSettings()
        self._failures = Gcra(FAILURES)

    # --- one-time links ---------------------------------------------------------------------------------------

    async def create_link(self, name: str, role: Role, actor: str) -> NewLink:
        """A link that signs in once as the user of that name, who is made with `role` when new."""
        if not 1 <= len(name) <= 100 or not name.isprintable():
            raise Malformed("a user's name is 1 to 100 printable characters")
        now = self._clock.now()
        token = new_token("irl", secrets.token_bytes(32))
        expires_at = now + self._settings.link_lifetime
        async with self._store.write() as tx:
            row = (await tx.execute(select(tables.user).where(tables.user.c.name == name))).first()
            user = _user(row) if row is not None else await self._create_user(tx, name, role, actor)
            await tx.execute(delete(tables.link).where(tables.link.c.expires_at <= now))
            await tx.execute(
                insert(tables.link).values(token_hash=stored(token), user_id=user.id, expires_at=expires_at),
            )
            await self._log.append(tx, LinkCreated(expires_at).fact(f"user/{user.id}", actor))
        return NewLink(token, user, expires_at)

    async def _create_user(self, tx: Tx, name: str, role: Role, actor: str) -> User:
        user = User(UserId(new_id("usr", secrets.token_bytes(16))), name, role, self._clock.now())
        await tx.execute(insert(tables.user).values(id=user.id, name=name, role=role, created_at=user.created_at))
        made = UserCreated(role).fact(f"user/{user.id}", actor)
        await self._log.append(
            tx,
            NewFact(made.kind, made.subject, made.actor, made.body, person=user.id, personal={"name": name}),
        )
        return user

    async def use_link(self, token: str, source: str) -> tuple[Secret, Session]:
        """Sign in by a link: a new session and its token. Raises Unauthenticated, TooMany.

        A link is used by one conditional update, so of two who hold it at once only one gets in.
        """
        self._within_budget(source)
        now = self._clock.now()
        async with self._store.write() as tx:
            used = await tx.execute(
                update(tables.link)
                .where(
                    tables.link.c.token_hash == stored(token),
                    tables.link.c.used_at.is_(None),
                    tables.link.c.expires_at > now,
                )
                .values(used_at=now)
                .returning(tables.link.c.user_id),
            )
            user_id = used.scalar()
            if user_id is not None:
                row = (await tx.execute(select(tables.user).where(tables.user.c.id == user_id))).one()
                return await self._start_session(tx, _user(row), source)
        await self._refuse("link", "unknown, used or expired", source)
        raise Unauthenticated(
            "this sign-in link is unknown, used or expired",
            remedy="make a new one on the platform's host: `ironroot user link`",
            code="link",
        )

    # --- sessions ---------------------------------------------------------------------------------------------

    async def _start_session(self, tx: Tx, user: User, source: str) -> tuple[Secret, Session]:
        now = self._clock.now()
        token = new_token("irs", secrets.token_bytes(32))
        handle = new_id("ses", secrets.token_bytes(16))
        session = Session(handle, user, now, now, now + self._settings.session_lifetime, source)
        await tx.execute(delete(tables.session).where(tables.session.c.expires_at <= now))
        await tx.execute(
            insert(tables.session).values(
                token_hash=stored(token),
                handle=handle,
                user_id=user.id,
                address=source,
                created_at=now,
                last_seen_at=now,
                expires_at=session.expires_at,
            ),
        )
        fact = SessionStarted(handle, "link").fact(f"user/{user.id}", f"user/{user.id}")
        await self._log.append(
            tx,
            NewFact(fact.kind, fact.subject, fact.actor, fact.body, person=user.id, personal={"address": source}),
        )
        return token, session

    async def by_session(self, token: str) -> Principal | None:
        """The user whose session this is; None once it ended, idled out or expired."""
        now = self._clock.now()
        table = tables.session
        query = (
            select(table, tables.user.c.name, tables.user.c.role)
            .join(tables.user)
            .where(
                table.c.token_hash == stored(token),
                table.c.expires_at > now,
                table.c.last_seen_at > now - self._settings.session_idle,
            )
        )
        async with self._store.read() as conn:
            row = (await conn.execute(query)).first()
        if row is None:
            return None
        if now - row.last_seen_at > TOUCH:
            await self._touch(update(table).where(table.c.handle == row.handle).values(last_seen_at=now))
        return Principal("user", row.user_id, row.name, row.role, ROLES[Role(row.role)], session=row.handle)

    async def session_works(self, handle: str) -> bool:
        """Whether the session of this handle still is one; looking does not prolong it."""
        now = self._clock.now()
        table = tables.session
        query = select(table.c.handle).where(
            table.c.handle == handle,
            table.c.expires_at > now,
            table.c.last_seen_at > now - self._settings.session_idle,
        )
        async with self._store.read() as conn:
            return (await conn.execute(query)).first() is not None

    async def sessions(self, after: str | None, limit: int) -> list[Session]:
        """Sessions that still work, in order of handle."""
        now = self._clock.now()
        table = tables.session
        query = (
            select(
                table.c.handle,
                table.c.created_at,
                table.c.last_seen_at,
                table.c.expires_at,
                table.c.address,
                tables.user.c.id.label("user_id"),
                tables.user.c.name,
                tables.user.c.role,
                tables.user.c.created_at.label("user_since"),
            )
            .join(tables.user)
            .where(table.c.expires_at > now, table.c.last_seen_at > now - self._settings.session_idle)
            .order_by(table.c.handle)
            .limit(limit)
        )
        if after is not None:
            query = query.where(table.c.handle > after)
        async with self._store.read() as conn:
            rows = (await conn.execute(query)).all()
        return [
            Session(
                r.handle,
                User(UserId(r.user_id), r.name, Role(r.role), r.user_since),
                r.created_at,
                r.last_seen_at,
                r.expires_at,
                r.address,
            )
            for r in rows
        ]

    async def end_session(self, handle: str, actor: str) -> None:
        """End a session now. Raises NotFound."""
        table = tables.session
        async with self._store.write() as tx:
            ended = await tx.execute(delete(table).where(table.c.handle == handle).returning(table.c.user_id))
            user_id = ended.scalar()
            if user_id is None:
                raise NotFound("no such session", code="no-session")
            await self._log.append(tx, SessionEnded(handle).fact(f"user/{user_id}", actor))

    # --- users ------------------------------------------------------------------------------------------------

    async def users(self, after: str | None, limit: int) -> list[User]:
        """Users in order of id."""
        query = select(tables.user).order_by(tables.user.c.id).limit(limit)
        if after is not None:
            query = query.where(tables.user.c.id > after)
        async with self._store.read() as conn:
            return [_user(row) for row in (await conn.execute(query)).all()]

    async def erase_user(self, user: UserId, actor: str) -> None:
        """Erase a person: sessions, links and name go, and with the person's key what the record holds about them.

        Raises NotFound.
        """
        async with self._store.write() as tx:
            if (await tx.execute(select(tables.user.c.id).where(tables.user.c.id == user))).first() is None:
                raise NotFound("no such user", code="no-user")
            for table in (tables.session, tables.link):
                await tx.execute(delete(table).where(table.c.user_id == user))
            await tx.execute(delete(tables.user).where(tables.user.c.id == user))
            await self._persons.erase(tx, user, actor)

    # --- API keys ---------------------------------------------------------------------------------------------

    async def create_api_key(self, name: str, role: Role, lifetime: timedelta, creator: Principal) -> NewApiKey:
        """A key with `role`. Raises Malformed for a bad name or a lifetime over a year; Forbidden is the route's to say."""
        if not 1 <= len(name) <= 100 or not name.isprintable():
            raise Malformed("a key's name is 1 to 100 printable characters")
        if lifetime > MOST_LIFETIME:
            raise Malformed("an API key lives at most 366 days", remedy="make a new one in time: keys may overlap")
        now = self._clock.now()
        new = new_api_key(secrets.token_bytes(48))
        made = ApiKey(new.id, name, role, now, creator.actor, now + lifetime, None, None)
        async with self._store.write() as tx:
            await tx.execute(
                insert(tables.api_key).values(
                    id=made.id,
                    name=name,
                    role=role,
                    secret_hash=stored(new.secret),
                    created_at=now,
                    created_by=creator.actor,
                    expires_at=made.expires_at,
                ),
            )
            created = ApiKeyCreated(name, role, made.expires_at)
            await self._log.append(tx, created.fact(f"apikey/{made.id}", creator.actor))
        return NewApiKey(new.text(), made)

    async def api_keys(self, after: str | None, limit: int) -> list[ApiKey]:
        """Keys in order of id, ended ones too."""
        query = select(tables.api_key).order_by(tables.api_key.c.id).limit(limit)
        if after is not None:
            query = query.where(tables.api_key.c.id > after)
        async with self._store.read() as conn:
            return [_api_key(row) for row in (await conn.execute(query)).all()]

    async def revoke_api_key(self, key: ApiKeyId, actor: str) -> None:
        """End a key now. Raises NotFound, Conflict when it has ended already."""
        table = tables.api_key
        async with self._store.write() as tx:
            row = (await tx.execute(select(table).where(table.c.id == key))).first()
            if row is None:
                raise NotFound("no such API key", code="no-apikey")
            if row.revoked_at is not None:
                raise Conflict("the API key is revoked already", code="apikey-revoked")
            await tx.execute(update(table).where(table.c.id == key).values(revoked_at=self._clock.now()))
            await self._log.append(tx, ApiKeyRevoked(row.name).fact(f"apikey/{key}", actor))

    async def api_key_works(self, key: str) -> bool:
        """Whether the key of this id still is one."""
        table = tables.api_key
        query = select(table.c.id).where(
            table.c.id == key,
            table.c.revoked_at.is_(None),
            table.c.expires_at > self._clock.now(),
        )
        async with self._store.read() as conn:
            return (await conn.execute(query)).first() is not None

    async def by_api_key(self, key: str, source: str) -> Principal:
        """The program whose key this is. Raises Unauthenticated for an unknown, ended or expired key, TooMany."""
        self._within_budget(source)
        now = self._clock.now()
        try:
            given = parse_api_key(key)
        except Unauthenticated:
            await self._refuse("apikey", "not a key", source)
            raise
        table = tables.api_key
        async with self._store.read() as conn:
            row = (await conn.execute(select(table).where(table.c.id == given.id))).first()
        good = row is not None and Secret(row.secret_hash).matches(stored(given.secret))
        if row is None or not good or row.revoked_at is not None or row.expires_at <= now:
            await self._refuse("apikey", "unknown, revoked or expired", source)
            raise Unauthenticated(
                "this API key is unknown, revoked or expired",
                remedy="make a new one: `ironroot apikey create --name NAME --role ROLE --expires 90d`",
                code="apikey",
            )
        if row.last_used_at is None or now - row.last_used_at > TOUCH:
            await self._touch(update(table).where(table.c.id == row.id).values(last_used_at=now))
        return Principal("apikey", row.id, row.name, row.role, ROLES[Role(row.role)])

    async def _touch(self, statement: Update) -> None:
        """Note a use, at most once a minute; a full disk keeps nobody from looking."""
        with suppress(Unavailable):
            async with self._store.write() as tx:
                await tx.execute(statement)

    # --- failures ---------------------------------------------------------------------------------------------

    def _within_budget(self, source: str) -> None:
        wait = self._failures.peek(source, self._clock.monotonic())
        if wait > 0:
            raise TooMany("too many failed sign-ins from this address", retry_after_s=wait)

    async def _refuse(self, what: str, why: str, source: str) -> None:
        self._failures.take(source, self._clock.monotonic())
        await self._refusals.note(AccessRefused(what, why).fact("platform", f"peer/{source}"))


def _user(row: Row[Any]) -> User:
    return User(UserId(row.id), row.name, Role(row.role), row.created_at)


def _api_key(row: Row[Any]) -> ApiKey:
    return ApiKey(
        ApiKeyId(row.id),
        row.name,
        Role(row.role),
        row.created_at,
        row.created_by,
        row.expires_at,
        row.last_used_at,
        row.revoked_at,
    )
