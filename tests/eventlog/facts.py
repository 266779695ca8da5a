"""Facts for these tests."""

from __future__ import annotations

from ironroot.core.canonical import Json
from ironroot.eventlog.log import EventLog
from ironroot.eventlog.model import NewFact


def made(n: int = 0, kind: str = "device.registered", **body: Json) -> NewFact:
    return NewFact(kind, f"device/meter-{n}", "user/usr_a", {"n": n} | body)


async def append(log: EventLog, *news: NewFact) -> None:
    """Each in a transaction of its own."""
    for new in news:
        async with log.store.write() as tx:
            await log.append(tx, new)
