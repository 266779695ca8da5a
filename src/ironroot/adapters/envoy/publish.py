"""Swaps the doors' certificates: checked, written as a new version, renamed into place, and confirmed in effect.

Invariant: `live` names a complete, checked version at every instant. A live connection is never dropped by a swap.
What is confirmed: Envoy counted the update, rejected nothing, and shows the new certificate in a handshake. Going
back to the old pair would not cure an Envoy that rejected one; another pair or a restart does.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import secrets
import shutil
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from ironroot.adapters.envoy.admin import Admin
from ironroot.adapters.envoy.material import Checked, Material, check
from ironroot.adapters.envoy.settings import DoorSettings, reachable
from ironroot.core.clock import Clock
from ironroot.core.errors import Fault, Unavailable

CONFIRM_S = 5.0


class NotTaken(Fault):
    """The front door did not take new material: publish another key pair, or restart it."""

    code = "door-material-not-taken"


@dataclass(frozen=True, slots=True)
class Published:
    """What is live now. `confirmed` is False only while no front door runs: it will read it when it starts."""

    version: str
    changed: bool
    confirmed: bool


class Publisher:
    """The one writer of the doors' key material."""

    def __init__(self, settings: DoorSettings, clock: Clock, *, confirm_s: float = CONFIRM_S) -> None:
        self.settings = settings
        self.clock = clock
        self.confirm_s = confirm_s
        self.admin = Admin(settings.admin_socket)
        self._turn = asyncio.Lock()

    async def publish(self, material: Material) -> Published:
        """Make `material` live. Raises Misconfigured before anything is touched when it is unsound, NotTaken when
        a running front door did not take it within 5 s, OSError when it cannot be written.
        """
        checked = check(material, self.clock.now())
        async with self._turn:
            return await self._publish(checked)

    async def _publish(self, checked: Checked) -> Published:
        live = self.settings.tls_directory / "live"
        files = checked.material.files()
        stale = {name for name, content in files.items() if _read(live / name) != content}
        if not stale:
            return Published(live.readlink().name, changed=False, confirmed=True)
        before = await self._counters()
        version = f"v-{secrets.token_hex(8)}"
        await asyncio.to_thread(_write, self.settings.tls_directory, version, files)
        if before is None:
            confirmed = False
        else:
            doors = {"devices" if name == "device_ca.pem" else name.partition(".")[0] for name in stale}
            await self._confirm(checked, doors, before)
            confirmed = True
        await asyncio.to_thread(_sweep, self.settings.tls_directory, version)
        return Published(version, changed=True, confirmed=confirmed)

    async def _counters(self) -> dict[str, int] | None:
        """Envoy's counters of secrets, or None when none is running."""
        try:
            return await self.admin.stats("ssl_context_update_by_sds", "key_rotation_failed")
        except Unavailable:
            return None

    async def _confirm(self, checked: Checked, doors: set[str], before: dict[str, int]) -> None:
        try:
            async with asyncio.timeout(self.confirm_s):
                await _until(lambda: self._taken(doors, before))
                if "console" in doors:
                    await _until(lambda: self._shows(self.settings.console_port, checked.console))
                if "devices" in doors:
                    await _until(lambda: self._shows(self.settings.devices_port, checked.devices))
        except TimeoutError as e:
            raise NotTaken(
                f"the front door did not take new certificates within {self.confirm_s:g} s",
                remedy="issue another key pair and publish it, or restart the front door",
            ) from e

    async def _shows(self, port: int, expected: str) -> bool:
        return await shown(self.settings.listen, port) == expected

    async def _taken(self, doors: set[str], before: dict[str, int]) -> bool:
        """Whether every concerned listener has updated. Raises NotTaken when Envoy rejected something."""
        now = await self._counters()
        if now is None:
            return False
        for name, count in now.items():
            if name.endswith("key_rotation_failed") and count > before.get(name, 0):
                raise NotTaken(
                    f"the front door rejected new certificates ({name})",
                    remedy="issue another key pair and publish it, or restart the front door",
                )
        return all(_updates(now, door) > _updates(before, door) for door in doors)


async def shown(listen: str, port: int) -> str | None:
    """SHA-256 of the certificate a door shows in a handshake; None when it cannot be reached.

    Nothing is verified: the caller compares the digest with the one it published.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        _, writer = await asyncio.open_connection(reachable(listen), port, ssl=context)
    except OSError:
        return None
    try:
        der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    return hashlib.sha256(der).hexdigest() if der else None


async def _until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Ask every 10 ms: Envoy has no event to wait for."""
    while not await holds():  # noqa: ASYNC110 (as said)
        await asyncio.sleep(0.01)


def _updates(counters: dict[str, int], door: str) -> int:
    return sum(
        count
        for name, count in counters.items()
        if name.startswith(f"listener.{door}.") and name.endswith("ssl_context_update_by_sds")
    )


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _write(directory: Path, version: str, files: dict[str, bytes]) -> None:
    """A complete version directory, durable, then one rename(2) of the link, which is what Envoy watches for."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    target = directory / version
    target.mkdir(mode=0o700)
    try:
        for name, content in files.items():
            descriptor = os.open(target / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        _sync(target)
        link = directory / f".{version}"
        link.symlink_to(version)
        link.replace(directory / "live")
        _sync(directory)
    except OSError:
        if _target(directory) != version:
            shutil.rmtree(target, ignore_errors=True)
        raise


def _target(directory: Path) -> str | None:
    try:
        return (directory / "live").readlink().name
    except OSError:
        return None


def _sweep(directory: Path, keep: str) -> None:
    for old in directory.glob("v-*"):
        if old.name != keep:
            shutil.rmtree(old, ignore_errors=True)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
