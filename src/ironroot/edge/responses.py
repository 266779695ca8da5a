"""Answers for errors: made here and nowhere else.

A refusal is answered with what was wrong and what to do; a fault of ours with a bare document, while our log has the
rest.
"""

from __future__ import annotations

import math
from http import HTTPStatus
from typing import Any

import structlog
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ironroot.core import errors
from ironroot.edge.problems import MEDIA_TYPE, problem, status_of

log = structlog.get_logger()


def response(error: errors.IronrootError) -> Response:
    """The response an error becomes."""
    status = status_of(error)
    headers = {}
    if isinstance(error, errors.TooMany):
        headers["Retry-After"] = str(math.ceil(error.retry_after_s))
    if isinstance(error, errors.Unauthenticated):
        headers["WWW-Authenticate"] = 'Bearer realm="ironroot"'
    if status >= 500:
        log.error("fault", code=error.error_code, message=error.message, exc_info=error)
        detail = error.message if isinstance(error, errors.Unavailable) else "an error of the platform's own"
        return document(problem(status, error.error_code, detail, error.remedy), headers)
    return document(problem(status, error.error_code, error.message, error.remedy), headers)


def document(content: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    """A problem document as a response."""
    return JSONResponse(content, content["status"], headers, MEDIA_TYPE)


async def on_ironroot_error(_: Request, error: Exception) -> Response:
    """Handler for our own errors."""
    assert isinstance(error, errors.IronrootError)  # noqa: S101 (registered for that type alone)
    return response(error)


async def on_http_error(_: Request, error: Exception) -> Response:
    """Handler for the framework's: unknown route, wrong method."""
    assert isinstance(error, HTTPException)  # noqa: S101 (registered for that type alone)
    code = HTTPStatus(error.status_code).name.lower().replace("_", "-")
    return document(problem(error.status_code, code, error.detail), dict(error.headers or {}))


async def on_validation_error(_: Request, error: Exception) -> Response:
    """Handler for bodies and parameters of the wrong shape: names each place, echoes no value."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 (registered for that type alone)
    places = [{"where": ".".join(str(part) for part in e["loc"]), "what": e["msg"]} for e in error.errors()[:20]]
    detail = "; ".join(f"{p['where']}: {p['what']}" for p in places[:3])
    return document(problem(422, "invalid", detail, "see the API's description at /api/openapi.json", errors=places))


async def on_bug(_: Request, error: Exception) -> Response:
    """Handler for everything nobody foresaw."""
    log.error("bug", exc_info=error)
    return document(problem(500, "fault", "an error of the platform's own", "the platform's log has the details"))
