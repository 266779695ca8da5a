"""Errors as problem documents (RFC 9457): what they say. `responses` puts them on the wire.

A refusal says what was wrong and what to do. A fault of ours says that it is ours and nothing about our inside.
"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from ironroot.core import errors

MEDIA_TYPE = "application/problem+json"

STATUS: Sequence[tuple[type[errors.IronrootError], int]] = (
    (errors.Malformed, 400),
    (errors.Unauthenticated, 401),
    (errors.Forbidden, 403),
    (errors.NotFound, 404),
    (errors.Conflict, 409),
    (errors.TooLarge, 413),
    (errors.Unprocessable, 422),
    (errors.TooMany, 429),
    (errors.Refused, 400),
    (errors.Unavailable, 503),
)


def problem(status: int, code: str, detail: str, remedy: str = "", **extra: Any) -> dict[str, Any]:
    """The document's members."""
    document = {
        "type": f"urn:ironroot:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    return document | ({"remedy": remedy} if remedy else {}) | extra


def status_of(error: errors.IronrootError) -> int:
    """The HTTP status of an error."""
    return next((status for kind, status in STATUS if isinstance(error, kind)), 500)
