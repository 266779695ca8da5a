"""Whether a port can be listened on, and who has it when it cannot: before anything is started."""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence
from pathlib import Path

from ironroot.core.errors import Misconfigured

_LISTENING = "0A"


def require_free(listen: str, doors: Sequence[tuple[str, int]]) -> None:
    """Nothing, when every (door, port) can be listened on. Raises Misconfigured naming door, port and holder."""
    for door, port in doors:
        family = socket.AF_INET6 if ":" in listen else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((listen, port))
            except OSError as e:
                raise _refusal(e, listen, door, port) from e
            except (UnicodeError, OverflowError) as e:
                raise Misconfigured(f"cannot listen on {listen!r}", remedy="give an IP address") from e


def holder(port: int) -> tuple[int, str] | None:
    """Process id and name of who listens on a TCP port, when this user may know it."""
    inodes = {inode for table in ("tcp", "tcp6") for inode in _listening(Path("/proc/net") / table, port)}
    if not inodes:
        return None
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            if any(str(link.readlink()) in wanted for link in (process / "fd").iterdir()):
                return int(process.name), (process / "comm").read_text().strip()
        except OSError:
            continue  # ended meanwhile, or of another user
    return None


def free_port() -> int:
    """A loopback port nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def _listening(table: Path, port: int) -> list[str]:
    try:
        lines = table.read_text().splitlines()[1:]
    except OSError:
        return []
    fields = (line.split() for line in lines)
    return [f[9] for f in fields if f[3] == _LISTENING and int(f[1].rpartition(":")[2], 16) == port]


def _refusal(e: OSError, listen: str, door: str, port: int) -> Misconfigured:
    where = f"{listen}:{port}"
    if e.errno == errno.EADDRINUSE:
        who = holder(port)
        by = f" by process {who[0]} ({who[1]})" if who else ""
        return Misconfigured(
            f"port {port}, for {door}, is taken{by}",
            remedy="stop that process, or choose other ports with --port-base",
            code="port-taken",
        )
    if e.errno == errno.EACCES:
        return Misconfigured(
            f"this user may not listen on port {port}, for {door}",
            remedy="choose ports from 1024 on with --port-base",
            code="port-forbidden",
        )
    return Misconfigured(
        f"cannot listen on {where}, for {door}: {e.strerror or e}",
        remedy="give an address of this machine with --listen, such as 127.0.0.1 or 0.0.0.0",
        code="listen-address",
    )
