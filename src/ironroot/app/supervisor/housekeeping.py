"""Keeps the front door's own log files within bounds while it runs: renamed, then opened anew by Envoy."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from pathlib import Path

from ironroot.adapters.envoy.admin import Admin
from ironroot.app.supervisor.logfile import rotate
from ironroot.core.errors import Unavailable

MAX_BYTES = 32 << 20
EVERY_S = 15.0


async def bound_logs(
    admin: Admin, logs: Sequence[Path], *, max_bytes: int = MAX_BYTES, every_s: float = EVERY_S
) -> None:
    """For ever: rename what has grown past `max_bytes`, keeping one previous file each."""
    while True:
        await bound_logs_once(admin, logs, max_bytes)
        await asyncio.sleep(every_s)


async def bound_logs_once(admin: Admin, logs: Sequence[Path], max_bytes: int) -> None:
    """One look at the sizes."""
    grown = [path for path in logs if _size(path) > max_bytes]
    for path in grown:
        with contextlib.suppress(OSError):
            rotate(path)
    if grown:
        with contextlib.suppress(Unavailable):
            await admin.reopen_logs()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
