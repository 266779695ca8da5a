"""Have this machine trust the platform's root, so that its browsers and programs accept the console: `ca trust`.

Three kinds of stores: the system's (Debian and Fedora layouts; root only), Chromium's and Firefox's NSS databases
(through `certutil`). Each is tried, and each answer says what was done or why not and what to do. `remove` undoes it.
The root is trusted for identifying servers alone.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ironroot.core.errors import Malformed, Misconfigured

_TIMEOUT_S = 60
_CERTUTIL = "certutil, from the package libnss3-tools (Debian) or nss-tools (Fedora)"

# Chromium and what is built on it; the first one that exists is read by it, the last is that of a snap.
_CHROMIUM = (".pki/nssdb", ".local/share/pki/nssdb", "snap/chromium/current/.pki/nssdb")
_CHROMIUM_COMMANDS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "microsoft-edge",
    "brave-browser",
)

# Profiles of Firefox: the distribution's, snap's, flatpak's.
_FIREFOX = (
    ".mozilla/firefox",
    "snap/firefox/common/.mozilla/firefox",
    ".var/app/org.mozilla.firefox/.mozilla/firefox",
)


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one store. `done` says that the store is as asked for, also when it was so before."""

    store: str
    done: bool
    detail: str

    def as_dict(self) -> dict[str, Any]:
        """As the command line prints it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Root:
    """One root certificate, and the name it goes by in the stores."""

    pem: str
    fingerprint: str

    @property
    def name(self) -> str:
        """Unique per root, so that two installations do not remove each other's."""
        return f"Ironroot root {self.fingerprint[:16]}"

    @property
    def file(self) -> str:
        """The file's name in the system's store."""
        return f"ironroot-{self.fingerprint[:16]}.crt"


@dataclass(frozen=True, slots=True)
class SystemStore:
    """A distribution's directory of local roots, and the command that makes them effective."""

    directory: Path
    command: tuple[str, ...]


SYSTEM_STORES = (
    SystemStore(Path("/usr/local/share/ca-certificates"), ("update-ca-certificates",)),
    SystemStore(Path("/etc/pki/ca-trust/source/anchors"), ("update-ca-trust", "extract")),
)


@dataclass(frozen=True, slots=True)
class Person:
    """Whose browsers are meant: with sudo, the person behind it."""

    home: Path
    uid: int
    gid: int

    @classmethod
    def current(cls) -> Person:
        """The person who runs this."""
        uid = os.geteuid()
        behind = os.environ.get("SUDO_UID", "")
        if uid == 0 and behind.isdigit():
            uid = int(behind)
        try:
            entry = pwd.getpwuid(uid)
        except KeyError:
            return cls(Path.home(), uid, os.getegid())
        home = Path(entry.pw_dir) if uid != os.geteuid() else Path.home()
        return cls(home, uid, entry.pw_gid)


@dataclass(frozen=True, slots=True)
class Machine:
    """Where the stores are; tests bring their own."""

    person: Person
    system: tuple[SystemStore, ...] = SYSTEM_STORES
    superuser: bool = False
    search: str | None = None
    """Where commands are looked for; None is PATH."""

    @classmethod
    def current(cls) -> Machine:
        """This machine, as this user."""
        return cls(Person.current(), superuser=os.geteuid() == 0)


def roots(pem: str) -> list[Root]:
    """The certificates in `pem`. Raises Malformed when there is none, or one that is no CA."""
    try:
        found = x509.load_pem_x509_certificates(pem.encode())
        authorities = [c.extensions.get_extension_for_class(x509.BasicConstraints).value.ca for c in found]
    except (ValueError, x509.ExtensionNotFound) as e:
        raise Malformed("no CA certificate in PEM form") from e
    if not all(authorities):
        raise Malformed("not a CA certificate")
    return [
        Root(c.public_bytes(Encoding.PEM).decode(), hashlib.sha256(c.public_bytes(Encoding.DER)).hexdigest())
        for c in found
    ]


def add(pem: str, machine: Machine | None = None) -> list[Done]:
    """Trust the roots in every store that can be reached. Raises Malformed."""
    on = machine or Machine.current()
    _prepare_chromium(on)
    return _everywhere(pem, on, _system_add, _nss_add)


def remove(pem: str, machine: Machine | None = None) -> list[Done]:
    """Undo `add`. Raises Malformed."""
    return _everywhere(pem, machine or Machine.current(), _system_remove, _nss_remove)


def trusted(pem: str, machine: Machine | None = None) -> dict[str, bool]:
    """Which stores have all the roots. Stores that cannot be read are left out. Raises Malformed."""
    on = machine or Machine.current()
    wanted = roots(pem)
    found: dict[str, bool] = {}
    for store in on.system:
        if store.directory.is_dir():
            found["system"] = all((store.directory / root.file).is_file() for root in wanted)
    if _certutil(on) is not None:
        for name, database in databases(on.person):
            found[name] = all(_nss_has(on, database, root) for root in wanted)
    return found


def databases(person: Person) -> Iterator[tuple[str, Path]]:
    """The NSS databases of a person's browsers: name and directory."""
    for place in _CHROMIUM:
        if (person.home / place / "cert9.db").is_file():
            yield "Chromium" if "snap" not in place else "Chromium (snap)", person.home / place
    for place in _FIREFOX:
        for database in sorted((person.home / place).glob("*/cert9.db")):
            yield f"Firefox ({database.parent.name})", database.parent


def _everywhere(
    pem: str,
    machine: Machine,
    system: Callable[[Machine, SystemStore, list[Root]], Done],
    nss: Callable[[Machine, str, Path, list[Root]], Done],
) -> list[Done]:
    wanted = roots(pem)
    stores = [store for store in machine.system if store.directory.is_dir()]
    done = [system(machine, store, wanted) for store in stores[:1]]
    if not stores:
        done.append(
            Done("system", done=False, detail="this system's store of roots is not known; import ca.pem by hand")
        )
    browsers = list(databases(machine.person))
    if _certutil(machine) is None:
        done.append(Done("browsers", done=False, detail=f"install {_CERTUTIL}, then run this again"))
    elif not browsers:
        done.append(
            Done(
                "browsers",
                done=False,
                detail="no Chromium or Firefox profile found; start the browser once, then again",
            )
        )
    else:
        done += [nss(machine, name, database, wanted) for name, database in browsers]
    return done


def _system_add(machine: Machine, store: SystemStore, wanted: list[Root]) -> Done:
    if not machine.superuser:
        return Done("system", done=False, detail="only root may change it: run the same command with sudo")
    try:
        for root in wanted:
            path = store.directory / root.file
            path.write_text(root.pem)
            path.chmod(0o644)
        _run(machine, store.command)
    except (OSError, Misconfigured) as e:
        return Done("system", done=False, detail=str(e))
    return Done("system", done=True, detail=f"written to {store.directory}")


def _system_remove(machine: Machine, store: SystemStore, wanted: list[Root]) -> Done:
    there = [path for root in wanted if (path := store.directory / root.file).is_file()]
    if not there:
        return Done("system", done=True, detail="was not there")
    if not machine.superuser:
        return Done("system", done=False, detail="only root may change it: run the same command with sudo")
    try:
        for path in there:
            path.unlink()
        _run(machine, store.command)
    except (OSError, Misconfigured) as e:
        return Done("system", done=False, detail=str(e))
    return Done("system", done=True, detail=f"removed from {store.directory}")


def _prepare_chromium(machine: Machine) -> None:
    """Make the database of a Chromium that is installed and was never started: it takes what it finds."""
    installed = any(shutil.which(command, path=machine.search) for command in _CHROMIUM_COMMANDS)
    there = any((machine.person.home / place / "cert9.db").is_file() for place in _CHROMIUM[:2])
    if not installed or there or _certutil(machine) is None or not machine.person.home.is_dir():
        return
    database = machine.person.home / _CHROMIUM[0]
    with contextlib.suppress(OSError, Misconfigured):
        for directory in (database.parent, database):
            if not directory.exists():
                directory.mkdir(mode=0o700)
                if machine.superuser:
                    os.chown(directory, machine.person.uid, machine.person.gid)
        _nss(machine, database, "-N", "--empty-password")


def _nss_add(machine: Machine, name: str, database: Path, wanted: list[Root]) -> Done:
    try:
        for root in wanted:
            with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
                file.write(root.pem)
                file.flush()
                os.fchmod(file.fileno(), 0o644)
                # "C": a CA for servers; neither for mail nor for code.
                _nss(machine, database, "-A", "-t", "C,,", "-n", root.name, "-i", file.name)
    except Misconfigured as e:
        return Done(name, done=False, detail=e.message)
    return Done(name, done=True, detail="trusts the console after its next start")


def _nss_remove(machine: Machine, name: str, database: Path, wanted: list[Root]) -> Done:
    try:
        there = [root for root in wanted if _nss_has(machine, database, root)]
        for root in there:
            _nss(machine, database, "-D", "-n", root.name)
    except Misconfigured as e:
        return Done(name, done=False, detail=e.message)
    return Done(name, done=True, detail="removed" if there else "was not there")


def _nss_has(machine: Machine, database: Path, root: Root) -> bool:
    try:
        _nss(machine, database, "-L", "-n", root.name)
    except Misconfigured:
        return False
    return True


def _nss(machine: Machine, database: Path, *arguments: str) -> None:
    _run(machine, ("certutil", "-d", f"sql:{database}", *arguments), as_person=True)


def _certutil(machine: Machine) -> str | None:
    return shutil.which("certutil", path=machine.search)


def _run(machine: Machine, command: tuple[str, ...], *, as_person: bool = False) -> None:
    """Run a command, in the person's name where its files are theirs. Raises Misconfigured with its last words."""
    found = shutil.which(command[0], path=machine.search)
    if found is None:
        raise Misconfigured(f"{command[0]} is not installed")
    person = machine.person
    other: dict[str, Any] = {}
    if as_person and machine.superuser and person.uid != os.geteuid():
        other = {"user": person.uid, "group": person.gid, "extra_groups": []}
    path = os.environ.get("PATH", os.defpath)
    try:
        done = subprocess.run(
            [found, *command[1:]],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            env={"PATH": path, "HOME": str(person.home)},
            check=False,
            **other,
        )
    except (OSError, subprocess.SubprocessError) as e:
        raise Misconfigured(f"{command[0]} does not run: {e}") from e
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip().splitlines()
        raise Misconfigured(f"{command[0]} failed: {words[-1] if words else f'status {done.returncode}'}")
