"""Talking to Envoy's administration."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ironroot.adapters.envoy.admin import Admin
from ironroot.core.errors import Unavailable
from tests.adapters.envoy.front import Front


async def test_ready_and_counters(door: Front) -> None:
    admin = Admin(door.settings.admin_socket)
    door.curl("console", "/")
    assert await admin.ready()
    stats = await admin.stats("http.console.downstream_rq_total")
    assert stats["http.console.downstream_rq_total"] >= 1
    assert await admin.requests_in_flight() == 0


async def test_logs_are_reopened_after_a_rename(own_door: Front) -> None:
    log = own_door.settings.request_log
    own_door.curl("devices", "/before")
    own_door.log(log, "/before")
    log.rename(log.with_suffix(".1"))
    await Admin(own_door.settings.admin_socket).reopen_logs()
    own_door.curl("devices", "/after")
    assert own_door.log(log, "/after")["status"] == 403


async def test_drain_lets_the_request_in_flight_finish(own_door: Front) -> None:
    admin = Admin(own_door.settings.admin_socket)
    slow = asyncio.create_task(asyncio.to_thread(own_door.curl, "console", "/slow?s=0.5"))
    while not await admin.requests_in_flight():
        await asyncio.sleep(0.01)
    await admin.drain()
    assert (await slow).status == 200
    assert own_door.curl("console", "/", "--http1.1").headers["connection"] == "close"


async def test_nobody_there_is_not_ready(tmp_path: Path) -> None:
    admin = Admin(tmp_path / "none.sock")
    assert not await admin.ready()
    with pytest.raises(Unavailable):
        await admin.stats("x")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffffff\r\n",
    ],
)
async def test_a_broken_answer_is_unavailable_never_a_crash(tmp_path: Path, answer: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    path = tmp_path / "a.sock"
    async with await asyncio.start_unix_server(serve, str(path)):
        with pytest.raises(Unavailable):
            await Admin(path, timeout_s=1).call("GET", "/ready")
