"""Whether the broker can still keep what devices send, and a new start for it when it could not and now can.

Measured: when nats-server cannot write (a full disk), it acknowledges nothing more, loses nothing it acknowledged, and
stays so after there is room again, until it is started anew. So it is asked to keep a word every few seconds; and
once the disk has room it is ended, for its supervisor to start it again.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
from enum import StrEnum
from pathlib import Path

import structlog

from ironroot.adapters.nats.streams import Request
from ironroot.adapters.nats.subjects import PROBES
from ironroot.core.errors import Unavailable

LOOK_S = 5.0
ROOM_BYTES = 64 << 20
PATIENCE = 2
"""Probes without an answer before the broker is held to be unable to write."""
_MAXIMUM_BYTES = 10_077

_log = structlog.get_logger(__name__)


class StorageState(StrEnum):
    """How it stands."""

    WRITES = "writes"
    FULL = "full"
    """What may wait for the intake waits: devices get no PUBACK and keep what they have."""
    FAILED = "failed"
    """A write failed; nothing is kept until a new start."""


class StorageWatch:
    """Looks, and restarts. Without `store` and `pid_file` it only looks."""

    def __init__(self, ask: Request, store: Path | None = None, pid_file: Path | None = None) -> None:
        self._ask = ask
        self._store = store
        self._pid_file = pid_file
        self._silent = 0
        self._ended = 0
        self.state = StorageState.WRITES

    def failed(self) -> None:
        """The broker's log says that a write failed."""
        self.state = StorageState.FAILED

    async def look(self) -> StorageState:
        """Ask each stream to keep a word; end the broker where it cannot and a new start would help."""
        states = [await self._probe(subject) for subject in PROBES]
        if StorageState.FAILED in states:
            self._silent += 1
        else:
            self._silent = 0
            if self.state is not StorageState.FAILED:
                self.state = StorageState.FULL if StorageState.FULL in states else StorageState.WRITES
        if self._silent >= PATIENCE:
            self.state = StorageState.FAILED
        if self.state is StorageState.FAILED:
            self._restart()
        return self.state

    async def _probe(self, subject: str) -> StorageState:
        try:
            error = json.loads(await self._ask(subject, b"")).get("error")
        except Unavailable:
            return StorageState.FAILED
        if error is None:
            return StorageState.WRITES
        return StorageState.FULL if error.get("err_code") == _MAXIMUM_BYTES else StorageState.FAILED

    def _restart(self) -> None:
        if self._store is None or self._pid_file is None:
            return
        try:
            pid = int(self._pid_file.read_text())
            if shutil.disk_usage(self._store).free < ROOM_BYTES:
                return
            # The second time it is not asked any more: it may be stuck in the write that failed.
            os.kill(pid, signal.SIGKILL if pid == self._ended else signal.SIGTERM)
        except (OSError, ValueError):
            return
        _log.warning("the broker could not write and there is room now: it is started again", pid=pid)
        self._ended = pid

    def reconnected(self) -> None:
        """The broker answers after a gap: whatever was wrong, this may be another process."""
        self._silent = 0
        self.state = StorageState.WRITES
