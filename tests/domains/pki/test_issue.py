from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from ironroot.core.errors import Fault, Unavailable
from ironroot.domains.pki import names
from ironroot.domains.pki.issue import Draft, Linted, issue, prepare
from ironroot.domains.pki.lint import LintFailed, lint
from ironroot.domains.pki.model import Ca, Role
from ironroot.domains.pki.profiles import CA_PROFILES, DEVICE, SERVER, Profile
from tests.domains.pki.world import METER, START, new_key

URL = "http://192.0.2.1:8080"
HOUR = timedelta(hours=1)
_serials = count(1 << 150)


def made(role: Role, key: ec.EllipticCurvePrivateKey, above: Ca | None = None) -> Draft:
    return prepare(
        CA_PROFILES[role],
        subject=names.authority_name(f"Ironroot {role}", "0123456789abcdef"),
        public_key=key.public_key(),
        issuer=above,
        public_url=URL,
        serial=next(_serials),
        now=START,
        back_date=timedelta(minutes=5),
    )


ROOT_KEY, CA_KEY, KEY = new_key(), new_key(), new_key()
ROOT = Ca("root", Role.ROOT, issue(lint(made(Role.ROOT, ROOT_KEY), CA_PROFILES[Role.ROOT]), ROOT_KEY))
DEVICE_CA = Ca(
    "device-1", Role.DEVICE, issue(lint(made(Role.DEVICE, CA_KEY, ROOT), CA_PROFILES[Role.DEVICE]), ROOT_KEY)
)


def draft(
    profile: Profile = DEVICE,
    issuer: Ca = DEVICE_CA,
    *,
    serial: int | None = None,
    lifetime: timedelta = timedelta(days=90),
    alternative: tuple[x509.GeneralName, ...] = names.device_names(METER),
    key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey | None = None,
    url: str = URL,
    now: datetime = START + timedelta(microseconds=7),
) -> Draft:
    return prepare(
        profile,
        subject=names.common_name(METER),
        names=alternative,
        public_key=key or KEY.public_key(),
        issuer=issuer,
        public_url=url,
        serial=serial or next(_serials),
        now=now,
        back_date=timedelta(minutes=5),
        lifetime=lifetime,
    )


def findings(given: Draft, profile: Profile = DEVICE) -> str:
    with pytest.raises(LintFailed) as e:
        lint(given, profile)
    return "; ".join(e.value.findings)


def test_a_device_certificate_says_what_its_profile_says() -> None:
    certificate = issue(lint(draft(), DEVICE), CA_KEY)
    certificate.verify_directly_issued_by(DEVICE_CA.certificate)
    extensions = {e.oid: e for e in certificate.extensions}
    assert certificate.subject.rfc4514_string() == "CN=meter-1"
    assert certificate.not_valid_before_utc == START - timedelta(minutes=5)
    assert certificate.not_valid_after_utc == START + timedelta(days=90, seconds=-1)
    usage = extensions[x509.KeyUsage.oid]
    assert usage.critical
    assert usage.value.digital_signature
    assert not usage.value.key_cert_sign
    assert list(extensions[x509.ExtendedKeyUsage.oid].value) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    point = extensions[x509.CRLDistributionPoints.oid].value[0]
    assert point.full_name[0].value == f"{URL}/crl/device-1.crl"
    assert extensions[x509.AuthorityInformationAccess.oid].value[0].access_location.value == f"{URL}/ca/device-1.cer"


def test_an_issuing_ca_signs_no_further_ca_and_one_purpose_only() -> None:
    extensions = DEVICE_CA.certificate.extensions
    assert extensions.get_extension_for_class(x509.BasicConstraints).value.path_length == 0
    assert list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    below = Profile(**{f: getattr(CA_PROFILES[Role.DEVICE], f) for f in Profile.__slots__} | {"issuer": Role.DEVICE})
    assert "may sign no further CA" in findings(replace(made(Role.DEVICE, KEY, DEVICE_CA), profile=below), below)


def test_nothing_outlives_its_issuer() -> None:
    late = DEVICE_CA.certificate.not_valid_after_utc - timedelta(days=1)
    certificate = issue(lint(draft(now=late), DEVICE), CA_KEY)
    assert certificate.not_valid_after_utc == DEVICE_CA.certificate.not_valid_after_utc


def test_a_ca_that_has_ended_issues_nothing() -> None:
    with pytest.raises(Unavailable, match="CA has ended"):
        draft(now=DEVICE_CA.certificate.not_valid_after_utc)


def test_a_short_life_is_back_dated_by_a_tenth_of_it() -> None:
    certificate = issue(lint(draft(lifetime=timedelta(minutes=1)), DEVICE), CA_KEY)
    assert certificate.not_valid_before_utc == START - timedelta(seconds=6)
    assert certificate.not_valid_after_utc == START + timedelta(seconds=59)


def test_a_token_buys_one_signature() -> None:
    linted = lint(draft(), DEVICE)
    issue(linted, CA_KEY)
    with pytest.raises(Fault, match="signed once"):
        issue(linted, CA_KEY)


def test_a_token_moved_to_another_draft_buys_nothing() -> None:
    honest = lint(draft(), DEVICE)
    with pytest.raises(Fault, match="differs from the draft"):
        issue(Linted(draft(lifetime=timedelta(days=700)), honest.tbs), CA_KEY)


@pytest.mark.parametrize(
    ("given", "profile", "finding"),
    [
        (draft(serial=1), DEVICE, "less than 64 random bits"),
        (draft(serial=1 << 63), SERVER, "prepared by the profile device"),
        (draft(lifetime=timedelta(days=800)), DEVICE, "lives longer than 730 days"),
        (draft(alternative=()), DEVICE, "no alternative name"),
        (draft(url="https://192.0.2.1"), DEVICE, "plain HTTP"),
        (draft(SERVER, alternative=names.server_names(["localhost"])), SERVER, "does not sign server certificates"),
        (draft(SERVER, alternative=names.server_names(["localhost"])), SERVER, "a purpose its issuer does not have"),
        (draft(key=rsa.RSAPublicNumbers(65537, 2**1023 + 1).public_key()), DEVICE, "RSA with 1024 bits"),
        (draft(key=ec.generate_private_key(ec.SECP521R1()).public_key()), DEVICE, "secp521r1"),
    ],
)
def test_what_breaks_the_profile_is_not_signed(given: Draft, profile: Profile, finding: str) -> None:
    assert finding in findings(given, profile)


def test_every_finding_is_told_at_once() -> None:
    found = findings(draft(serial=1, lifetime=timedelta(days=800), url="https://192.0.2.1"))
    assert all(part in found for part in ("64 random bits", "730 days", "plain HTTP"))


@pytest.mark.parametrize(
    "extension",
    [
        x509.SubjectAlternativeName([x509.DNSName("bank.example")]),
        x509.BasicConstraints(ca=True, path_length=None),
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
        x509.OCSPNoCheck(),
    ],
)
def test_an_extension_that_was_smuggled_in_is_found(extension: x509.ExtensionType) -> None:
    """As if `prepare` had copied something from a request."""
    honest = draft()
    kept = [e for e in honest.builder._extensions if e.oid != extension.oid]
    builder = x509.CertificateBuilder(
        honest.builder._issuer_name,
        honest.builder._subject_name,
        honest.builder._public_key,
        honest.builder._serial_number,
        honest.builder._not_valid_before,
        honest.builder._not_valid_after,
        kept,
    ).add_extension(extension, critical=False)
    assert extension.oid.dotted_string in findings(replace(honest, builder=builder))


def test_an_end_beyond_2049_is_generalized_time() -> None:
    assert ROOT.certificate.not_valid_after_utc.year == 2050
    assert b"\x18\x0f2050" in ROOT.certificate.tbs_certificate_bytes
    assert b"\x17\x0d251231" in DEVICE_CA.certificate.tbs_certificate_bytes
