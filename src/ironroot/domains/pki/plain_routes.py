"""What anybody may fetch over plain HTTP: signed objects alone (RFC 5280 section 8, RFC 4387's media types).

No state changes here and no secret passes, so there is nothing for TLS to protect; an old list is noticed by its
dates. The addresses are written into every certificate.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.serialization import Encoding
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ironroot.core.errors import IronrootError, NotFound
from ironroot.domains.pki.service import Authority
from ironroot.edge.problems import status_of

_CRL_SECONDS = 60
_CA_SECONDS = 3600


def plain_routes(authority: Authority) -> list[Route]:
    """`GET /crl/NAME.crl` and `GET /ca/NAME.cer`, both DER."""

    async def crl(request: Request) -> Response:
        try:
            der = await authority.crl(request.path_params["name"])
        except IronrootError as error:
            return _refusal(error)
        return _cached(der, "application/pkix-crl", _CRL_SECONDS)

    async def ca(request: Request) -> Response:
        try:
            certificate = authority.ca(request.path_params["name"]).certificate
        except IronrootError as error:
            return _refusal(error)
        return _cached(certificate.public_bytes(Encoding.DER), "application/pkix-cert", _CA_SECONDS)

    return [Route("/crl/{name}.crl", crl, methods=["GET"]), Route("/ca/{name}.cer", ca, methods=["GET"])]


def _cached(content: bytes, media_type: str, seconds: int) -> Response:
    return Response(content, 200, {"Cache-Control": f"public, max-age={seconds}"}, media_type)


def _refusal(error: IronrootError) -> Response:
    return PlainTextResponse("no such CA\n" if isinstance(error, NotFound) else "not now\n", status_of(error))
