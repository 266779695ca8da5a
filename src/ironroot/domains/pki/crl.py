"""Certificate revocation lists (RFC 5280 section 5), encoded here because the library copies its whole list per entry.

A list of n entries costs about 3 microseconds an entry: 100,000 in a third of a second, in a thread. Who is on it:
every revoked certificate of the CA, until one whole list period after it expired (section 3.3: an entry stays until it
has been on a list issued after the certificate's end).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

from ironroot.domains.pki import der
from ironroot.domains.pki.model import REASON_CODE, Reason

_ECDSA_SHA256 = der.sequence(der.oid("1.2.840.10045.4.3.2"))
_AUTHORITY_KEY = der.oid("2.5.29.35")
_CRL_NUMBER = der.oid("2.5.29.20")
_REASON_CODE = der.oid("2.5.29.21")
_REASONS: dict[Reason, bytes] = {
    reason: der.sequence(der.sequence(_REASON_CODE, der.octets(der.enumerated(code))))
    for reason, code in REASON_CODE.items()
    if reason is not Reason.UNSPECIFIED  # section 5.3.1: absent rather than unspecified
}


@dataclass(frozen=True, slots=True)
class Revoked:
    """An entry."""

    serial: int
    at: datetime
    reason: Reason


def build(
    issuer: x509.Certificate,
    key: EllipticCurvePrivateKey,
    entries: Iterable[Revoked],
    *,
    number: int,
    this_update: datetime,
    next_update: datetime,
) -> bytes:
    """The signed list in DER. `number` grows with every list of a CA (section 5.2.3)."""
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    revoked = [
        der.sequence(der.integer(entry.serial), der.time(entry.at), _REASONS.get(entry.reason, b""))
        for entry in entries
    ]
    extensions = der.sequence(
        der.sequence(_AUTHORITY_KEY, der.octets(der.sequence(der.tagged(0x80, identifier)))),
        der.sequence(_CRL_NUMBER, der.octets(der.integer(number))),
    )
    tbs = der.sequence(
        der.integer(1),
        _ECDSA_SHA256,
        issuer.subject.public_bytes(),
        der.time(this_update),
        der.time(next_update),
        der.sequence(*revoked) if revoked else b"",  # section 5.1.2.6: absent when empty
        der.tagged(0xA0, extensions),
    )
    return der.sequence(tbs, _ECDSA_SHA256, der.bits(key.sign(tbs, ECDSA(SHA256()))))


def refresh_at(this_update: datetime, next_update: datetime) -> datetime:
    """When to make the next list though nothing changed: at half of its life."""
    return this_update + (next_update - this_update) / 2


def kept_from(now: datetime, lifetime: timedelta) -> datetime:
    """Certificates that ended before this instant are on the list no more."""
    return now - lifetime
