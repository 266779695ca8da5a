"""Processes: started here, watched through /proc, ended by their id, and only if we started them."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TICK_S = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Memory:
    """Of one process, in MB (10^6 bytes): what is resident, its share of it, the most there ever was."""

    rss: float
    pss: float
    peak: float

    def __add__(self, other: Memory) -> Memory:
        return Memory(self.rss + other.rss, self.pss + other.pss, self.peak + other.peak)


def load_average() -> float:
    """Of the last minute."""
    return os.getloadavg()[0]


def cpu_s(pids: Iterable[int]) -> float:
    """Processor seconds these processes have used so far, all their threads; one that ended counts as 0."""
    total = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += int(fields[11]) + int(fields[12])
    return total * TICK_S


def memory(pid: int) -> Memory:
    """What the process holds now. Raises OSError when it is gone."""
    status = _kilobytes(Path(f"/proc/{pid}/status").read_text())
    rollup = _kilobytes(Path(f"/proc/{pid}/smaps_rollup").read_text())
    return Memory(*(kb * 1024 / 1e6 for kb in (status["VmRSS"], rollup["Pss"], status["VmHWM"])))


def _kilobytes(text: str) -> dict[str, int]:
    found = {}
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if value.endswith(" kB"):
            found[name] = int(value[:-3])
    return found


def children(parent: int) -> dict[int, list[str]]:
    """The direct children's command lines by their ids."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == parent:
                found[int(entry.name)] = (entry / "cmdline").read_bytes().decode().split("\0")
        except OSError:
            continue
    return found


def wait_for(holds: Callable[[], Any], what: str, within_s: float, every_s: float = 0.01) -> Any:
    """The first truthy answer of `holds`. Raises TimeoutError."""
    deadline = time.monotonic() + within_s
    while True:
        found = holds()
        if found:
            return found
        if time.monotonic() >= deadline:
            raise TimeoutError(f"not within {within_s} s: {what}")
        time.sleep(every_s)


@contextmanager
def running(
    argv: Sequence[str], output: Path, *, environment: Mapping[str, str] | None = None, **how: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """A process with its output in a file, ended with the block."""
    with output.open("wb") as out:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env={**os.environ, **(environment or {})}, **how
        )
    try:
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen[Any], number: signal.Signals = signal.SIGTERM, patience_s: float = 30.0) -> None:
    """Ask the process to end, then make it."""
    if process.poll() is None:
        process.send_signal(number)
        try:
            process.wait(patience_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
