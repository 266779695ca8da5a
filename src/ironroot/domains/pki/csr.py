"""What a certification request (PKCS#10, RFC 2986) proves: that its sender holds a sound private key. Nothing else.

Subject, extensions and attributes are the requester's wishes and are not copied; a common name that names another
device is refused, because its sender believes something that is not so. Takes DER, PEM, or base64 with or without
line ends, as EST clients send them (RFC 8951 section 3). Invariant: any bytes give a value or a Refused.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509.oid import NameOID

from ironroot.core.errors import Malformed, TooLarge, Unprocessable
from ironroot.core.ids import DeviceId
from ironroot.domains.pki import publickey
from ironroot.domains.pki.publickey import Family

MAX_DER_BYTES = 16 * 1024
MAX_BODY_BYTES = 24 * 1024
"""The same in base64, with line ends and PEM's frame."""

_PEM = re.compile(
    rb"-----BEGIN (NEW )?CERTIFICATE REQUEST-----[ \t]*\r?\n([A-Za-z0-9+/=\s]+)-----END (NEW )?CERTIFICATE REQUEST-----"
)
_SPACE = re.compile(rb"\s+")
_HASHES = frozenset({"sha256", "sha384", "sha512"})
_REMEDY = "send a PKCS#10 request: openssl req -new -key device.key -subj /CN=DEVICE -outform der | base64"


@dataclass(frozen=True, slots=True)
class Request:
    """A public key whose private half the requester holds; `spki` is the SHA-256 of it, `key_type` like `P-256`."""

    public_key: EllipticCurvePublicKey | RSAPublicKey
    spki: str
    key_type: str


def examine(body: bytes, device: DeviceId, allowed: frozenset[Family]) -> Request:
    """The key to certify for `device`.

    Raises TooLarge past 24 KiB of body or 16 KiB of DER, Malformed for bytes that are no request, Unprocessable for
    an unfit key, a wrong signature or another device's name.
    """
    request = _parse(decode(body))
    try:
        key = request.public_key()
    except (ValueError, UnsupportedAlgorithm, TypeError) as e:
        raise Unprocessable("the public key cannot be read", remedy=publickey.REMEDY, code="key-type") from e
    key_type = publickey.allow(key, allowed)
    if not isinstance(key, EllipticCurvePublicKey | RSAPublicKey):
        raise Unprocessable("the public key is of an unknown type", remedy=publickey.REMEDY, code="key-type")
    # RFC 5480 section 2.1.1 forbids explicit curve parameters, which the library takes when they describe a named
    # curve: one key must have one spelling, or copies of it would not be known as such elsewhere.
    if publickey.spki(key) not in request.tbs_certrequest_bytes:
        raise Unprocessable(
            "the public key is not in its usual form (a named curve, an uncompressed point)",
            remedy=publickey.REMEDY,
            code="key-type",
        )
    _possession(request)
    _name(request, device)
    return Request(key, publickey.spki_hash(key), key_type)


def decode(body: bytes) -> bytes:
    """The DER in a request body. Raises TooLarge, Malformed."""
    if len(body) > MAX_BODY_BYTES:
        raise TooLarge(f"a certification request has at most {MAX_DER_BYTES} bytes", remedy=_REMEDY)
    text = body.strip()
    if text.startswith(b"\x30"):
        der = body if body.startswith(b"\x30") else text
    else:
        framed = _PEM.fullmatch(text)
        try:
            der = b64decode(_SPACE.sub(b"", framed[2] if framed else text), validate=True)
        except binascii.Error as e:
            raise Malformed("neither DER nor PEM nor base64", remedy=_REMEDY, code="csr") from e
    if len(der) > MAX_DER_BYTES:
        raise TooLarge(f"a certification request has at most {MAX_DER_BYTES} bytes", remedy=_REMEDY)
    return der


def _parse(der: bytes) -> x509.CertificateSigningRequest:
    try:
        return x509.load_der_x509_csr(der)
    except (ValueError, TypeError, x509.InvalidVersion) as e:
        raise Malformed("not a certification request", remedy=_REMEDY, code="csr") from e


def _possession(request: x509.CertificateSigningRequest) -> None:
    try:
        algorithm = request.signature_hash_algorithm
        if algorithm is None or algorithm.name not in _HASHES:
            raise Unprocessable("sign the request with SHA-256, SHA-384 or SHA-512", remedy=_REMEDY, code="csr-hash")
        valid = request.is_signature_valid
    except (ValueError, UnsupportedAlgorithm, TypeError) as e:
        raise Unprocessable("the request's signature algorithm is not known", remedy=_REMEDY, code="csr-hash") from e
    if not valid:
        raise Unprocessable(
            "the request is not signed by the key it carries", remedy=_REMEDY, code="proof-of-possession"
        )


def _name(request: x509.CertificateSigningRequest, device: DeviceId) -> None:
    try:
        names = request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except (ValueError, TypeError) as e:
        raise Malformed("the request's subject cannot be read", remedy=_REMEDY, code="csr") from e
    if any(name.value != device for name in names):
        raise Unprocessable(
            "the request names another device",
            remedy=f"set its subject to CN={device}, or leave it empty",
            code="csr-name",
        )
