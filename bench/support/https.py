"""A plain HTTP/1.1 client over TLS for asyncio: one connection, one request at a time, as a small device has it."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from pathlib import Path

from bench.support.load import context


def trusting(roots: Path) -> ssl.SSLContext:
    """TLS 1.3 without a client certificate."""
    made = ssl.create_default_context(cafile=str(roots))
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    return made


def of_device(roots: Path, certificate: Path, key: Path) -> ssl.SSLContext:
    """TLS 1.3 with a device's certificate."""
    return context(str(roots), str(certificate), str(key))


@dataclass
class Connection:
    """An open connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def open(cls, port: int, tls: ssl.SSLContext) -> Connection:
        """A new one, its handshake done."""
        return cls(*await asyncio.open_connection("127.0.0.1", port, ssl=tls, server_hostname="localhost"))

    async def request(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
        """Status and body of the answer. Raises OSError or EOFError when the connection ends."""
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        self.writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = 0
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        return int(head[9:12]), await self.reader.readexactly(length)

    def close(self) -> None:
        """End it."""
        self.writer.close()
