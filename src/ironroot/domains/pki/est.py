"""What EST puts on the wire (RFC 7030, clarified by RFC 8951): certs-only CMS in base64, CSR attributes, Basic.

Bytes in, values out; knows nothing of HTTP beyond a header's text. What is sent is strict (76 characters, CRLF), what
is taken is tolerant (csr.py). Invariant: any header gives a value or a Refused.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from ironroot.core.errors import Malformed, Unauthenticated
from ironroot.core.secret import Secret
from ironroot.domains.pki import der

MAX_AUTHORIZATION_BYTES = 512
_REMEDY = "send HTTP Basic authentication: the device id as user, its claim as password"

CSR_ATTRIBUTES = der.sequence(
    der.sequence(der.oid("1.2.840.10045.2.1"), der.set_of(der.oid("1.2.840.10045.3.1.7"))),
    der.oid("1.2.840.10045.4.3.2"),
)
"""An ecPublicKey on P-256, and a request signed with ecdsa-with-SHA256 (RFC 8951 section 3.4's CsrAttrs)."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who a Basic header says it is."""

    user: str
    password: Secret


def certs_only(certificates: Sequence[x509.Certificate]) -> bytes:
    """A degenerate SignedData (RFC 5652, RFC 7030 section 4.1.3) with these certificates, DER."""
    return pkcs7.serialize_certificates(list(certificates), Encoding.DER)


def encode(content: bytes) -> bytes:
    """Base64 in lines of 76 characters that end with CRLF."""
    text = b64encode(content)
    return b"".join(text[i : i + 76] + b"\r\n" for i in range(0, len(text), 76))


def credentials(authorization: str | None) -> Credentials:
    """Device id and claim from an Authorization header (RFC 7617). Raises Unauthenticated, Malformed."""
    if authorization is None:
        raise Unauthenticated("enrolment needs a claim", remedy=_REMEDY, code="claim")
    if len(authorization) > MAX_AUTHORIZATION_BYTES:
        raise Malformed("Authorization header too long", remedy=_REMEDY)
    scheme, _, text = authorization.partition(" ")
    if scheme.lower() != "basic":
        raise Unauthenticated("only Basic authentication here", remedy=_REMEDY, code="claim")
    try:
        user, colon, password = b64decode(text.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError) as e:
        raise Malformed("not Basic credentials", remedy=_REMEDY) from e
    if not colon or not (user + password).isprintable():
        raise Malformed("not Basic credentials", remedy=_REMEDY)
    return Credentials(user, Secret(password))
