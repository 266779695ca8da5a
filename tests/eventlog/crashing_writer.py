"""Appends facts and sequences them until it is killed; says on standard output what was confirmed, one id per line.

Usage: python -m tests.eventlog.crashing_writer URL
"""

from __future__ import annotations

import asyncio
import sys
import time
from datetime import UTC, datetime

from ironroot.eventlog.log import EventLog
from ironroot.eventlog.model import NewFact
from ironroot.store.engine import Store
from tests.support.log import NoteSigner


class _Clock:
    def now(self) -> datetime:
        return datetime.now(UTC)  # noqa: TID251 (a process of its own)

    def monotonic(self) -> float:
        return time.monotonic()


async def main(url: str) -> None:
    log = EventLog(Store(url), _Clock(), signer=NoteSigner(seed="crash"))
    tasks = [asyncio.create_task(log.run())]

    async def write(who: int) -> None:
        n = 0
        while True:
            async with log.store.write() as tx:
                fact_id = await log.append(tx, NewFact("device.registered", f"device/{who}", "platform", {"n": n}))
            sys.stdout.write(f"{fact_id}\n")
            sys.stdout.flush()
            n += 1

    tasks += [asyncio.create_task(write(who)) for who in range(4)]
    await asyncio.gather(*tasks)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
