import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironroot.core.errors import Malformed, Refused, Unauthenticated
from ironroot.domains.pki import est
from tests.domains.pki.test_issue import DEVICE_CA, ROOT
from tests.domains.pki.world import openssl


def basic(text: bytes) -> str:
    return "Basic " + base64.b64encode(text).decode()


def test_openssl_prints_the_certificates() -> None:
    encoded = est.encode(est.certs_only([ROOT.certificate, DEVICE_CA.certificate]))
    said = openssl("pkcs7", "-inform", "der", "-print_certs", stdin=base64.b64decode(encoded))
    assert said.count("BEGIN CERTIFICATE") == 2
    assert "Ironroot device" in said


def test_base64_comes_in_lines_that_end_with_crlf() -> None:
    encoded = est.encode(bytes(200))
    lines = encoded.split(b"\r\n")
    assert lines.pop() == b""
    assert [len(line) for line in lines] == [76, 76, 76, 40]
    assert base64.b64decode(encoded) == bytes(200)


def test_csr_attributes_ask_for_p256() -> None:
    said = openssl("asn1parse", "-inform", "der", stdin=est.CSR_ATTRIBUTES)
    assert said.index("id-ecPublicKey") < said.index("prime256v1") < said.index("ecdsa-with-SHA256")
    assert "SET" in said


def test_credentials_are_device_and_claim() -> None:
    found = est.credentials(basic(b"meter-1:irc_a_b"))
    assert found.user == "meter-1"
    assert found.password.reveal() == b"irc_a_b"
    assert "irc_a_b" not in repr(found)
    assert est.credentials("bAsIc  bToxOjI=").password.reveal() == b"1:2"


@pytest.mark.parametrize("header", [None, "Bearer x", "Negotiate", ""])
def test_no_credentials_are_asked_for(header: str | None) -> None:
    with pytest.raises(Unauthenticated):
        est.credentials(header)


@pytest.mark.parametrize(
    "header",
    [
        "Basic",
        "Basic ???",
        "Basic YQ",
        basic(b"nocolon"),
        basic(b"\xff:\xff"),
        basic(b"a:b\n"),
        basic(b"a" * 600 + b":"),
    ],
)
def test_broken_credentials_are_malformed(header: str) -> None:
    with pytest.raises(Malformed):
        est.credentials(header)


@given(st.one_of(st.text(max_size=700), st.binary(max_size=100).map(basic)))
def test_any_header_gives_credentials_or_a_refusal(header: str) -> None:
    try:
        found = est.credentials(header)
    except Refused:
        return
    assert found.user.isprintable()
