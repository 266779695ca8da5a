"""A writer killed in the middle of its work: every confirmed fact is there, once, and the chain is whole."""

from __future__ import annotations

import asyncio
import io
import signal
import sys

import pytest

from ironroot.core.ids import FactId
from ironroot.eventlog.log import EventLog
from ironroot.verify import factlog
from tests.support.clock import ManualClock
from tests.support.log import NoteSigner
from tests.support.stores import Stores


async def killed_after(url: str, confirmed: int) -> list[FactId]:
    """Start a writer, kill it once it has confirmed so many facts; all it confirmed."""
    argv = [sys.executable, "-m", "tests.eventlog.crashing_writer", url]
    process = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    lines: list[bytes] = []
    while len(lines) < confirmed:
        line = await process.stdout.readline()
        assert line, "the writer ended by itself"
        lines.append(line)
    process.send_signal(signal.SIGKILL)
    rest = await process.stdout.read()
    await process.wait()
    lines += [line for line in rest.splitlines(keepends=True) if line.endswith(b"\n")]
    return [FactId(line.decode().strip()) for line in lines]


@pytest.mark.parametrize("confirmed", [1, 37, 150])
async def test_nothing_confirmed_is_lost_when_the_writer_is_killed(
    stores: Stores, clock: ManualClock, confirmed: int
) -> None:
    await stores.create()
    signer = NoteSigner(seed="crash")
    ids: list[FactId] = []
    for _ in range(2):
        ids += await killed_after(stores.url, confirmed)
    log = EventLog(stores.open(), clock, signer=signer)
    head = await log.settle()
    assert len(await log.places(ids)) == len(set(ids)) == len(ids)
    assert head.seq >= len(ids)
    assert await log.integrity.check() == head.seq
    export = b"".join([piece async for piece in log.export()])
    assert factlog.verify(io.BytesIO(export), signer.key).facts == head.seq
