"""Enrolment over secure transport (RFC 7030, clarified by RFC 8951) from the device's side.

Trust comes first: the roots are given as a file or pinned by the fingerprint of one of them; nothing is trusted on
first use. A certificate is kept only if it is for our key and our name and a pinned root vouches for it.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID

from ironroot.agent.http import Address, Door, Response, raise_for_status
from ironroot.agent.state import load_certificates
from ironroot.agent.tls import bootstrap_context, client_context
from ironroot.core.clock import Clock, rfc3339
from ironroot.core.errors import Malformed, Refused, Unauthenticated
from ironroot.core.ids import DeviceId
from ironroot.core.secret import Secret

PATH = "/.well-known/est"
MAX_ANSWER_BYTES = 256 * 1024
MAX_CERTIFICATES = 32


class Untrusted(Refused):
    """The platform's answer is not what the pinned roots vouch for."""

    code = "untrusted"


@dataclass(frozen=True, slots=True)
class Authorities:
    """The trust anchors this device accepted, and the issuing CAs they vouch for."""

    roots: tuple[x509.Certificate, ...]
    chain: tuple[x509.Certificate, ...]


def signing_request(key: ec.EllipticCurvePrivateKey, device: DeviceId) -> bytes:
    """A PKCS#10 request (DER) for `device`, signed by `key`. The CA takes name and extensions from its own records."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, device)])
    return (
        x509.CertificateSigningRequestBuilder()
        .subject_name(subject)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.DER)
    )


def fetch_authorities(door: Door, clock: Clock) -> list[x509.Certificate]:
    """What the door's `cacerts` lists: not yet trusted, see `authorities`."""
    response = door.request("GET", f"{PATH}/cacerts", limit=MAX_ANSWER_BYTES)
    raise_for_status(response, clock)
    return _certificates(response)


def pinned_root(address: Address, fingerprint: str, clock: Clock) -> x509.Certificate:
    """The root at `address` whose SHA-256 is `fingerprint` (hexadecimal, colons allowed).

    Raises Untrusted when no root there has it: then this is not the platform, or someone is in between.
    """
    wanted = parse_fingerprint(fingerprint)
    with Door(address, bootstrap_context()) as door:
        listed = fetch_authorities(door, clock)
    for certificate in listed:
        if hmac.compare_digest(certificate.fingerprint(hashes.SHA256()), wanted) and _is_root(certificate):
            return certificate
    raise Untrusted(
        f"no root with this fingerprint at https://{address.netloc}",
        remedy="compare the fingerprint with `ironroot ca list` on the platform; if it is right, someone intercepts",
    )


def system_roots(address: Address, clock: Clock) -> list[x509.Certificate]:
    """The roots the platform at `address` lists, over a connection that this machine's own trust store vouches for.

    Raises Untrusted where that store does not know the platform's root.
    """
    with Door(address, client_context(None)) as door:
        roots = [certificate for certificate in fetch_authorities(door, clock) if _is_root(certificate)]
    if not roots:
        raise Untrusted(f"https://{address.netloc} lists no root", remedy="give --ca FILE or --fingerprint SHA256")
    return roots


def parse_fingerprint(text: str) -> bytes:
    """The 32 bytes of a SHA-256 fingerprint as people paste it. Raises Malformed."""
    plain = text.strip().lower().removeprefix("sha256:").removeprefix("sha256 fingerprint=").replace(":", "")
    try:
        digest = bytes.fromhex(plain)
    except ValueError:
        digest = b""
    if len(digest) != 32:
        raise Malformed("not a SHA-256 fingerprint", remedy="give 64 hexadecimal digits, with or without colons")
    return digest


def roots_from(path: Path) -> list[x509.Certificate]:
    """The roots in a PEM file somebody gave us. Raises Malformed when there is none in it."""
    roots = [certificate for certificate in load_certificates(path) if _is_root(certificate)]
    if not roots:
        raise Malformed(f"{path} holds no root", remedy="give the file `ironroot ca export` writes")
    return roots


def authorities(roots: Sequence[x509.Certificate], listed: Sequence[x509.Certificate]) -> Authorities:
    """The listed CAs that one of `roots` signed; a root that was not pinned is left out, whoever lists it."""
    chain = [c for c in listed if not _is_root(c) and any(_issued(c, root) for root in roots)]
    return Authorities(tuple(roots), tuple(chain))


class Enrolment:
    """Asks one door for certificates of one device. What it returns has passed `check_issued`."""

    def __init__(self, door: Door, device: DeviceId, trusted: Authorities, clock: Clock) -> None:
        self._door = door
        self._device = device
        self._trusted = trusted
        self._clock = clock

    def enrol(self, key: ec.EllipticCurvePrivateKey, claim: Secret) -> x509.Certificate:
        """A certificate for `key` in exchange for a one-time claim (HTTP Basic over verified TLS, RFC 7030 4.2.1).

        Raises Unauthenticated when the claim is wrong, used or expired; NotNow, TooMany to come back; Untrusted.
        """
        credentials = base64.b64encode(f"{self._device}:".encode() + claim.reveal()).decode()
        return self._ask("simpleenroll", key, {"authorization": f"Basic {credentials}"})

    def reenrol(self, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
        """A certificate for `key`, asked for over TLS with the current one (RFC 7030 4.2.2)."""
        return self._ask("simplereenroll", key, {})

    def _ask(self, operation: str, key: ec.EllipticCurvePrivateKey, headers: Mapping[str, str]) -> x509.Certificate:
        response = self._door.request(
            "POST",
            f"{PATH}/{operation}",
            body=base64.b64encode(signing_request(key, self._device)),
            headers={"content-type": "application/pkcs10", "content-transfer-encoding": "base64", **headers},
            limit=MAX_ANSWER_BYTES,
        )
        raise_for_status(response, self._clock)
        issued = _certificates(response)
        if len(issued) != 1:
            raise Untrusted(f"{len(issued)} certificates where one was asked for")
        check_issued(issued[0], key.public_key(), self._device, self._trusted, self._clock.now())
        return issued[0]


def check_issued(
    certificate: x509.Certificate,
    public_key: ec.EllipticCurvePublicKey,
    device: DeviceId,
    trusted: Authorities,
    now: datetime,
) -> None:
    """Return if the certificate is for our key and name and a pinned root vouches for it. Raises Untrusted."""
    if certificate.public_key() != public_key:
        raise Untrusted("the certificate is for another key than ours")
    names = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    if [name.value for name in names] != [device]:
        raise Untrusted(f"the certificate is not for {device}")
    if not certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc:
        raise Untrusted(
            f"the certificate is not valid at {rfc3339(now)}, the time of this device",
            remedy="set the device's clock",
        )
    policy = (
        verification.PolicyBuilder()
        .store(verification.Store(list(trusted.roots)))
        .time(now)
        .max_chain_depth(4)
        .extension_policies(
            ca_policy=verification.ExtensionPolicy.webpki_defaults_ca(),
            ee_policy=verification.ExtensionPolicy.permit_all().require_present(
                x509.ExtendedKeyUsage, verification.Criticality.AGNOSTIC, _is_for_clients
            ),
        )
    )
    try:
        policy.build_client_verifier().verify(certificate, list(trusted.chain))
    except verification.VerificationError as e:
        raise Untrusted(f"no pinned root vouches for the certificate: {e}") from e


def _is_for_clients(_policy: object, _certificate: x509.Certificate, usage: x509.ExtendedKeyUsage) -> None:
    if ExtendedKeyUsageOID.CLIENT_AUTH not in usage:
        raise ValueError("not a client's certificate")


def _is_root(certificate: x509.Certificate) -> bool:
    return certificate.subject == certificate.issuer and _issued(certificate, certificate)


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        constraints = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
        certificate.verify_directly_issued_by(issuer)
    except Exception:  # noqa: BLE001 (whatever is wrong with a peer's certificate, it was not issued by this one)
        return False
    return constraints.ca


def _certificates(response: Response) -> list[x509.Certificate]:
    """The certificates of a certs-only PKCS#7 answer, base64 with or without line breaks (RFC 8951 section 3.1)."""
    if response.headers.get("content-type", "").split(";")[0].strip().lower() != "application/pkcs7-mime":
        raise Malformed("the platform's answer is no EST answer", remedy="check that --server is the device door")
    try:
        der = base64.b64decode(b"".join(response.body.split()), validate=True)
        certificates = pkcs7.load_der_pkcs7_certificates(der)
    except (binascii.Error, ValueError) as e:
        raise Malformed("the platform's EST answer holds no certificates") from e
    if not 0 < len(certificates) <= MAX_CERTIFICATES:
        raise Malformed(f"{len(certificates)} certificates in the platform's EST answer")
    return certificates


def pem(certificate: x509.Certificate) -> bytes:
    """A certificate as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def claim_from(text: str) -> Secret:
    """The claim in what a person typed or piped in. Raises Unauthenticated when it cannot be one."""
    claim = text.strip()
    if not claim or len(claim) > 512 or not claim.isascii() or not claim.isprintable():
        raise Unauthenticated("no claim", remedy="make one with `ironroot claim create --device ID`")
    return Secret(claim)
