"""Holds a draft against its profile, by reading the certificate it would become. All findings at once, or a token.

Written apart from `prepare` on purpose: it looks at parsed bytes, so a slip in building is found before the CA's key
has signed it. RFC 5280 section 4; the checks of validity and serial follow sections 4.1.2.2 and 4.1.2.5.
"""

from __future__ import annotations

from collections.abc import Iterator

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509.oid import AuthorityInformationAccessOID, SignatureAlgorithmOID

from ironroot.core.errors import Fault, Refused
from ironroot.domains.pki import publickey
from ironroot.domains.pki.issue import Draft, Linted, ca_url, crl_url
from ironroot.domains.pki.profiles import Profile

_CRITICAL = frozenset({x509.BasicConstraints.oid, x509.KeyUsage.oid})


class LintFailed(Fault):
    """A draft that breaks its profile: a bug or a configuration of ours. `findings` has every reason."""

    code = "lint"

    def __init__(self, findings: tuple[str, ...]) -> None:
        super().__init__("certificate draft refused: " + "; ".join(findings), remedy="report it with this message")
        self.findings = findings


def lint(draft: Draft, profile: Profile) -> Linted:
    """The token that `issue` takes. Raises LintFailed with every finding."""
    try:
        trial = draft.trial()
        findings = tuple(_findings(trial, draft, profile))
    except (ValueError, TypeError, x509.DuplicateExtension) as e:
        raise LintFailed((f"cannot be encoded and read back ({e})",)) from e
    if findings:
        raise LintFailed(findings)
    return Linted(draft, trial.tbs_certificate_bytes)


def _findings(trial: x509.Certificate, draft: Draft, profile: Profile) -> Iterator[str]:
    yield from _head(trial, draft, profile)
    yield from _validity(trial, draft, profile)
    yield from _issuer(draft, profile)
    yield from _extensions(trial, draft, profile)


def _head(trial: x509.Certificate, draft: Draft, profile: Profile) -> Iterator[str]:
    if draft.profile is not profile:
        yield f"prepared by the profile {draft.profile.name}"
    if trial.version is not x509.Version.v3:
        yield "not version 3"
    if trial.serial_number.bit_length() > 159:  # 20 octets with the sign bit clear
        yield "serial number longer than 20 octets"
    if trial.serial_number.bit_length() < 64:
        yield "serial number with less than 64 random bits"
    if trial.signature_algorithm_oid != SignatureAlgorithmOID.ECDSA_WITH_SHA256:
        yield "not signed with ECDSA and SHA-256"
    expected = draft.subject if draft.issuer is None else draft.issuer.certificate.subject
    if trial.issuer.public_bytes() != expected.public_bytes():
        yield "issuer is not the issuing CA's subject"
    if trial.subject != draft.subject or not trial.subject.rdns:
        yield "subject is empty or not the one prepared"
    try:
        publickey.allow(trial.public_key(), profile.families)
    except Refused as e:
        yield e.message


def _validity(trial: x509.Certificate, draft: Draft, profile: Profile) -> Iterator[str]:
    starts, ends = trial.not_valid_before_utc, trial.not_valid_after_utc
    if ends <= starts:
        yield "ends before it starts"
    if ends - starts > profile.max_lifetime:
        yield f"lives longer than {profile.max_lifetime.days} days"
    if draft.issuer is not None and ends > draft.issuer.certificate.not_valid_after_utc:
        yield "outlives its issuer"


def _issuer(draft: Draft, profile: Profile) -> Iterator[str]:
    if draft.issuer is None:
        if not profile.self_signed:
            yield "no issuer"
        return
    if profile.self_signed:
        yield "a self-signed profile with an issuer"
    if draft.issuer.role is not profile.issuer:
        yield f"the CA {draft.issuer.name} does not sign {profile.name} certificates"
    extensions = draft.issuer.certificate.extensions
    constraints = extensions.get_extension_for_class(x509.BasicConstraints).value
    if not constraints.ca:
        yield "the issuer is not a CA"
    if profile.ca and constraints.path_length is not None:
        yield "the issuer may sign no further CA"
    try:
        allowed = set(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        return
    if not set(profile.extended_key_usage) <= allowed:
        yield "a purpose its issuer does not have"


def _extensions(trial: x509.Certificate, draft: Draft, profile: Profile) -> Iterator[str]:
    expected = dict(_expected(draft, profile, trial))
    found = {extension.oid: extension for extension in trial.extensions}
    for oid in found.keys() - expected.keys():
        yield f"extension {oid.dotted_string} does not belong there"
    for oid, value in expected.items():
        if oid not in found:
            yield f"extension {oid.dotted_string} is missing"
        elif found[oid].value != value:
            yield f"extension {oid.dotted_string} is not what the profile says"
        elif found[oid].critical != (oid in _CRITICAL):
            yield f"extension {oid.dotted_string} has the wrong criticality"
    if profile.names != "none" and not draft.names:
        yield "no alternative name"
    if not draft.public_url.startswith("http://"):
        yield "CRL and CA addresses must be plain HTTP (fetching over TLS would need what is being fetched)"


def _expected(
    draft: Draft, profile: Profile, trial: x509.Certificate
) -> Iterator[tuple[x509.ObjectIdentifier, x509.ExtensionType]]:
    key = trial.public_key()
    assert isinstance(key, EllipticCurvePublicKey | RSAPublicKey)  # noqa: S101 (what Draft holds)
    yield x509.BasicConstraints.oid, x509.BasicConstraints(profile.ca, profile.path_length)
    yield (
        x509.KeyUsage.oid,
        x509.KeyUsage(
            digital_signature="digital_signature" in profile.key_usage,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign="key_cert_sign" in profile.key_usage,
            crl_sign="crl_sign" in profile.key_usage,
            encipher_only=False,
            decipher_only=False,
        ),
    )
    yield x509.SubjectKeyIdentifier.oid, x509.SubjectKeyIdentifier.from_public_key(key)
    if profile.extended_key_usage:
        yield x509.ExtendedKeyUsage.oid, x509.ExtendedKeyUsage(profile.extended_key_usage)
    if profile.names != "none":
        yield x509.SubjectAlternativeName.oid, x509.SubjectAlternativeName(draft.names)
    if draft.issuer is None:
        return
    issuer_key = draft.issuer.certificate.public_key()
    assert isinstance(issuer_key, EllipticCurvePublicKey)  # noqa: S101 (the hierarchy is P-256)
    crl = x509.UniformResourceIdentifier(crl_url(draft.public_url, draft.issuer.name))
    ca = x509.UniformResourceIdentifier(ca_url(draft.public_url, draft.issuer.name))
    yield x509.AuthorityKeyIdentifier.oid, x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key)
    yield x509.CRLDistributionPoints.oid, x509.CRLDistributionPoints([x509.DistributionPoint([crl], None, None, None)])
    yield (
        x509.AuthorityInformationAccess.oid,
        x509.AuthorityInformationAccess([x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, ca)]),
    )
