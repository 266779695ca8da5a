"""The front door's own refusals as problem documents (RFC 9457): nothing of Envoy's wording, nothing internal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class _Problem:
    code: str
    title: str
    detail: str
    remedy: str = ""


_OURS = "%LOCAL_REPLY_BODY%"  # the text of a route's own refusal, see routes.py

_PROBLEMS = {
    400: _Problem("malformed", "Bad request", "not well-formed HTTP, or its path or headers are not allowed here"),
    403: _Problem("forbidden", "Forbidden", _OURS, "present the device's certificate, or use the port that serves it"),
    404: _Problem("not-found", "Not found", _OURS),
    408: _Problem("timeout", "Request timed out", "the request did not arrive in time", "send it without pauses"),
    413: _Problem("too-large", "Too large", "the body is over this path's limit"),
    426: _Problem("http-version", "Upgrade required", "HTTP/1.0 is not served", "use HTTP/1.1 or HTTP/2"),
    431: _Problem("headers-too-large", "Headers too large", "too many header fields, or too long ones"),
    502: _Problem("unavailable", "Unavailable", "the platform broke off its answer", "try again"),
    503: _Problem("unavailable", "Unavailable", "the platform is starting or overloaded", "try again in a few seconds"),
    504: _Problem("unavailable", "Unavailable", "the platform did not answer in time", "try again in a few seconds"),
}

_HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


def local_reply_config() -> dict[str, Any]:
    """Envoy's `local_reply_config`: a problem document for every answer that is not the application's."""
    return {
        "mappers": [_mapper(status, problem) for status, problem in _PROBLEMS.items()],
        "body_format": _document(_Problem("refused", "Request refused", "the front door refused the request")),
    }


def _mapper(status: int, problem: _Problem) -> dict[str, Any]:
    headers = {**_HEADERS, **({"retry-after": "5"} if status == 503 else {})}
    return {
        "filter": {
            "status_code_filter": {
                "comparison": {"op": "EQ", "value": {"default_value": status, "runtime_key": f"reply.{status}"}}
            }
        },
        "body_format_override": _document(problem),
        "headers_to_add": [
            {"header": {"key": key, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
            for key, value in headers.items()
        ],
    }


def _document(problem: _Problem) -> dict[str, Any]:
    return {
        "content_type": "application/problem+json",
        "json_format": {
            "type": f"urn:ironroot:problem:{problem.code}",
            "title": problem.title,
            "status": "%RESPONSE_CODE%",
            "detail": problem.detail,
            "remedy": problem.remedy,
        },
    }
