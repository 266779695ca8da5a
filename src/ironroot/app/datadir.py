"""The data directory: what lies where in it, who may open it, and who runs on it now.

Refused: a directory of somebody else, one that others may read, one of a newer format, one that is not ours. A
running platform holds an exclusive lock on `lock`, and says where it can be reached in `run.json`; the lock, not
the file, says whether it runs. Standard library only: the supervisor imports it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import pwd
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from ironroot.core.errors import Conflict, Corrupt, Misconfigured, Unavailable

FORMAT = 1
"""The layout this version writes. A newer one is never opened."""

# What an operator or a file system may have put there before the first start.
_WELCOME = frozenset({"ironroot.toml", "lost+found"})
_DIRECTORIES = ("keys", "log", "jetstream", "logs", "demo")


@dataclass(frozen=True, slots=True)
class DataDir:
    """Names inside the data directory."""

    root: Path

    @property
    def marker(self) -> Path:
        """`ironroot.json`: the format's version."""
        return self.root / "ironroot.json"

    @property
    def config(self) -> Path:
        """The operator's settings; may be absent."""
        return self.root / "ironroot.toml"

    @property
    def lock(self) -> Path:
        """Locked by whoever may write here."""
        return self.root / "lock"

    @property
    def run(self) -> Path:
        """Where the running platform can be reached."""
        return self.root / "run.json"

    @property
    def state(self) -> Path:
        """The database of the platform."""
        return self.root / "state.db"

    @property
    def telemetry(self) -> Path:
        """The database of the intake worker."""
        return self.root / "telemetry.db"

    @property
    def master_key(self) -> Path:
        """The key all other keys are wrapped with."""
        return self.root / "keys" / "master.key"

    @property
    def vkey(self) -> Path:
        """Public key of the fact log."""
        return self.root / "log" / "vkey"

    @property
    def jetstream(self) -> Path:
        """Streams of nats-server."""
        return self.root / "jetstream"

    @property
    def logs(self) -> Path:
        """A file per process."""
        return self.root / "logs"

    @property
    def demo(self) -> Path:
        """Keys of the simulated fleet."""
        return self.root / "demo"


@dataclass(frozen=True, slots=True)
class Running:
    """A running platform, as `run.json` says."""

    pid: int
    runtime: Path
    listen: str
    ports: Mapping[str, int]
    started_at: str
    version: str

    @property
    def host_socket(self) -> Path:
        """Commands of this host go here; who may open it is the host's administrator."""
        return self.runtime / "host.sock"

    @property
    def admin_socket(self) -> Path:
        """Envoy's administration."""
        return self.runtime / "admin.sock"


def prepare(root: Path) -> DataDir:
    """The data directory at `root`, made when it is absent or empty. Raises Misconfigured with the reason."""
    root = _absolute(root)
    try:
        root.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        pass
    except OSError as e:
        raise _unwritable(root, e) from e
    _check_owner(root)
    data = DataDir(root)
    try:
        if not data.marker.exists():
            _adopt(data)
        _check_mode(root)
        _check_format(data)
        for name in _DIRECTORIES:
            (root / name).mkdir(mode=0o700, exist_ok=True)
        _check_writable(root)
    except OSError as e:
        raise _unwritable(root, e) from e
    return data


def existing(root: Path) -> DataDir:
    """The data directory at `root`, which must be one already. Raises Misconfigured."""
    data = DataDir(_absolute(root))
    try:
        found = data.marker.exists()
    except OSError as e:
        raise _unwritable(data.root, e) from e
    if not found:
        raise Misconfigured(
            f"no Ironroot data directory: {data.root}",
            remedy="name the one the platform uses with --data, or start it with `ironroot up`",
            code="data-none",
        )
    _check_owner(data.root)
    _check_mode(data.root)
    _check_format(data)
    return data


@contextmanager
def hold(data: DataDir, *, wait_s: float = 0.5) -> Iterator[IO[str]]:
    """Be the only writer of the data directory. Raises Conflict naming the process that is it already.

    The lock ends with the process whatever happens to it.
    """
    with data.lock.open("a+", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o600)
        _take(file, data, wait_s)
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield file


def locate(root: Path) -> Running | None:
    """The platform running on the data directory, or None. Raises Misconfigured when there is no such directory,
    Unavailable while a platform starts there or an offline command holds it.
    """
    data = existing(root)
    if not _held(data):
        return None
    running = last_run(data)
    if running is None or running.pid != _holder(data):
        raise Unavailable(
            "the platform on this data directory is starting, or another command is at work there",
            remedy="try again in a few seconds",
        )
    return running


def last_run(data: DataDir) -> Running | None:
    """What `run.json` says, whether or not that platform still runs. Raises Corrupt."""
    try:
        fields = json.loads(data.run.read_bytes())
        return Running(
            pid=int(fields["pid"]),
            runtime=Path(fields["runtime"]),
            listen=str(fields["listen"]),
            ports={str(name): int(port) for name, port in fields["ports"].items()},
            started_at=str(fields["started_at"]),
            version=str(fields["version"]),
        )
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError) as e:
        raise Corrupt(f"{data.run} is damaged", remedy="remove it; the next start writes it anew") from e


def announce(data: DataDir, running: Running) -> None:
    """Write `run.json`. Raises OSError."""
    fields = {**asdict(running), "runtime": str(running.runtime), "ports": dict(running.ports)}
    write_private(data.run, json.dumps(fields, indent=1).encode())


def withdraw(data: DataDir) -> None:
    """Remove `run.json`."""
    data.run.unlink(missing_ok=True)


def write_private(path: Path, content: bytes) -> None:
    """Replace `path` as a whole, readable by this user alone and durable before this returns. Raises OSError."""
    beside = path.with_name(f".{path.name}.new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _absolute(root: Path) -> Path:
    return root.expanduser().absolute()


def _adopt(data: DataDir) -> None:
    """Make an empty directory ours."""
    strangers = {entry.name for entry in data.root.iterdir()} - _WELCOME - {f".{data.marker.name}.new"}
    if strangers:
        raise Misconfigured(
            f"{data.root} is neither empty nor an Ironroot data directory: it holds {min(strangers)!r}",
            remedy="choose another directory with --data, or an empty one",
            code="data-not-ours",
        )
    data.root.chmod(0o700)
    write_private(data.marker, json.dumps({"format": FORMAT}).encode())


def _check_owner(root: Path) -> None:
    try:
        found = root.stat()
    except OSError as e:
        raise _unwritable(root, e) from e
    if not stat.S_ISDIR(found.st_mode):
        raise Misconfigured(f"{root} is not a directory", remedy="choose another with --data", code="data-unwritable")
    if found.st_uid != os.geteuid():
        raise Misconfigured(
            f"{root} belongs to {_user(found.st_uid)}, and this is {_user(os.geteuid())}",
            remedy=f"run as {_user(found.st_uid)}, or choose another directory with --data",
            code="data-foreign",
        )


def _check_mode(root: Path) -> None:
    mode = stat.S_IMODE(root.stat().st_mode)
    if mode & 0o077:
        raise Misconfigured(
            f"{root} is open to other users (mode {mode:04o}): it holds keys",
            remedy=f"chmod 700 {root}",
            code="data-open",
        )


def _check_format(data: DataDir) -> None:
    try:
        found = json.loads(data.marker.read_bytes())["format"]
    except (ValueError, KeyError, TypeError) as e:
        raise Misconfigured(
            f"{data.marker} is damaged", remedy="restore it from a backup of the data directory", code="data-damaged"
        ) from e
    if not isinstance(found, int) or found < 1:
        raise Misconfigured(f"{data.marker} names no format", remedy="restore it from a backup", code="data-damaged")
    if found > FORMAT:
        raise Misconfigured(
            f"{data.root} was written by a newer Ironroot (format {found}; this one knows {FORMAT})",
            remedy="use the newer version, or another data directory",
            code="data-newer",
        )


def _check_writable(root: Path) -> None:
    probe = root / f".probe-{os.getpid()}"
    try:
        descriptor = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.close(descriptor)
    finally:
        probe.unlink(missing_ok=True)


def _unwritable(root: Path, e: OSError) -> Misconfigured:
    full = e.errno in {errno.ENOSPC, errno.EDQUOT}
    return Misconfigured(
        f"cannot write to the data directory {root}: {e.strerror or e}",
        remedy="free some space" if full else "choose a directory of your own with --data",
        code="disk-full" if full else "data-unwritable",
    )


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def _take(file: IO[str], data: DataDir, wait_s: float) -> None:
    """Lock `file`; a command that only looked (`locate`) lets go at once, so wait for it a moment."""
    until = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as e:
            if time.monotonic() >= until:
                pid = _holder(data)
                raise Conflict(
                    f"Ironroot runs on {data.root} already" + (f" (process {pid})" if pid else ""),
                    remedy="stop that one first, or choose another directory with --data",
                    code="already-running",
                ) from e
            time.sleep(0.02)
        else:
            return


def _held(data: DataDir) -> bool:
    try:
        file = data.lock.open("rb")
    except FileNotFoundError:
        return False
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _holder(data: DataDir) -> int | None:
    with contextlib.suppress(OSError, ValueError):
        return int(data.lock.read_text().strip())
    return None
