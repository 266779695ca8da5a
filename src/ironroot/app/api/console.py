"""The application of the console's door: API under `/api/v1`, the console's page, health.

The same routes answer on the host's own socket, as the host's administrator.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from ironroot import __version__
from ironroot.app.api import static
from ironroot.core.errors import IronrootError
from ironroot.edge.problems import problem
from ironroot.edge.responses import document, on_bug, on_http_error, on_ironroot_error, on_validation_error

PREFIX = "/api/v1"


def console_app(routers: Sequence[APIRouter], ready: Callable[[], Awaitable[bool]]) -> FastAPI:
    """The application, without authentication around it."""
    app = FastAPI(
        title="Ironroot",
        version=__version__,
        summary="Identity, trust and evidence for fleets of connected devices",
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    handlers: dict[Any, Any] = {
        IronrootError: on_ironroot_error,
        HTTPException: on_http_error,
        RequestValidationError: on_validation_error,
        Exception: on_bug,
    }
    for error, handler in handlers.items():
        app.add_exception_handler(error, handler)
    for router in routers:
        app.include_router(router, prefix=PREFIX)

    async def healthy(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readiness(_: Request) -> Response:
        is_ready = await ready()
        return JSONResponse({"ready": is_ready}, 200 if is_ready else 503)

    async def nothing(request: Request) -> Response:
        return document(problem(404, "not-found", f"no such resource: {request.url.path[:200]}"))

    app.router.routes.extend(
        [
            Route("/healthz", healthy),
            Route("/readyz", readiness),
            Route("/api/{path:path}", nothing, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
            *static.routes(),
        ],
    )
    return app
