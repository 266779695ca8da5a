"""The applications of the device door and of plain HTTP.

Every request at the device door beyond the enrolment routes is admitted anew: certificate known, not revoked, not
expired, and the device's trust permits it. An answer in flight ends when its device's trust changes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from ironroot.core.clock import Clock, rfc3339
from ironroot.core.errors import IronrootError, Malformed, TooLarge, Unauthenticated
from ironroot.core.ids import DeviceId, Fingerprint
from ironroot.edge.peer import client_certificate
from ironroot.edge.responses import on_bug, on_http_error, on_ironroot_error
from ironroot.trust.admission import Admission, Admitted
from ironroot.trust.model import Capability
from ironroot.trust.rules import REMEDY

MAX_HELLO_BYTES = 4096


class Hello(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a device says of itself first."""

    capability: int
    agent: str = ""


class ConfigVersions(Protocol):
    """Tells which configuration a device shall have."""

    async def config_version(self, device: DeviceId) -> int:
        """The desired version, 0 for none."""
        ...


def peer_fingerprint(request: Request) -> Fingerprint | None:
    """The fingerprint of the client's certificate, None without one."""
    certificate = client_certificate(request.headers)
    return certificate.fingerprint if certificate is not None else None


async def body(request: Request, limit: int) -> bytes:
    """The request's body, at most `limit` bytes. Raises TooLarge."""
    data = bytearray()
    async for part in request.stream():
        data += part
        if len(data) > limit:
            raise TooLarge(f"body over {limit} bytes")
    return bytes(data)


def devices_app(
    admission: Admission, configs: ConfigVersions, clock: Clock, enrolment: Sequence[BaseRoute]
) -> Starlette:
    """The device door: enrolment, hello, status."""

    async def admit(request: Request) -> Admitted:
        fingerprint = peer_fingerprint(request)
        if fingerprint is None:
            raise Unauthenticated("client certificate required", remedy="enrol first", code="client-certificate")
        return await admission.by_fingerprint(fingerprint)

    def admitted(
        capability: Capability,
        answer: Callable[[Request, Admitted], Awaitable[Response]],
    ) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            device = await admit(request)
            device.require(capability)
            return await answer(request, device)

        return endpoint

    async def status(_: Request, device: Admitted) -> Response:
        return JSONResponse({"device": device.device, "trust": _trust(device)})

    async def hello(request: Request, device: Admitted) -> Response:
        try:
            msgspec.json.decode(await body(request, MAX_HELLO_BYTES), type=Hello)
        except msgspec.DecodeError as e:
            raise Malformed("not a hello", remedy='send {"capability": 1, "agent": "NAME VERSION"}') from e
        return JSONResponse(
            {
                "device": device.device,
                "trust": _trust(device),
                "server_time": rfc3339(clock.now()),
                "config_version": await configs.config_version(device.device),
            },
        )

    async def unknown(request: Request) -> Response:
        (await admit(request)).require(Capability.STATUS)
        raise HTTPException(404, "no such resource at the device door")

    return Starlette(
        routes=[
            Route("/healthz", _healthy),
            *enrolment,
            Route("/device/v1/status", admitted(Capability.STATUS, status)),
            Route("/device/v1/hello", admitted(Capability.STATUS, hello), methods=["POST"]),
            Route("/{path:path}", unknown, methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]),
        ],
        exception_handlers=HANDLERS,
    )


def plain_app(routes: Sequence[BaseRoute]) -> Starlette:
    """Plain HTTP: signed objects alone (RFC 5280)."""
    return Starlette(routes=[Route("/healthz", _healthy), *routes], exception_handlers=HANDLERS)


HANDLERS: dict[Any, Any] = {IronrootError: on_ironroot_error, HTTPException: on_http_error, Exception: on_bug}


def _trust(device: Admitted) -> dict[str, Any]:
    decision = device.decision
    return {
        "state": decision.state,
        "reasons": [r.text for r in decision.reasons],
        "remedy": REMEDY[decision.state],
    }


async def _healthy(_: Request) -> Response:
    return PlainTextResponse("ok\n")
