import base64
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ironroot.core.errors import Malformed, Refused, TooLarge, Unprocessable
from ironroot.core.ids import DeviceId
from ironroot.domains.pki import csr as rules
from ironroot.domains.pki import der, publickey
from ironroot.domains.pki.profiles import DEVICE
from tests.domains.pki.world import METER, csr, new_key, openssl

KEY = new_key()
DER = csr(KEY, METER)
PEM = x509.load_der_x509_csr(DER).public_bytes(Encoding.PEM)


def examine(body: bytes) -> rules.Request:
    return rules.examine(body, METER, DEVICE.families)


@pytest.mark.parametrize(
    "body",
    [
        DER,
        PEM,
        b"\n" + PEM + b"\n\n",
        PEM.replace(b"\n", b"\r\n"),
        PEM.replace(b"BEGIN ", b"BEGIN NEW ").replace(b"END ", b"END NEW "),
        base64.b64encode(DER),
        base64.encodebytes(DER),
        base64.encodebytes(DER).replace(b"\n", b"\r\n"),
    ],
)
def test_takes_what_est_clients_send(body: bytes) -> None:
    found = examine(body)
    assert found.public_key == KEY.public_key()
    assert found.key_type == "P-256"


def test_a_request_without_a_name_is_for_whoever_asks() -> None:
    assert examine(csr(KEY)).public_key == KEY.public_key()


@pytest.mark.parametrize("name", ["meter-2", "METER-1", "meter-1 ", "*"])
def test_a_request_in_another_devices_name_is_refused(name: str) -> None:
    with pytest.raises(Unprocessable, match="another device"):
        examine(csr(KEY, name))


def test_a_second_name_hidden_behind_the_right_one_is_refused() -> None:
    subject = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, "meter-1"), x509.NameAttribute(NameOID.COMMON_NAME, "admin")]
    )
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(KEY, hashes.SHA256())
    with pytest.raises(Unprocessable, match="another device"):
        examine(request.public_bytes(Encoding.DER))


def test_a_request_signed_by_another_key_is_refused() -> None:
    """Somebody certifying a public key they only saw: the signature is of another key over the same words."""
    mine = x509.load_der_x509_csr(csr(new_key(), METER))
    theirs = x509.load_der_x509_csr(DER)
    forged = DER.replace(theirs.signature, mine.signature)
    if forged == DER or len(mine.signature) != len(theirs.signature):
        forged = DER[:-4] + bytes(4)
    with pytest.raises(Refused):
        examine(forged)


def test_a_changed_request_is_refused() -> None:
    changed = DER.replace(b"meter-1", b"meter-9")
    with pytest.raises(Unprocessable, match="not signed"):
        rules.examine(changed, DeviceId("meter-9"), DEVICE.families)


@pytest.mark.parametrize("bits", [2048, 3072, 4096])
def test_legacy_devices_may_have_rsa(bits: int) -> None:
    assert examine(csr(rsa.generate_private_key(65537, bits), METER)).key_type == f"RSA-{bits}"


def test_p384_is_taken() -> None:
    assert examine(csr(ec.generate_private_key(ec.SECP384R1()), METER, hashes.SHA384())).key_type == "P-384"


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("rsa", "-pkeyopt", "rsa_keygen_bits:1024"), "weak-key"),
        (("rsa", "-pkeyopt", "rsa_keygen_bits:2048", "-pkeyopt", "rsa_keygen_pubexp:3"), "weak-key"),
        (("rsa", "-pkeyopt", "rsa_keygen_bits:2048", "-pkeyopt", "rsa_keygen_pubexp:4294967297"), "weak-key"),
        (("ec", "-pkeyopt", "ec_paramgen_curve:prime192v1"), "weak-key"),
        (("ec", "-pkeyopt", "ec_paramgen_curve:secp224r1"), "weak-key"),
        (("ec", "-pkeyopt", "ec_paramgen_curve:secp521r1"), "key-type"),
        (("ec", "-pkeyopt", "ec_paramgen_curve:secp256k1"), "key-type"),
        (("ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-pkeyopt", "ec_param_enc:explicit"), "key-type"),
        (("ed25519",), "key-type"),
    ],
)
def test_weak_and_foreign_keys_are_refused(options: tuple[str, ...], code: str, tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    openssl("genpkey", "-algorithm", options[0], *options[1:], "-out", key)
    openssl("req", "-new", "-key", key, "-subj", "/CN=meter-1", "-outform", "der", "-out", tmp_path / "req.der")
    with pytest.raises(Unprocessable) as e:
        examine((tmp_path / "req.der").read_bytes())
    assert e.value.error_code == code
    assert "P-256" in e.value.remedy


def test_a_giant_key_is_refused_before_it_is_used() -> None:
    """An RSA key of 16,000 bits in a request of fewer than 16 KiB: checking its signature would cost time."""
    modulus = der.integer(2**16_000 - 1)
    key = der.sequence(
        der.sequence(der.oid("1.2.840.113549.1.1.1"), b"\x05\x00"),
        der.bits(der.sequence(modulus, der.integer(65_537))),
    )
    info = der.sequence(der.integer(0), der.sequence(), key, b"\xa0\x00")
    algorithm = der.sequence(der.oid("1.2.840.113549.1.1.11"), b"\x05\x00")
    with pytest.raises(Unprocessable, match="2048 to 4096"):
        examine(der.sequence(info, algorithm, der.bits(bytes(2_000))))


def test_a_modulus_with_a_small_factor_is_refused() -> None:
    key = rsa.RSAPublicNumbers(65537, 3 * (2**2047 + 1) | 1).public_key()
    with pytest.raises(Unprocessable, match="small factor"):
        publickey.family(key)


def test_ed25519_is_named_in_the_refusal() -> None:
    with pytest.raises(Unprocessable, match="Ed25519"):
        publickey.family(ed25519.Ed25519PrivateKey.generate().public_key())


def test_a_weak_hash_is_refused(tmp_path: Path) -> None:
    openssl("genpkey", "-algorithm", "rsa", "-pkeyopt", "rsa_keygen_bits:2048", "-out", tmp_path / "k")
    openssl("req", "-new", "-key", tmp_path / "k", "-sha1", "-subj", "/CN=meter-1", "-out", tmp_path / "r")
    with pytest.raises(Unprocessable, match="SHA-256"):
        examine((tmp_path / "r").read_bytes())


@pytest.mark.parametrize(
    "body",
    [b"\x30" + bytes(rules.MAX_DER_BYTES), base64.b64encode(bytes(rules.MAX_DER_BYTES + 1)), b" " * 30_000],
)
def test_oversize_is_refused(body: bytes) -> None:
    with pytest.raises(TooLarge):
        examine(body)


@pytest.mark.parametrize(
    "body", [b"", b"hello", b"\x30\x03\x02\x01\x05", DER + b"\0", DER[:-1], PEM[:-30], PEM + PEM, b"\xff" * 10]
)
def test_what_is_no_request_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        examine(body)


def mutations(data: bytes) -> st.SearchStrategy[bytes]:
    def mutate(edits: list[tuple[int, int]]) -> bytes:
        changed = bytearray(data)
        for place, value in edits:
            changed[place] = value
        return bytes(changed)

    edit = st.tuples(st.integers(0, len(data) - 1), st.integers(0, 255))
    return st.lists(edit, min_size=1, max_size=6).map(mutate)


@settings(max_examples=500)
@given(st.one_of(st.binary(max_size=300), mutations(DER), mutations(PEM), st.binary().map(lambda b: b"\x30" + b)))
@example(b"-----BEGIN CERTIFICATE REQUEST-----\n-----END CERTIFICATE REQUEST-----")
def test_any_bytes_give_a_request_or_a_refusal(body: bytes) -> None:
    try:
        found = examine(body)
    except Refused:
        return
    assert found.public_key == KEY.public_key()
