"""A data directory with devices that have keys and certificates, made in this process before the platform runs.

The certificates are issued as EST issues them (claim, request, enrolment, facts), only without HTTP in between.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import uvloop
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from bench.support.figures import Bench
from ironroot.app import config, datadir
from ironroot.app.offline import NoDownlink
from ironroot.app.platform.core import Core, open_core
from ironroot.core.ids import device_id

ACTOR = "host/bench"


@dataclass(frozen=True, slots=True)
class Device:
    """A device's id, key and certificate (PEM files)."""

    id: str
    key: Path
    certificate: Path


@dataclass(frozen=True, slots=True)
class Candidate:
    """A device that has a key, a request and a claim, and no certificate yet."""

    id: str
    key: Path
    request: bytes
    claim: str


@dataclass(frozen=True, slots=True)
class Fleet:
    """A prepared data directory, its devices, and what another broker needs to serve the same devices."""

    data: Path
    devices: tuple[Device, ...]
    candidates: tuple[Candidate, ...]
    roots: Path
    device_ca: Path
    server_certificate: Path
    server_key: Path

    def copy(self, to: Path, settings: str = "") -> Path:
        """A data directory of one's own with the same devices; `settings` is its `ironroot.toml`."""
        shutil.copytree(self.data, to)
        if settings:
            (to / "ironroot.toml").write_text(settings)
        return to


def shared(bench: Bench) -> Fleet:
    """The run's fleet, made once: 1,100 devices, and 480 that have a claim; copy its data directory."""
    if "fleet" not in bench.kept:
        bench.say("preparing a fleet")
        root = bench.scratch / "prepared"
        bench.kept["fleet"] = prepare(root, bench.pick(1_100, 60), bench.pick(480, 40), bench.say)
    found: Fleet = bench.kept["fleet"]
    return found


def prepare(root: Path, enrolled: int, waiting: int, say: Callable[[str], None]) -> Fleet:
    """Make the data directory, `enrolled` devices with certificates and `waiting` ones with claims alone."""
    return uvloop.run(_prepare(root, enrolled, waiting, say))


async def _prepare(root: Path, enrolled: int, waiting: int, say: Callable[[str], None]) -> Fleet:
    files = root / "fleet"
    files.mkdir(parents=True)
    data = datadir.prepare(root / "data")
    async with open_core(data, config.load(data.root), NoDownlink()) as core:
        devices = []
        for number in range(enrolled):
            if number % 250 == 0:
                say(f"device {number} of {enrolled}")
            candidate = await _candidate(core, files, f"bench-{number:05d}")
            der = await core.authority.enrol(candidate.id, candidate.claim, candidate.request, "bench")
            certificate = files / f"{candidate.id}.pem"
            certificate.write_bytes(x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM))
            devices.append(Device(candidate.id, candidate.key, certificate))
        candidates = [await _candidate(core, files, f"new-{number:05d}") for number in range(waiting)]
        await core.log.settle()
        server = await core.authority.server_certificate(["localhost", "127.0.0.1"])
        return Fleet(
            data=data.root,
            devices=tuple(devices),
            candidates=tuple(candidates),
            roots=_write(files / "roots.pem", core.authority.roots_pem()),
            device_ca=_write(files / "device_ca.pem", core.authority.device_bundle_pem()),
            server_certificate=_write(files / "server.pem", server.chain_pem),
            server_key=_write(files / "server.key", server.key_pem.reveal()),
        )


async def _candidate(core: Core, files: Path, name: str) -> Candidate:
    key, request = key_and_request(files / f"{name}.key", name)
    claim = await core.authority.create_claim(device_id(name), ACTOR)
    return Candidate(name, key, request, claim.claim.reveal().decode())


def key_and_request(path: Path, name: str) -> tuple[Path, bytes]:
    """A new P-256 key in a file, and a request (DER) for a certificate with this common name."""
    key = ec.generate_private_key(ec.SECP256R1())
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, SHA256())
    return path, request.public_bytes(Encoding.DER)


def _write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    path.chmod(0o600)
    return path


def names(devices: Sequence[Device]) -> list[list[str]]:
    """The devices as the load generator reads them."""
    return [[d.id, str(d.certificate), str(d.key)] for d in devices]
