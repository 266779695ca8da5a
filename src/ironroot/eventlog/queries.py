"""Reading the stored chain: by number, kind, subject, actor; the end of it; the place of a fact."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ironroot.core.ids import FactId
from ironroot.eventlog.model import Head
from ironroot.eventlog.tables import fact

MAX_LIMIT = 1_000


def page(
    *,
    after: int = 0,
    before: int | None = None,
    limit: int = 100,
    kinds: Collection[str] | None = None,
    subject: str | None = None,
    actor: str | None = None,
    newest_first: bool = False,
) -> Select[Any]:
    """Facts with after < seq < before that match everything given, oldest or newest first, at most MAX_LIMIT."""
    query = select(fact).where(fact.c.seq > after)
    if before is not None:
        query = query.where(fact.c.seq < before)
    if kinds is not None:
        query = query.where(fact.c.kind.in_(sorted(kinds)))
    if subject is not None:
        query = query.where(fact.c.subject == subject)
    if actor is not None:
        query = query.where(fact.c.actor == actor)
    order = fact.c.seq.desc() if newest_first else fact.c.seq
    return query.order_by(order).limit(max(1, min(limit, MAX_LIMIT)))


async def head(conn: AsyncConnection) -> Head:
    """The end of the stored chain."""
    row = (await conn.execute(select(fact.c.seq, fact.c.hash).order_by(fact.c.seq.desc()).limit(1))).first()
    return Head() if row is None else Head(row.seq, bytes(row.hash))


async def places(conn: AsyncConnection, ids: Sequence[FactId]) -> dict[FactId, int]:
    """The numbers of these facts; one that has no place yet is left out. At most MAX_LIMIT ids are looked at."""
    wanted = list(ids)[:MAX_LIMIT]
    if not wanted:
        return {}
    rows = await conn.execute(select(fact.c.id, fact.c.seq).where(fact.c.id.in_(wanted)))
    return {FactId(row.id): row.seq for row in rows}
