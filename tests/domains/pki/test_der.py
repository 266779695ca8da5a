from datetime import UTC, datetime

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from ironroot.domains.pki import der
from tests.domains.pki.world import openssl


@pytest.mark.parametrize(
    ("encoded", "expected"),
    [
        (der.integer(0), "020100"),
        (der.integer(127), "02017f"),
        (der.integer(128), "02020080"),
        (der.integer(256), "02020100"),
        (der.enumerated(9), "0a0109"),
        (der.oid("1.2.840.113549"), "06062a864886f70d"),
        (der.oid("2.5.29.21"), "0603551d15"),
        (der.oid("2.999.3"), "0603883703"),
        (der.bits(b"\x01\x02"), "0303000102"),
        (der.octets(bytes(200))[:3], "0481c8"),
        (der.sequence(bytes(70_000))[:5], "3083011170"),
        (der.set_of(b"\x02\x01\x05", b"\x02\x01\x03"), "3106020103020105"),
        (der.time(datetime(2049, 12, 31, 23, 59, 59, 999, UTC)), "170d3439313233313233353935395a"),
        (der.time(datetime(2050, 1, 1, tzinfo=UTC)), "180f32303530303130313030303030305a"),
    ],
)
def test_encodes_as_x690_says(encoded: bytes, expected: str) -> None:
    assert encoded.hex() == expected


@given(st.integers(0, 2**160))
def test_integers_come_back(value: int) -> None:
    encoded = der.integer(value)
    assert int.from_bytes(encoded[2:], signed=True) == value


def test_openssl_reads_it() -> None:
    said = openssl("asn1parse", "-inform", "der", stdin=der.sequence(der.oid("1.3.6.1.4.1.311.20.2.3"), der.integer(7)))
    assert "INTEGER           :07" in said
    assert x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3").dotted_string
