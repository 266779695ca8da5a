"""Envoy's administration over its private Unix socket: ready, counters, drain, reopened logs.

Standard library only: the supervisor imports it. A tiny HTTP/1.1 client on purpose, since the answers are ours.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from ironroot.core.errors import Unavailable

_MAX_BYTES = 4 << 20


class Admin:
    """Commands to the running Envoy whose admin socket is `socket`."""

    def __init__(self, socket: Path, *, timeout_s: float = 3.0) -> None:
        self.socket = socket
        self.timeout_s = timeout_s

    async def ready(self) -> bool:
        """Whether Envoy has its listeners up and its secrets loaded; False when nothing answers."""
        try:
            status, body = await self.call("GET", "/ready")
        except Unavailable:
            return False
        return status == 200 and body.strip() == b"LIVE"

    async def stats(self, *needles: str) -> dict[str, int]:
        """The counters and gauges whose name contains any of `needles`. Raises Unavailable."""
        _, body = await self.call("GET", "/stats?usedonly&filter=" + "|".join(needles))
        found: dict[str, int] = {}
        for line in body.decode(errors="replace").splitlines():
            name, _, value = line.rpartition(": ")
            if name and value.isdigit():
                found[name] = int(value)
        return found

    async def drain(self) -> None:
        """Say on every answer that the connection ends, refuse new ones after the drain time; the process stays.

        Raises Unavailable.
        """
        await self.call("POST", "/healthcheck/fail")
        await self.call("POST", "/drain_listeners?graceful&skip_exit")

    async def requests_in_flight(self) -> int:
        """Requests being answered, event streams left out. Raises Unavailable."""
        return sum((await self.stats("cluster.app.upstream_rq_active")).values())

    async def reopen_logs(self) -> None:
        """Open the log files anew, after they were renamed. Raises Unavailable."""
        await self.call("POST", "/reopen_logs")

    async def call(self, method: str, path: str) -> tuple[int, bytes]:
        """Status and body of one command. Raises Unavailable when Envoy does not answer in time."""
        try:
            async with asyncio.timeout(self.timeout_s):
                return await self._call(method, path)
        except (OSError, TimeoutError, ValueError, asyncio.LimitOverrunError) as e:
            raise Unavailable(f"the front door's administration does not answer: {type(e).__name__}") from e

    async def _call(self, method: str, path: str) -> tuple[int, bytes]:
        reader, writer = await asyncio.open_unix_connection(str(self.socket), limit=_MAX_BYTES)
        try:
            writer.write(f"{method} {path} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n".encode())
            await writer.drain()
            head = await reader.readuntil(b"\r\n\r\n")
            status = int(head[9:12])
            if b"\r\ntransfer-encoding: chunked\r\n" in head.lower():
                return status, await _chunks(reader)
            return status, await reader.read(_MAX_BYTES)
        except asyncio.IncompleteReadError as e:
            raise ConnectionResetError("closed in the middle of an answer") from e
        finally:
            writer.close()


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while (size := int(await reader.readline(), 16)) > 0:
        if len(body) + size > _MAX_BYTES:
            raise ValueError("answer too large")
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    return bytes(body)
