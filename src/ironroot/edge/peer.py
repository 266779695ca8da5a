"""Who is at the other end of a request that came through the front door: certificate and address.

Envoy writes exactly one `x-forwarded-client-cert` whose first field is `Hash` (SHA-256 of the certificate's DER)
and removes every copy a client sends. Anything else than exactly one element is therefore refused, not guessed at.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from starlette.datastructures import Headers

from ironroot.core.errors import Malformed
from ironroot.core.ids import Fingerprint

_HASH = re.compile(r"Hash=([0-9a-f]{64})(?:;|$)")
_CERT = re.compile(r';Cert="([^"]*)"')
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
CERTIFICATE_HEADER = "x-forwarded-client-cert"
ADDRESS_HEADER = "x-envoy-external-address"


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """The certificate a client proved possession of in TLS."""

    fingerprint: Fingerprint
    pem: str | None = None


def client_certificate(headers: Headers) -> ClientCertificate | None:
    """The client's certificate, None without one. Raises Malformed for a header the front door would not write."""
    values = headers.getlist(CERTIFICATE_HEADER)
    if not values:
        return None
    found = _HASH.match(values[0])
    if len(values) != 1 or found is None or "," in _QUOTED.sub("", values[0]):
        raise Malformed("client certificate header not written by the front door")
    certificate = _CERT.search(values[0])
    return ClientCertificate(Fingerprint(found[1]), unquote(certificate[1]) if certificate else None)


def address(headers: Headers) -> str:
    """The client's address as the front door saw it; `unknown` without one."""
    return headers.get(ADDRESS_HEADER, "unknown")[:64]
