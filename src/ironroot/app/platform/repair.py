"""Brings the broker back after a full disk: it stops taking messages for good when it could not write one.

Once there is room again it is told to end, and the supervisor starts it anew; devices keep what was not acknowledged
and come back by themselves. Nothing is done while the disk is still full: a broker that cannot write is no better new.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from pathlib import Path

import structlog

from ironroot.adapters.nats.broker import Broker

LOOK_S = 1.0
ROOM_BYTES = 32 << 20

_log = structlog.get_logger(__name__)


async def mend_broker(broker: Broker, pid_file: Path, data: Path) -> None:
    """For ever: look, and restart the broker where that helps."""
    while True:
        await asyncio.sleep(LOOK_S)
        if not broker.storage_failed or shutil.disk_usage(data).free < ROOM_BYTES:
            continue
        _log.warning("the disk was full and has room again: the message broker is restarted")
        _end(pid_file)
        broker.storage_failed = False


def _end(pid_file: Path) -> None:
    with contextlib.suppress(OSError, ValueError):
        os.kill(int(pid_file.read_text()), signal.SIGTERM)
