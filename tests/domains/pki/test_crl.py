import time
from datetime import timedelta
from pathlib import Path

from cryptography import x509

from ironroot.domains.pki.crl import Revoked, build, kept_from, refresh_at
from ironroot.domains.pki.model import REASON_CODE, Reason
from tests.domains.pki.test_issue import CA_KEY, DEVICE_CA
from tests.domains.pki.world import START, openssl, pem

WEEK = timedelta(days=7)


def made(entries: list[Revoked], number: int = 1) -> bytes:
    return build(DEVICE_CA.certificate, CA_KEY, entries, number=number, this_update=START, next_update=START + WEEK)


def test_every_reason_is_read_back() -> None:
    entries = [Revoked(2**158 + i, START, reason) for i, reason in enumerate(Reason)]
    crl = x509.load_der_x509_crl(made(entries, number=77))
    assert crl.is_signature_valid(CA_KEY.public_key())
    assert crl.issuer == DEVICE_CA.certificate.subject
    assert (crl.last_update_utc, crl.next_update_utc) == (START, START + WEEK)
    assert crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number == 77
    key_id = DEVICE_CA.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    assert crl.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier == key_id
    for entry, revoked in zip(entries, crl, strict=True):
        assert (revoked.serial_number, revoked.revocation_date_utc) == (entry.serial, START)
        if entry.reason is Reason.UNSPECIFIED:
            assert not list(revoked.extensions)
        else:
            assert revoked.extensions[0].value.reason.value == entry.reason.value
    assert set(REASON_CODE) == set(Reason)


def test_an_empty_list_has_no_entries_at_all() -> None:
    crl = x509.load_der_x509_crl(made([]))
    assert len(crl) == 0
    assert crl.is_signature_valid(CA_KEY.public_key())


def test_openssl_checks_the_signature(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(pem(DEVICE_CA.certificate))
    said = ""
    for entries in ([], [Revoked(7, START, Reason.KEY_COMPROMISE)]):
        (tmp_path / "crl").write_bytes(made(entries))
        said = openssl(
            "crl", "-inform", "der", "-in", tmp_path / "crl", "-CAfile", tmp_path / "ca.pem", "-text", "-noout"
        )
        assert "verify OK" in said
    assert "Key Compromise" in said


def test_a_long_list_is_made_in_the_time_of_its_length() -> None:
    """The library's own builder copies its list for every entry: 20,000 took it minutes."""
    entries = [Revoked(2**158 + i, START, Reason.SUPERSEDED) for i in range(20_000)]
    started = time.process_time()
    crl = x509.load_der_x509_crl(made(entries))
    assert time.process_time() - started < 5
    assert crl.get_revoked_certificate_by_serial_number(2**158 + 19_999) is not None
    assert len(crl) == 20_000


def test_a_list_is_renewed_at_half_of_its_life_and_keeps_an_entry_one_life_longer() -> None:
    assert refresh_at(START, START + WEEK) == START + timedelta(days=3.5)
    assert kept_from(START, WEEK) == START - WEEK
