"""A small certificate hierarchy made for one test run: root, issuing CA for servers, issuing CA for devices."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from ironroot.agent.files import write_atomic
from ironroot.agent.state import Settings, State
from ironroot.core.ids import DeviceId


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)  # noqa: TID251 (TLS looks at the machine's clock)


@dataclass
class Ca:
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)


def _name(cn: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, cn)])


def _usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def _builder(
    cn: str, public: ec.EllipticCurvePublicKey, issuer: x509.Name, signer: ec.EllipticCurvePublicKey, *, ca: bool
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_name(cn))
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(_usage(ca=ca), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer), critical=False)
    )


def make_ca(cn: str, parent: Ca | None = None) -> Ca:
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = parent.certificate.subject if parent else _name(cn)
    signer = parent.key if parent else key
    builder = _builder(cn, key.public_key(), issuer, signer.public_key(), ca=True)
    certificate = (
        builder.not_valid_before(now() - timedelta(days=1))
        .not_valid_after(now() + timedelta(days=30))
        .sign(signer, hashes.SHA256())
    )
    return Ca(key, certificate)


def issue(
    ca: Ca,
    cn: str,
    public: ec.EllipticCurvePublicKey,
    *,
    server: bool = False,
    not_before: datetime | None = None,
    lifetime: timedelta = timedelta(days=7),
) -> x509.Certificate:
    begins = not_before or now() - timedelta(minutes=5)
    builder = _builder(cn, public, ca.certificate.subject, ca.key.public_key(), ca=False)
    builder = builder.not_valid_before(begins).not_valid_after(begins + lifetime)
    usage = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
    builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    if server:
        names = [
            x509.DNSName("localhost"),
            x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
            x509.IPAddress(ipaddress.ip_address("::1")),
        ]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(ca.key, hashes.SHA256())


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def cert_pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(c.public_bytes(serialization.Encoding.PEM) for c in certificates)


class Pki:
    """The hierarchy and the files servers need of it, in a directory."""

    def __init__(self, directory: Path) -> None:
        self.root = make_ca("Test Root")
        self.servers = make_ca("Test server-1", self.root)
        self.devices = make_ca("Test device-1", self.root)
        self.roots_path = directory / "roots.pem"
        self.bundle_path = directory / "bundle.pem"
        self.server_certificate_path = directory / "server.crt"
        self.server_key_path = directory / "server.key"
        self.roots_path.write_bytes(self.root.pem)
        self.bundle_path.write_bytes(self.root.pem + self.devices.pem)
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = issue(self.servers, "localhost", key.public_key(), server=True)
        self.server_certificate_path.write_bytes(cert_pem(certificate, self.servers.certificate))
        self.server_key_path.write_bytes(key_pem(key))
        self.server_key_path.chmod(0o644)

    @property
    def fingerprint(self) -> str:
        return self.root.certificate.fingerprint(hashes.SHA256()).hex()

    def enrolled(
        self,
        directory: Path,
        device: str,
        port: int,
        *,
        mqtt: str | None = None,
        not_before: datetime | None = None,
        lifetime: timedelta = timedelta(days=7),
    ) -> State:
        """A state directory as enrolment leaves it, without the enrolment."""
        state = State(directory, durable=False)
        state.create()
        key = state.keys.prepare()
        state.save_authorities([self.root.certificate], [self.devices.certificate])
        state.save_settings(Settings(DeviceId(device), f"https://localhost:{port}", mqtt))
        state.adopt(issue(self.devices, device, key.public_key(), not_before=not_before, lifetime=lifetime))
        return state

    def identity(self, directory: Path, cn: str) -> tuple[Path, Path]:
        """Certificate and key files of a client, outside any state directory."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = directory / f"{cn}.crt"
        certificate.write_bytes(cert_pem(issue(self.devices, cn, key.public_key())))
        write_atomic(directory / f"{cn}.key", key_pem(key), private=True)
        return certificate, directory / f"{cn}.key"
