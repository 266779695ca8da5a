"""A log file that never outgrows its bound: the previous one is kept beside it, older ones go.

A full disk loses log lines, never a process: what could not be written is counted and said once there is room.
"""

from __future__ import annotations

import os
from pathlib import Path

MAX_BYTES = 10 << 20


class BoundedLog:
    """Appends to `path`; at `max_bytes` it becomes `path.1`."""

    def __init__(self, path: Path, max_bytes: int = MAX_BYTES) -> None:
        self.path = path
        self.max_bytes = max_bytes
        self._descriptor: int | None = None
        self._size = 0
        self._lost = 0

    def write(self, content: bytes) -> None:
        """Append; never raises."""
        try:
            if self._descriptor is None or self._size + len(content) > self.max_bytes:
                self._open()
            if self._lost:
                content = f"[{self._lost} bytes of this log were lost: no room]\n".encode() + content
            self._append(content)
            self._lost = 0
        except OSError:
            self._lost += len(content)
            self.close()

    def close(self) -> None:
        """Let go of the file; a later write opens it again."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def tail(self, lines: int = 10) -> list[str]:
        """The last lines, for a person who is told that the process ended."""
        try:
            with self.path.open("rb") as file:
                file.seek(max(0, self.path.stat().st_size - 8_192))
                return file.read().decode(errors="replace").splitlines()[-lines:]
        except OSError:
            return []

    def _open(self) -> None:
        if self._descriptor is not None:
            self.close()
            rotate(self.path)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        self._descriptor = os.open(self.path, flags, 0o600)
        self._size = os.fstat(self._descriptor).st_size
        if self._size >= self.max_bytes:
            self._open()

    def _append(self, content: bytes) -> None:
        assert self._descriptor is not None  # noqa: S101 (opened by the caller)
        while content:
            written = os.write(self._descriptor, content)
            self._size += written
            content = content[written:]


def rotate(path: Path) -> None:
    """Keep `path` as `path.1`. Raises OSError."""
    path.replace(path.with_name(path.name + ".1"))
