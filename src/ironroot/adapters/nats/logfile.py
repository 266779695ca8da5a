"""Follows nats-server's log for what it says nowhere else: a denied publish is acknowledged to the device and drops
without an event, so the log line is the only trace. Survives rotation; reads at most 256 KB at a time.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

CHUNK = 256 << 10
BEHIND = 4 << 20
"""Further behind than this, lines are skipped: somebody floods the log."""

_VIOLATION = re.compile(
    r'\[ERR\] (?P<address>\S+):\d+ - mid:(?P<cid>\d+) - "(?:[^"\\]|\\.)*" - '
    r'(?P<kind>Publish|Subscription) Violation - Subject (?P<subject>"(?:[^"\\]|\\.)*")'
)
_STORAGE = re.compile(r"\[ERR\] .*[Cc]ritical write error")


@dataclass(frozen=True, slots=True)
class Denied:
    """A connection published or subscribed where it may not."""

    cid: int
    address: str
    kind: Literal["publish", "subscribe"]
    subject: str


@dataclass(frozen=True, slots=True)
class StorageFailed:
    """The broker could not write to its disk. It acknowledges nothing more until it is started again."""


Line = Denied | StorageFailed


def parse(line: str) -> Line | None:
    """What a line means, if it means something to us. The client id in it is the client's own text: skipped whole."""
    found = _VIOLATION.search(line)
    if found is not None:
        kind: Literal["publish", "subscribe"] = "publish" if found["kind"] == "Publish" else "subscribe"
        return Denied(int(found["cid"]), found["address"].strip("[]"), kind, found["subject"][1:-1][:200])
    return StorageFailed() if _STORAGE.search(line) else None


class LogFollower:
    """Reads what was added since the last time, from the file's end when made."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._inode = -1
        self._rest = b""
        self._open(at_end=True)

    def _open(self, *, at_end: bool) -> None:
        try:
            self._file = self._path.open("rb")
        except OSError:
            self._file, self._inode = None, -1
            return
        self._inode = os.fstat(self._file.fileno()).st_ino
        self._rest = b""
        if at_end:
            self._file.seek(0, os.SEEK_END)

    def read(self) -> Iterator[Line]:
        """The lines that mean something, oldest first; call it about four times a second."""
        if self._file is not None:
            yield from self._chunk(self._file)
        try:
            moved = self._path.stat().st_ino != self._inode
        except OSError:
            return
        if moved:
            self.close()
            self._open(at_end=False)
            if self._file is not None:
                yield from self._chunk(self._file)

    def _chunk(self, file: BinaryIO) -> Iterator[Line]:
        behind = os.fstat(file.fileno()).st_size - file.tell()
        if behind < 0:
            file.seek(0)
        elif behind > BEHIND:
            file.seek(-CHUNK, os.SEEK_END)
            self._rest = b""
        lines = (self._rest + file.read(CHUNK)).split(b"\n")
        self._rest = lines.pop()[-4096:]
        for line in lines:
            if b"[ERR]" in line:
                found = parse(line.decode(errors="replace"))
                if found is not None:
                    yield found

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None
