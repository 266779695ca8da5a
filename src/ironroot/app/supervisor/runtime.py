"""The runtime directory: a short private path for sockets and everything that dies with the platform.

The listening sockets are made and held here, so that a restart of the platform loses no request: connections queue
until the new process accepts them. Their mode is 0600 from the first instant, for whoever can connect to `api.sock`
could claim any identity.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ironroot.core.errors import Misconfigured

PREFIX = "ironroot-"
_LONGEST_NAME = len("admin.sock")
_LONGEST_PATH = 107
"""Bytes in the path of a Unix socket (sun_path)."""
_BACKLOG = 2_048


@dataclass(frozen=True, slots=True)
class Runtime:
    """The directory and the sockets held in it."""

    path: Path
    api: socket.socket
    host: socket.socket

    @property
    def descriptors(self) -> dict[str, int]:
        """The listening sockets' numbers by name."""
        return {"api": self.api.fileno(), "host": self.host.fileno()}


@contextmanager
def runtime() -> Iterator[Runtime]:
    """A fresh runtime directory, removed at the end with all that is in it. Raises Misconfigured."""
    path = _make()
    guard = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(guard, fcntl.LOCK_SH)  # cleaners of temporary files leave a locked directory alone
        with _listen(path / "api.sock") as api, _listen(path / "host.sock") as host:
            yield Runtime(path, api, host)
    finally:
        os.close(guard)
        shutil.rmtree(path, ignore_errors=True)


def sweep(path: Path) -> None:
    """Remove the runtime directory of a platform that was killed; only if it plainly is one of ours."""
    with suppress(OSError):
        found = path.lstat()
        ours = found.st_uid == os.geteuid() and path.name.startswith(PREFIX) and path.is_dir() and not path.is_symlink()
        if ours and path.is_absolute():
            shutil.rmtree(path, ignore_errors=True)


def _make() -> Path:
    places = [os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0], tempfile.gettempdir(), "/tmp"]  # noqa: S108 (a private directory is made in it)
    reasons = []
    for place in filter(None, places):
        try:
            path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
        except OSError as e:
            reasons.append(f"{place}: {e.strerror or e}")
            continue
        if len(os.fsencode(path)) + 1 + _LONGEST_NAME <= _LONGEST_PATH:
            return path
        path.rmdir()
        reasons.append(f"{place}: too long for a socket's path")
    raise Misconfigured(
        f"no place for the runtime directory ({'; '.join(reasons)})", remedy="set TMPDIR to a short, writable directory"
    )


@contextmanager
def _listen(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        before = os.umask(0o177)
        try:
            listening.bind(str(path))
        finally:
            os.umask(before)
        listening.listen(_BACKLOG)
        yield listening
