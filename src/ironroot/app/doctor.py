"""What is missing or unsafe on this machine, and what to do about it: `ironroot doctor`.

`look` reads the machine, touching nothing; each check is a pure function from what was seen to findings, so that
every one can be tested with two lines. A finding of severity `error` must be mended; `warning` should be.
"""

from __future__ import annotations

import contextlib
import ctypes
import shutil
import sqlite3
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from ironroot.adapters.envoy import binary as envoy_binary
from ironroot.adapters.nats import binary as nats_binary
from ironroot.app import config, trust_store
from ironroot.app.clock import SystemClock
from ironroot.app.config import Config
from ironroot.app.datadir import DataDir, Running, existing, locate
from ironroot.app.supervisor.options import ENVOY_VARIABLE, NATS_VARIABLE, named_binary
from ironroot.app.supervisor.portcheck import require_free
from ironroot.app.supervisor.preflight import DISK_REFUSE_BYTES, DISK_WARN_BYTES, doors
from ironroot.core.errors import IronrootError, Misconfigured, Unavailable

Severity = Literal["error", "warning", "info"]

# No clock may be before this: certificates would be issued in the past.
_RELEASED = datetime(2026, 1, 1, tzinfo=UTC)
_STALE_CHECKPOINT = timedelta(hours=3)
_CLOCK_BACK = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to know. `code` is stable, for programs."""

    code: str
    severity: Severity
    text: str
    remedy: str = ""

    def as_dict(self) -> dict[str, Any]:
        """As the command line prints it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of the machine."""

    now: datetime
    data: DataDir | None = None
    config: Config = field(default_factory=Config)
    broken: tuple[IronrootError, ...] = ()
    """Refusals met while looking: each says itself what to do."""
    free_bytes: int | None = None
    ports_taken: tuple[IronrootError, ...] = ()
    master_key_missing: bool = False
    """There is a database, and not the key that opens what is sealed in it."""
    open_files: tuple[Path, ...] = ()
    """Files with secrets that other users may read."""
    newest_write: datetime | None = None
    clock_synchronised: bool | None = None
    running: Running | None = None
    starting: bool = False
    runtime_reachable: bool = True
    last_checkpoint: datetime | None = None
    pending_facts: int = 0
    trusted: Mapping[str, bool] = field(default_factory=dict)


def examine(root: Path) -> list[Finding]:
    """All findings for the platform with this data directory, the gravest first."""
    seen = look(root)
    rank = ("error", "warning", "info")
    return sorted((f for check in CHECKS.values() for f in check(seen)), key=lambda f: rank.index(f.severity))


# --- the checks ----------------------------------------------------------------------------------


def _refusals(seen: Seen) -> Iterator[Finding]:
    for e in seen.broken:
        yield Finding(e.error_code, "error", e.message, e.remedy)
    for e in seen.ports_taken:  # other ports may be given on the command line
        yield Finding(e.error_code, "warning", e.message, e.remedy)


def _disk(seen: Seen) -> Iterator[Finding]:
    if seen.free_bytes is not None and seen.free_bytes < DISK_WARN_BYTES:
        grave = seen.free_bytes < DISK_REFUSE_BYTES
        yield Finding(
            "disk-full" if grave else "disk-low",
            "error" if grave else "warning",
            f"only {seen.free_bytes >> 20} MB are free where the data is",
            "free some space: below 50 MB the platform does not start",
        )


def _secrets(seen: Seen) -> Iterator[Finding]:
    if seen.master_key_missing and seen.data is not None:
        yield Finding(
            "key-missing",
            "error",
            f"the master key {seen.data.master_key} is missing",
            "restore it from the backup of the keys: without it no other key can be opened",
        )
    for path in seen.open_files:
        yield Finding("key-open", "error", f"other users may read {path}", f"chmod 600 {path}")


def _clock(seen: Seen) -> Iterator[Finding]:
    if seen.now < _RELEASED:
        yield Finding(
            "clock-wrong",
            "error",
            f"the clock says {seen.now:%Y-%m-%d}, which is before this software was made",
            "set the clock; certificates would not be valid",
        )
    elif seen.newest_write is not None and seen.newest_write - seen.now > _CLOCK_BACK:
        yield Finding(
            "clock-back",
            "error",
            f"the clock went back: the data was written at {seen.newest_write:%Y-%m-%d %H:%M} UTC",
            "set the clock before starting the platform",
        )
    if seen.clock_synchronised is False:
        yield Finding(
            "clock-unsynchronised",
            "info",
            "the clock is not synchronised with others, as far as the kernel knows",
            "turn on NTP (timedatectl set-ntp true); certificates depend on the time",
        )


def _process(seen: Seen) -> Iterator[Finding]:
    if seen.starting:
        yield Finding("starting", "info", "the platform is starting, or a command is at work on its data")
    elif seen.running is None and seen.data is not None:
        yield Finding("stopped", "info", "the platform does not run", "start it: `ironroot up`")
    if not seen.runtime_reachable and seen.running is not None:
        yield Finding(
            "runtime-gone",
            "error",
            f"the runtime directory {seen.running.runtime} of the running platform is gone",
            "restart the platform; keep cleaners of temporary files away from it",
        )


def _checkpoint(seen: Seen) -> Iterator[Finding]:
    if seen.running is None:
        return
    age = None if seen.last_checkpoint is None else seen.now - seen.last_checkpoint
    if age is not None and age > _STALE_CHECKPOINT:
        yield Finding(
            "checkpoint-old",
            "warning",
            f"the fact log's last checkpoint is {age.total_seconds() / 3600:.0f} hours old",
            "see the platform's log; the sequencer may be stuck",
        )
    if seen.pending_facts > 10_000:
        yield Finding(
            "facts-waiting",
            "warning",
            f"{seen.pending_facts} facts wait to be numbered",
            "see the platform's log; the sequencer may be stuck",
        )


def _insecure(seen: Seen) -> Iterator[Finding]:
    url = urlsplit(seen.config.store.url)
    host = url.hostname or ""
    remote = host not in {"", "localhost", "127.0.0.1", "::1"}
    if remote and not any(word in url.query for word in ("ssl=", "sslmode=")):
        yield Finding(
            "store-unencrypted",
            "warning",
            f"nothing says that the connection to the database on {host} is encrypted",
            "add ?ssl=verify-full to the store's address",
        )
    if seen.config.listen.address not in {"127.0.0.1", "::1"}:
        yield Finding(
            "listening",
            "info",
            f"the doors are open to other machines: {seen.config.listen.address}",
            "limit who reaches the console's port with a firewall",
        )


def _trust(seen: Seen) -> Iterator[Finding]:
    missing = sorted(name for name, has in seen.trusted.items() if not has)
    if missing:
        yield Finding(
            "root-untrusted",
            "info",
            f"the platform's root is not trusted by: {', '.join(missing)}",
            "`ironroot ca trust` adds it (with sudo for the system's store)",
        )


CHECKS: Mapping[str, Callable[[Seen], Iterator[Finding]]] = {
    "refusals": _refusals,
    "disk space": _disk,
    "secrets": _secrets,
    "clock": _clock,
    "process": _process,
    "fact log": _checkpoint,
    "insecure settings": _insecure,
    "trust in the root": _trust,
}


# --- looking -------------------------------------------------------------------------------------


def look(root: Path) -> Seen:
    """What there is to see. Raises nothing: a refusal on the way is something seen."""
    broken: list[IronrootError] = []
    now = SystemClock().now()
    data = _try(broken, lambda: existing(root))
    settings = _try(broken, lambda: config.load(root)) or Config()
    named = named_binary(NATS_VARIABLE)
    _try(broken, lambda: envoy_binary.require(envoy_binary.find(named_binary(ENVOY_VARIABLE))))
    _try(broken, lambda: nats_binary.find(str(named) if named else None))
    if data is None:
        return Seen(now, config=settings, broken=tuple(broken), clock_synchronised=clock_synchronised())
    starting, running = False, None
    try:
        running = locate(data.root)
    except Unavailable:
        starting = True
    except IronrootError as e:
        broken.append(e)
    taken: list[IronrootError] = []
    if running is None and not starting:
        _try(taken, lambda: require_free(settings.listen.address, doors(settings)))
    checkpoint, pending = _log(data)
    return Seen(
        now=now,
        data=data,
        config=settings,
        broken=tuple(broken),
        ports_taken=tuple(taken),
        master_key_missing=data.state.exists() and not data.master_key.exists(),
        free_bytes=_free(data.root),
        open_files=tuple(_readable_by_others(data)),
        newest_write=_newest(data),
        clock_synchronised=clock_synchronised(),
        running=running,
        starting=starting,
        runtime_reachable=running is None or running.host_socket.exists(),
        last_checkpoint=checkpoint,
        pending_facts=pending,
        trusted=_trusted(running),
    )


def clock_synchronised() -> bool | None:
    """Whether the kernel's clock is kept by NTP; None where it does not say (adjtimex(2))."""
    unsynchronised = 5  # TIME_ERROR
    try:
        state = int(ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(512)))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != unsynchronised


def _try(broken: list[IronrootError], call: Callable[[], Any]) -> Any:
    try:
        return call()
    except IronrootError as e:
        broken.append(e)
    except OSError as e:
        broken.append(Misconfigured(str(e), remedy="see the message"))
    return None


def _free(root: Path) -> int | None:
    try:
        return shutil.disk_usage(root).free
    except OSError:
        return None


def _readable_by_others(data: DataDir) -> Iterator[Path]:
    for path in (data.master_key.parent, data.master_key, data.state, data.run):
        with contextlib.suppress(OSError):
            if stat.S_IMODE(path.stat().st_mode) & 0o077:
                yield path


def _newest(data: DataDir) -> datetime | None:
    times = []
    for path in (data.marker, data.state, data.telemetry):
        with contextlib.suppress(OSError):
            times.append(path.stat().st_mtime)
    return datetime.fromtimestamp(max(times), UTC) if times else None


def _log(data: DataDir) -> tuple[datetime | None, int]:
    """Time of the newest checkpoint, and how many facts wait, from SQLite; nothing for another store."""
    if not data.state.is_file():
        return None, 0
    try:
        with contextlib.closing(sqlite3.connect(f"file:{data.state}?mode=ro", uri=True, timeout=2)) as db:
            (newest,) = db.execute("SELECT max(at) FROM fact_checkpoint").fetchone()
            (pending,) = db.execute("SELECT count(*) FROM (SELECT 1 FROM fact_pending LIMIT 20000)").fetchone()
    except sqlite3.Error:
        return None, 0
    at = None if newest is None else datetime.fromtimestamp(0, UTC) + timedelta(microseconds=int(newest))
    return at, int(pending)


def _trusted(running: Running | None) -> Mapping[str, bool]:
    if running is None:
        return {}
    try:
        return trust_store.trusted((running.runtime / "roots.pem").read_text())
    except (OSError, IronrootError):
        return {}
