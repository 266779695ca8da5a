"""What a device keeps on disk, and in what order it is written so that a power cut leaves it enrolled or not enrolled.

    STATE/ (0700)  settings.json   who the device is and where its platform
                   key.pem         the current private key (0600); key.next.pem while a certificate is asked for
                   certificate.pem the device's own certificate, alone
                   roots.pem       the pinned roots; chain.pem the issuing CAs
                   config.json, commands.json, buffer, status.json, lock   (agent run)

Invariant: the certificate is the commit point. It is written after the next key is durable and before that key is
promoted; `recover` finishes what a power cut interrupted.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from ironroot.agent.files import read_bounded, read_json, write_atomic, write_json
from ironroot.agent.http import Address, host_port, https_address
from ironroot.agent.keys import FileKeys, KeyPort
from ironroot.core.errors import Corrupt, IronrootError, Misconfigured, NotFound
from ironroot.core.ids import DeviceId, device_id

FORMAT = 1
_ENROL = "run `ironroot agent enrol` with a claim of this device"


def default_directory() -> Path:
    """`IRONROOT_STATE`, or where the system keeps the state of a service (root) or of this user."""
    if given := os.environ.get("IRONROOT_STATE"):
        return Path(given)
    if os.geteuid() == 0:
        return Path("/var/lib/ironroot-agent")
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "ironroot-agent"


@dataclass(frozen=True, slots=True)
class Settings:
    """Who the device is and where its platform. `mqtt` overrides the door next to the HTTPS one."""

    device: DeviceId
    server: str
    mqtt: str | None = None

    @property
    def door(self) -> Address:
        """The device HTTPS door."""
        return https_address(self.server)

    @property
    def broker(self) -> Address:
        """The MQTT door: as given, else beside the HTTPS door."""
        door = self.door
        beside = mqtt_port(door.port)
        return host_port(self.mqtt, beside) if self.mqtt else Address(door.host, beside)


def mqtt_port(devices_port: int) -> int:
    """Where the platform speaks MQTT beside this HTTPS door: 8883 by default, the next port where a base was chosen."""
    return 8883 if devices_port == 8444 else devices_port + 1


@dataclass(frozen=True, slots=True)
class CertificateLife:
    """What the agent needs to know of its certificate; `fingerprint` is SHA-256 of the DER, in hexadecimal."""

    device: str
    serial: str
    fingerprint: str
    not_before: datetime
    not_after: datetime


class State:
    """One device's directory. `durable=False` leaves out the fsyncs (simulated fleets)."""

    def __init__(self, directory: Path, *, durable: bool = True, keys: KeyPort | None = None) -> None:
        self.directory = directory
        self.durable = durable
        self.keys: KeyPort = keys or FileKeys(directory, durable=durable)
        self.certificate_path = directory / "certificate.pem"
        self.roots_path = directory / "roots.pem"
        self.chain_path = directory / "chain.pem"

    def create(self) -> None:
        """Make the directory, readable by its owner alone. Raises Misconfigured."""
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self.directory.stat().st_mode & 0o022:
                raise Misconfigured(f"{self.directory} can be written by others", remedy=f"chmod 700 {self.directory}")
        except OSError as e:
            raise Misconfigured(
                f"cannot use {self.directory}: {e.strerror}", remedy="give a directory you may write with --state"
            ) from e

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Be the only agent on this state. Raises Misconfigured when another one is running."""
        descriptor = os.open(self.directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as e:
                raise Misconfigured(
                    f"another agent is using {self.directory}", remedy="stop it, or give another --state"
                ) from e
            yield
        finally:
            os.close(descriptor)

    def is_locked(self) -> bool:
        """Whether an agent is running on this state."""
        try:
            descriptor = os.open(self.directory / "lock", os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def settings(self) -> Settings:
        """Who this device is. Raises NotFound before enrolment, Corrupt when the file was damaged."""
        value = read_json(self.directory / "settings.json")
        if value is None:
            raise NotFound(f"no device is enrolled in {self.directory}", remedy=_ENROL)
        match value:
            case {"format": int(version)} if version > FORMAT:
                raise Misconfigured(
                    f"{self.directory} was written by a newer agent (format {version})", remedy="update the agent"
                )
            case {"format": 1, "device": str(device), "server": str(server), "mqtt": str() | None as mqtt}:
                settings = Settings(device_id(device), server, mqtt)
                settings.broker  # noqa: B018 (raises on a damaged address)
                return settings
            case _:
                raise Corrupt(f"{self.directory / 'settings.json'} is damaged", remedy=_ENROL)

    def find_settings(self) -> Settings | None:
        """Who this device is; None before enrolment, or where that is damaged."""
        try:
            return self.settings()
        except IronrootError:
            return None

    def save_settings(self, settings: Settings) -> None:
        """Keep who this device is."""
        value = {"format": FORMAT, "device": settings.device, "server": settings.server, "mqtt": settings.mqtt}
        write_json(self.directory / "settings.json", value, durable=self.durable)

    def save_authorities(self, roots: Sequence[x509.Certificate], chain: Sequence[x509.Certificate]) -> None:
        """Keep the pinned roots and the issuing CAs."""
        write_atomic(self.roots_path, _pem(roots), durable=self.durable)
        write_atomic(self.chain_path, _pem(chain), durable=self.durable)

    def roots(self) -> list[x509.Certificate]:
        """The pinned roots. Raises NotFound or Corrupt."""
        return load_certificates(self.roots_path)

    def chain(self) -> list[x509.Certificate]:
        """The issuing CAs as last fetched; they are trusted only as far as a root vouches for them."""
        return load_certificates(self.chain_path) if self.chain_path.exists() else []

    def adopt(self, certificate: x509.Certificate) -> None:
        """Make a certificate for the next key the device's own: the commit point, then the key's promotion."""
        write_atomic(self.certificate_path, _pem([certificate]), durable=self.durable)
        self.keys.promote()

    def recover(self) -> None:
        """Finish an `adopt` that a power cut interrupted. Raises Corrupt when key and certificate differ for good."""
        if not self.certificate_path.exists():
            return
        public = _public(load_certificates(self.certificate_path)[0])
        if public == self.keys.current_public():
            return
        if public == self.keys.next_public():
            self.keys.promote()
            return
        raise Corrupt(f"the key in {self.directory} is not the certificate's", remedy=_ENROL)

    def certificate(self) -> CertificateLife | None:
        """The device's certificate, None before there is one. Raises Corrupt."""
        try:
            return life(load_certificates(self.certificate_path)[0])
        except NotFound:
            return None

    def runtime(self) -> dict[str, Any]:
        """What a running agent last wrote about itself; empty where none did."""
        try:
            return read_json(self.directory / "status.json") or {}
        except IronrootError:
            return {}

    def save_runtime(self, value: dict[str, Any]) -> None:
        """Leave word of how the agent is doing, for `agent status`. Not durable: it is stale after a power cut."""
        write_json(self.directory / "status.json", value, durable=False)


def life(certificate: x509.Certificate) -> CertificateLife:
    """Names and dates of a certificate."""
    names = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return CertificateLife(
        device=str(names[0].value) if len(names) == 1 else "",
        serial=f"{certificate.serial_number:x}",
        fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
    )


def load_certificates(path: Path) -> list[x509.Certificate]:
    """The certificates of a PEM file, at least one. Raises NotFound, Corrupt."""
    try:
        return x509.load_pem_x509_certificates(read_bounded(path, 1024 * 1024))
    except FileNotFoundError as e:
        raise NotFound(f"no such file: {path}", remedy="check the path, or enrol the device") from e
    except OSError as e:
        raise Misconfigured(f"cannot read {path}: {e.strerror}") from e
    except ValueError as e:
        raise Corrupt(f"{path} holds no certificates in PEM", remedy="fetch or export it again") from e


def _pem(certificates: Sequence[x509.Certificate]) -> bytes:
    return b"".join(c.public_bytes(serialization.Encoding.PEM) for c in certificates)


def _public(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
