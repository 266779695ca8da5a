"""Prepare, lint, issue: a certificate is checked before the CA's key signs it, never after.

`prepare` turns a profile and names into a `Draft`. `lint` (lint.py) signs the draft with a worthless key, reads that
certificate back and holds it against the profile; it alone makes a `Linted`. `issue` takes nothing else, uses it
once, and hands out only a certificate whose signed part is byte for byte what was linted. (The order is boulder's.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    derive_private_key,
)
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import AuthorityInformationAccessOID

from ironroot.core.errors import Fault, Unavailable
from ironroot.domains.pki.model import Ca
from ironroot.domains.pki.profiles import Profile

_KEY_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)
_WORTHLESS = derive_private_key(1, SECP256R1())
"""Signs drafts for the linter. Everybody knows this key, and nothing trusts it."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A certificate without a signature. `issuer` is None where it signs itself."""

    profile: Profile
    builder: x509.CertificateBuilder
    subject: x509.Name
    names: tuple[x509.GeneralName, ...]
    public_key: EllipticCurvePublicKey | RSAPublicKey
    issuer: Ca | None
    public_url: str

    def trial(self) -> x509.Certificate:
        """The draft signed by a key that is worth nothing."""
        return self.builder.sign(_WORTHLESS, SHA256())


class Linted:
    """Proof that a draft passed; buys one signature. Made by `lint` alone."""

    __slots__ = ("draft", "spent", "tbs")

    def __init__(self, draft: Draft, tbs: bytes) -> None:
        self.draft = draft
        self.tbs = tbs
        self.spent = False


def prepare(
    profile: Profile,
    *,
    subject: x509.Name,
    names: Sequence[x509.GeneralName] = (),
    public_key: EllipticCurvePublicKey | RSAPublicKey,
    issuer: Ca | None,
    public_url: str,
    serial: int,
    now: datetime,
    back_date: timedelta,
    lifetime: timedelta | None = None,
) -> Draft:
    """A draft by the profile. It is valid for `lifetime` from now, and since `back_date` (devices' clocks are slow, but
    never more than a tenth of its life): whole seconds, both ends included, and never past its issuer.

    Raises Unavailable when the issuer has ended.
    """
    life = profile.lifetime if lifetime is None else lifetime
    starts = now.replace(microsecond=0)
    not_before = starts - timedelta(seconds=min(back_date, life / 10) // timedelta(seconds=1))
    not_after = starts + life - timedelta(seconds=1)
    if issuer is not None:
        not_after = min(not_after, issuer.certificate.not_valid_after_utc)
    if not_after <= starts:
        raise Unavailable(
            "no validity is left to give: the issuing CA has ended", remedy="make its successor", code="ca-expired"
        )
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.certificate.subject)
        .public_key(public_key)
        .serial_number(serial)
        .not_valid_before(not_before)
        .not_valid_after(not_after)
    )
    for extension, critical in _extensions(profile, names, public_key, issuer, public_url):
        builder = builder.add_extension(extension, critical)
    return Draft(profile, builder, subject, tuple(names), public_key, issuer, public_url)


def issue(linted: Linted, key: EllipticCurvePrivateKey) -> x509.Certificate:
    """The certificate, signed by the issuer's `key`. Raises Fault when the token was used before, or when what was
    signed is not what was linted.
    """
    if linted.spent:
        raise Fault("a linted draft is signed once", code="lint-reused")
    linted.spent = True
    certificate = linted.draft.builder.sign(key, SHA256())
    if certificate.tbs_certificate_bytes != linted.tbs:
        raise Fault("the certificate differs from the draft that was checked", code="lint-mismatch")
    return certificate


def crl_url(public_url: str, ca: str) -> str:
    """Where the CRL of a CA is."""
    return f"{public_url.rstrip('/')}/crl/{ca}.crl"


def ca_url(public_url: str, ca: str) -> str:
    """Where the certificate of a CA is."""
    return f"{public_url.rstrip('/')}/ca/{ca}.cer"


def _extensions(
    profile: Profile,
    names: Sequence[x509.GeneralName],
    public_key: EllipticCurvePublicKey | RSAPublicKey,
    issuer: Ca | None,
    public_url: str,
) -> list[tuple[x509.ExtensionType, bool]]:
    usage = {name: name in profile.key_usage for name in _KEY_USAGES}
    found: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(profile.ca, profile.path_length), True),
        (x509.KeyUsage(**usage), True),
        (x509.SubjectKeyIdentifier.from_public_key(public_key), False),
    ]
    if profile.extended_key_usage:
        found.append((x509.ExtendedKeyUsage(profile.extended_key_usage), False))
    if names:
        found.append((x509.SubjectAlternativeName(names), False))
    if issuer is not None:
        identifier = issuer.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        crl = x509.UniformResourceIdentifier(crl_url(public_url, issuer.name))
        ca = x509.UniformResourceIdentifier(ca_url(public_url, issuer.name))
        access = x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, ca)
        found += [
            (x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), False),
            (x509.CRLDistributionPoints([x509.DistributionPoint([crl], None, None, None)]), False),
            (x509.AuthorityInformationAccess([access]), False),
        ]
    return found
