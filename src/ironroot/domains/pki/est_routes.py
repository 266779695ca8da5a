"""EST over HTTP (RFC 7030, RFC 8951): cacerts, csrattrs, simpleenroll with a claim, simplereenroll with a certificate.

Plain Starlette, no framework's body handling: bodies are counted as they come and refused past 24 KiB. Answers of
refusals are text, as RFC 7030 section 4.2.3 has it, one line what and one line what to do. Whose connection it is comes
from `peer`, never from a header read here. Enrolment answers at once or not at all: 202 is not used.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable

import structlog
from cryptography import x509
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ironroot.core.errors import IronrootError, Refused, TooLarge, TooMany, Unauthenticated
from ironroot.core.ids import Fingerprint
from ironroot.domains.pki import est
from ironroot.domains.pki.csr import MAX_BODY_BYTES
from ironroot.domains.pki.service import Authority
from ironroot.edge.problems import status_of

log = structlog.get_logger()

Peer = Callable[[Request], Fingerprint | None]
"""The certificate whose key the client proved to hold in TLS."""
Source = Callable[[Request], str]
"""The client's address."""
Handler = Callable[[Request], Awaitable[Response]]

_PATH = "/.well-known/est"
_CERTS = "application/pkcs7-mime; smime-type=certs-only"
_CHALLENGE = 'Basic realm="Ironroot enrolment", charset="UTF-8"'


def est_routes(authority: Authority, *, peer: Peer, source: Source) -> list[Route]:
    """The four routes, at the paths RFC 7030 gives them.

    `cacerts`, `csrattrs` and `simpleenroll` are for anybody: the first two are public, the third asks for a claim.
    """

    async def cacerts(_: Request) -> Response:
        return _encoded(est.certs_only(authority.bundle()), "application/pkcs7-mime")

    async def csrattrs(_: Request) -> Response:
        return _encoded(est.CSR_ATTRIBUTES, "application/csrattrs")

    async def simpleenroll(request: Request) -> Response:
        given = est.credentials(request.headers.get("authorization"))
        body = await bounded(request)
        claim = given.password.reveal().decode()
        return _certificate(await authority.enrol(given.user, claim, body, source(request)))

    async def simplereenroll(request: Request) -> Response:
        fingerprint = peer(request)
        body = await bounded(request)
        return _certificate(await authority.reenrol(fingerprint, body, source(request)))

    return [
        Route(f"{_PATH}/cacerts", _answering(cacerts), methods=["GET"]),
        Route(f"{_PATH}/csrattrs", _answering(csrattrs), methods=["GET"]),
        Route(f"{_PATH}/simpleenroll", _answering(simpleenroll, challenge=True), methods=["POST"]),
        Route(f"{_PATH}/simplereenroll", _answering(simplereenroll), methods=["POST"]),
    ]


async def bounded(request: Request, limit: int = MAX_BODY_BYTES) -> bytes:
    """The body, counted as it comes, so that one without a length is bounded too. Raises TooLarge."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:12]) > limit:
        raise TooLarge(f"a request has at most {limit} bytes", remedy="send the certification request alone")
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > limit:
            raise TooLarge(f"a request has at most {limit} bytes", remedy="send the certification request alone")
    return bytes(body)


def _encoded(content: bytes, media_type: str) -> Response:
    headers = {"Content-Transfer-Encoding": "base64", "Cache-Control": "no-store"}
    return Response(est.encode(content), 200, headers, media_type)


def _certificate(der: bytes) -> Response:
    return _encoded(est.certs_only([x509.load_der_x509_certificate(der)]), _CERTS)


def _answering(handler: Handler, *, challenge: bool = False) -> Handler:
    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except IronrootError as error:
            return _refusal(error, challenge=challenge)
        except ClientDisconnect:
            return PlainTextResponse("the request ended early\n", 400)

    return answer


def _refusal(error: IronrootError, *, challenge: bool) -> Response:
    status = status_of(error)
    headers = {"Cache-Control": "no-store"}
    if isinstance(error, TooMany):
        headers["Retry-After"] = str(math.ceil(error.retry_after_s))
    if isinstance(error, Unauthenticated) and challenge:
        headers["WWW-Authenticate"] = _CHALLENGE
    if isinstance(error, TooLarge):
        headers["Connection"] = "close"
    if not isinstance(error, Refused):
        log.error("fault", code=error.error_code, message=error.message, exc_info=error)
        return PlainTextResponse("an error of the platform's own; try again later\n", max(status, 500), headers)
    return PlainTextResponse(f"{error.message}\n{error.remedy}\n".rstrip("\n") + "\n", status, headers)
