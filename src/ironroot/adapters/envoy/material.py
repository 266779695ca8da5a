"""What the HTTP doors show and verify, checked before Envoy may see it.

Envoy's own reaction to bad material is unsafe: a key that does not match its certificate stops every later update
of that listener. So nothing is published that this module has not proven sound. Pure: `now` is an argument.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from ironroot.core.errors import Misconfigured
from ironroot.core.ids import Fingerprint
from ironroot.core.secret import Secret

_MAX_CHAIN = 6
_MAX_AUTHORITIES = 64


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A server's certificate, followed by its issuers without the root, and its private key; PEM."""

    chain_pem: bytes
    key_pem: Secret


@dataclass(frozen=True, slots=True)
class Material:
    """All that the HTTP doors need; `device_bundle_pem` holds every CA up to its root that issues to devices."""

    console: KeyPair
    devices: KeyPair
    device_bundle_pem: bytes

    def files(self) -> dict[str, bytes]:
        """The files of one version, by name."""
        return {
            "console.pem": self.console.chain_pem,
            "console.key": self.console.key_pem.reveal(),
            "devices.pem": self.devices.chain_pem,
            "devices.key": self.devices.key_pem.reveal(),
            "device_ca.pem": self.device_bundle_pem,
        }


@dataclass(frozen=True, slots=True)
class Checked:
    """Proof that material is sound, with the digests of the certificates that the doors will show."""

    material: Material
    console: Fingerprint
    devices: Fingerprint


def check(material: Material, now: datetime) -> Checked:
    """The material with the fingerprints it will show. Raises Misconfigured naming what is wrong with which part."""
    console = _pair("console", material.console, now)
    devices = _pair("devices", material.devices, now)
    _bundle(material.device_bundle_pem, now)
    return Checked(material, fingerprint(console), fingerprint(devices))


def fingerprint(certificate: x509.Certificate) -> Fingerprint:
    """SHA-256 of the certificate's DER, lower-case hexadecimal."""
    return Fingerprint(hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).hexdigest())


def _pair(what: str, pair: KeyPair, now: datetime) -> x509.Certificate:
    chain = _certificates(what, pair.chain_pem, _MAX_CHAIN)
    leaf = chain[0]
    try:
        key = serialization.load_pem_private_key(pair.key_pem.reveal(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as e:
        raise _wrong(what, "the private key is not readable PEM without a password") from e
    if not _usable(key):
        raise _wrong(what, "the key is neither P-256, P-384 nor RSA of at least 2048 bits")
    if _spki(key.public_key()) != _spki(leaf.public_key()):
        raise _wrong(what, "the private key does not belong to the certificate")
    for certificate in chain:
        _valid_now(what, certificate, now)
    for subject, issuer in pairwise(chain):
        _issued(what, subject, issuer)
    try:
        usages = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return leaf
    if ExtendedKeyUsageOID.SERVER_AUTH not in usages:
        raise _wrong(what, "the certificate is not for a TLS server")
    return leaf


def _bundle(pem: bytes, now: datetime) -> None:
    """Every member a CA, valid, and linked to a root inside the bundle: a leaf is verified without its chain."""
    what = "device CA bundle"
    authorities = _certificates(what, pem, _MAX_AUTHORITIES)
    for authority in authorities:
        name = authority.subject.rfc4514_string()
        _valid_now(what, authority, now)
        try:
            is_ca = authority.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        except x509.ExtensionNotFound:
            is_ca = False
        if not is_ca:
            raise _wrong(what, f"{name} is not a CA")
        if not any(_signed(authority, issuer) for issuer in authorities):
            raise _wrong(what, f"the issuer of {name} is missing, so no certificate below it would verify")
    if not any(authority.subject == authority.issuer for authority in authorities):
        raise _wrong(what, "there is no root in it")


def _certificates(what: str, pem: bytes, most: int) -> Sequence[x509.Certificate]:
    try:
        found = x509.load_pem_x509_certificates(pem)
    except ValueError as e:
        raise _wrong(what, "no certificate in PEM form") from e
    if len(found) > most:
        raise _wrong(what, f"more than {most} certificates")
    return found


def _usable(key: object) -> bool:
    """What Envoy's TLS library accepts for a server."""
    match key:
        case ec.EllipticCurvePrivateKey():
            return key.curve.name in {"secp256r1", "secp384r1"}
        case rsa.RSAPrivateKey():
            return key.key_size >= 2048
        case _:
            return False


def _spki(key: object) -> bytes:
    encoded: bytes = key.public_bytes(  # type: ignore[attr-defined]  # a union of every key type there is
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return encoded


def _valid_now(what: str, certificate: x509.Certificate, now: datetime) -> None:
    name = certificate.subject.rfc4514_string()
    if now >= certificate.not_valid_after_utc:
        raise _wrong(what, f"{name} has expired")
    if now < certificate.not_valid_before_utc:
        raise _wrong(what, f"{name} is not valid yet: is the clock right?")


def _issued(what: str, subject: x509.Certificate, issuer: x509.Certificate) -> None:
    if not _signed(subject, issuer):
        raise _wrong(
            what, f"{subject.subject.rfc4514_string()} is not issued by the next, {issuer.subject.rfc4514_string()}"
        )


def _signed(subject: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        subject.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _wrong(what: str, why: str) -> Misconfigured:
    return Misconfigured(
        f"{what}: {why}", remedy="the doors keep what they have; publish sound material", code="door-material"
    )
