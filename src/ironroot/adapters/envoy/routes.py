"""What each HTTP door serves, and what it answers by itself.

The routes are defence in depth: the application decides on identity and trust for every request again. Deny by
default: the last route of every table refuses.
"""

from __future__ import annotations

from typing import Any

from ironroot.adapters.envoy.logs import TYPE
from ironroot.adapters.envoy.settings import DOOR_HEADER, Door, Limits

_BUFFER = TYPE + "extensions.filters.http.buffer.v3.BufferPerRoute"

# Only before the first byte reached the application: a request is never done twice. Three times, because after a
# restart of the application several pooled connections may be stale.
_RETRY = {"retry_on": "connect-failure,reset-before-request", "num_retries": 3}

OPEN_DEVICE_PATHS = (
    "/.well-known/est/cacerts",
    "/.well-known/est/csrattrs",
    "/.well-known/est/simpleenroll",
    "/healthz",
)
"""Served at the device door without a client certificate; CMP beside them protects its messages itself (RFC 9810)."""

CONSOLE_ONLY = ("/api/v1", "/api/openapi.json", "/readyz", "/sign-in")
DEVICES_ONLY = ("/.well-known/est", "/.well-known/cmp", "/device")

CERTIFICATE_REQUIRED = "client certificate required"
WRONG_DOOR = "this path is not served at this port"


def console(limits: Limits) -> list[dict[str, Any]]:
    """The console and its API: no client certificates; event stream and export run as long as they like."""
    return [
        *(_answer({"path_separated_prefix": path}, 404, WRONG_DOOR) for path in DEVICES_ONLY),
        _forward({"path": "/api/v1/stream"}, limits, cluster="streams", timeout_s=0, idle_s=0),
        _forward({"path": "/api/v1/facts/export"}, limits, cluster="streams", timeout_s=0),
        _forward({"path_separated_prefix": "/api"}, limits, body_bytes=limits.api_body_bytes),
        _forward({"prefix": "/"}, limits),
    ]


def devices(limits: Limits) -> list[dict[str, Any]]:
    """The devices' port: TLS makes the certificate optional, the route demands it.

    `presented`, not `validated`: a certificate that does not verify never gets past the handshake, and `validated`
    is false on resumed sessions.
    """
    return [
        *(_forward({"path": path}, limits) for path in OPEN_DEVICE_PATHS),
        _forward({"path_separated_prefix": "/.well-known/cmp"}, limits),
        *(_answer({"path_separated_prefix": path}, 403, WRONG_DOOR) for path in CONSOLE_ONLY),
        _forward({"prefix": "/", "tls_context": {"presented": True}}, limits),
        _answer({"prefix": "/"}, 403, CERTIFICATE_REQUIRED),
    ]


def plain(limits: Limits) -> list[dict[str, Any]]:
    """Plain HTTP: objects that are signed themselves (RFC 5280 section 8), read only."""
    read = {"headers": [{"name": ":method", "string_match": {"safe_regex": {"regex": "GET|HEAD"}}}]}
    return [
        _forward({"prefix": "/crl/", **read}, limits),
        _forward({"prefix": "/ca/", **read}, limits),
        _forward({"path": "/healthz", **read}, limits),
        _answer({"prefix": "/"}, 404, WRONG_DOOR),
    ]


TABLES = {"console": console, "devices": devices, "plain": plain}


def virtual_host(door: Door, limits: Limits) -> dict[str, Any]:
    """The route table of a door; every request is marked with the door it came through."""
    return {
        "name": door,
        "domains": ["*"],
        "routes": TABLES[door](limits),
        "request_headers_to_add": [
            {"header": {"key": DOOR_HEADER, "value": door}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
        ],
    }


def _forward(
    match: dict[str, Any],
    limits: Limits,
    *,
    cluster: str = "app",
    timeout_s: float | None = None,
    idle_s: float | None = None,
    body_bytes: int | None = None,
) -> dict[str, Any]:
    timeout = limits.response_timeout_s if timeout_s is None else timeout_s
    idle = limits.idle_timeout_s if idle_s is None else idle_s
    size = limits.body_bytes if body_bytes is None else body_bytes
    return {
        "match": match,
        "route": {"cluster": cluster, "timeout": f"{timeout}s", "idle_timeout": f"{idle}s", "retry_policy": _RETRY},
        "typed_per_filter_config": {"buffer": {"@type": _BUFFER, "buffer": {"max_request_bytes": size}}},
    }


def _answer(match: dict[str, Any], status: int, text: str) -> dict[str, Any]:
    """Refuse here; `replies` makes the text a problem document."""
    return {"match": match, "direct_response": {"status": status, "body": {"inline_string": text}}}
