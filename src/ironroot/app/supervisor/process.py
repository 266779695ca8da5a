"""One running process of a child: its session, its log, its notifications, its end.

Each runs in a session of its own, so that a Ctrl-C at the terminal reaches the supervisor alone and the whole group
can be ended at once. The kernel kills it when the supervisor dies, however that happens.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
from collections.abc import Callable

from ironroot.app.supervisor.logfile import BoundedLog
from ironroot.app.supervisor.notify import MAX_LINE, NOTIFY_FD
from ironroot.app.supervisor.spec import ChildSpec

_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1
_LAST_READS = 64

# What a child sees of our environment; all else stays out.
_KEPT = ("HOME", "LANG", "LC_ALL", "LC_CTYPE", "LOGNAME", "PATH", "TMPDIR", "TZ", "USER")


class Process:
    """A started child. Make one with `start`."""

    def __init__(self, spec: ChildSpec, log: BoundedLog, told: Callable[[str, str], None]) -> None:
        self.spec = spec
        self._log = log
        self._told = told
        self._pending = b""
        self._ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._popen: subprocess.Popen[bytes]
        self._handlers: dict[int, Callable[[bytes], None]] = {}
        self._pidfd = -1

    @classmethod
    def start(cls, spec: ChildSpec, log: BoundedLog, told: Callable[[str, str], None]) -> Process:
        """Start the child; `told(word, text)` is called for each line it notifies. Raises OSError."""
        process = cls(spec, log, told)
        process._start()
        return process

    @property
    def pid(self) -> int:
        """Its process id, also that of its session and group."""
        return self._popen.pid

    async def ended(self) -> int:
        """Wait for its end; the exit status as a shell reports it (negative: the signal)."""
        return await asyncio.shield(self._ended)

    def signal(self, number: signal.Signals) -> None:
        """Send the process a signal, if it still runs."""
        if not self._ended.done():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill the whole group."""
        if not self._ended.done():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)

    def _start(self) -> None:
        loop = asyncio.get_running_loop()
        log_read, log_write = os.pipe()
        note_read, note_write = os.pipe()
        try:
            self._popen = subprocess.Popen(
                self.spec.argv,
                stdin=subprocess.DEVNULL,
                stdout=log_write,
                stderr=log_write,
                env=environment(self.spec, note_write),
                pass_fds=(*self.spec.pass_fds, note_write),
                start_new_session=True,
                preexec_fn=_die_with(os.getpid()),  # noqa: PLW1509 (this process has no threads)
                cwd="/",
            )
            self._pidfd = os.pidfd_open(self._popen.pid)
        except BaseException:
            os.close(log_read)
            os.close(note_read)
            raise
        finally:
            os.close(log_write)
            os.close(note_write)
        self._handlers = {log_read: self._log.write, note_read: self._note}
        for descriptor in self._handlers:
            os.set_blocking(descriptor, False)
            loop.add_reader(descriptor, self._read, descriptor)
        loop.add_reader(self._pidfd, self._on_end)

    def _read(self, descriptor: int) -> bool:
        """Handle what is in a pipe; False when nothing was."""
        try:
            content = os.read(descriptor, 65_536)
        except BlockingIOError:
            return False
        if content:
            self._handlers[descriptor](content)
        else:
            self._close(descriptor)
        return bool(content)

    def _note(self, content: bytes) -> None:
        *lines, self._pending = (self._pending + content).split(b"\n")
        self._pending = self._pending[-MAX_LINE:]
        for line in lines:
            word, _, text = line.decode(errors="replace").partition(" ")
            self._told(word, "".join(c for c in text if c.isprintable()))

    def _on_end(self) -> None:
        """The process is a zombie now: its id cannot name another yet, so the rest of its group can be killed."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        status = self._popen.wait()
        for descriptor in list(self._handlers):  # what it wrote last; somebody who left its group may write on
            for _ in range(_LAST_READS):
                if not self._read(descriptor):
                    break
            self._close(descriptor)
        self._ended.set_result(status)

    def _close(self, descriptor: int) -> None:
        if self._handlers.pop(descriptor, None) is not None:
            asyncio.get_running_loop().remove_reader(descriptor)
            os.close(descriptor)


def environment(spec: ChildSpec, notify_fd: int) -> dict[str, str]:
    """A clean environment: a few names of ours, those of the child, and where it notifies."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {**kept, "PYTHONUNBUFFERED": "1", **spec.env, NOTIFY_FD: str(notify_fd)}


def _die_with(parent: int) -> Callable[[], None]:
    """Runs in the child before exec: the kernel is to kill it when `parent` ends, also by SIGKILL."""

    def arrange() -> None:
        if _LIBC.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0 or os.getppid() != parent:
            os._exit(1)  # the parent ended in between: nobody would look after this child

    return arrange
