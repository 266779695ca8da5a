"""The whole configuration of the front door: one bootstrap for laptop and production, and its secret resources.

Pure but for `write`. Key material is not in it: the resources name files behind the link `live` (publish.py).
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ironroot.adapters.envoy.listeners import extension, listener
from ironroot.adapters.envoy.logs import TYPE
from ironroot.adapters.envoy.settings import DoorSettings

_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"

# Less than the application keeps an idle connection (75 s), so a request never meets a closing one.
_UPSTREAM_IDLE = "30s"


def bootstrap(settings: DoorSettings) -> dict[str, Any]:
    """Envoy's bootstrap configuration as a JSON value."""
    limits = settings.limits
    return {
        "node": {"id": "ironroot", "cluster": "ironroot"},
        "admin": {"address": {"pipe": {"path": str(settings.admin_socket), "mode": 0o600}}},
        "static_resources": {
            "listeners": [
                listener("console", settings.console_port, settings),
                listener("devices", settings.devices_port, settings),
                listener("plain", settings.plain_port, settings),
            ],
            # Open event streams count as requests for the breaker: in a cluster of their own they starve nobody.
            "clusters": [_cluster("app", settings.api_socket), _cluster("streams", settings.api_socket)],
        },
        "overload_manager": _overload(limits.heap_bytes, 3 * limits.connections),
        "layered_runtime": {
            "layers": [
                {
                    "name": "fixed",
                    "static_layer": {  # HTTP/2 rapid reset
                        "overload.premature_reset_total_stream_count": 200,
                        "overload.premature_reset_min_stream_lifetime_seconds": 1,
                    },
                }
            ]
        },
        "stats_config": {"stats_matcher": {"inclusion_list": {"patterns": [{"prefix": name} for name in _STATS]}}},
    }


_STATS = (
    "cluster.app.",
    "cluster.streams.",
    "connection_limit.",
    "http.",
    "listener.",
    "listener_manager.",
    "overload.",
    "sds.",
    "server.",
)


def secrets(settings: DoorSettings) -> dict[str, dict[str, Any]]:
    """The secret resources by name: two key pairs and the bundle that devices are verified against."""
    live = settings.tls_directory / "live"
    watched = {"watched_directory": {"path": str(settings.tls_directory)}}
    pairs: dict[str, dict[str, Any]] = {
        door: {
            "tls_certificate": {
                "certificate_chain": {"filename": str(live / f"{door}.pem")},
                "private_key": {"filename": str(live / f"{door}.key")},
                **watched,
            }
        }
        for door in ("console", "devices")
    }
    authorities = {"validation_context": {"trusted_ca": {"filename": str(live / "device_ca.pem")}, **watched}}
    return {
        name: {
            "resources": [{"@type": TYPE + "extensions.transport_sockets.tls.v3.Secret", "name": name, **body}],
        }
        for name, body in {**pairs, "device_ca": authorities}.items()
    }


def write(settings: DoorSettings) -> None:
    """Write the bootstrap and the secret resources, readable by this user alone. Raises OSError.

    Written beside and renamed, so that an Envoy starting meanwhile reads the old or the new file, never half of one.
    """
    for directory in (settings.runtime, settings.sds_directory, settings.tls_directory, settings.logs):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, resource in secrets(settings).items():
        _write(settings.sds_directory / f"{name}.json", resource)
    _write(settings.config_file, bootstrap(settings))


def _write(path: Path, value: object) -> None:
    beside = path.with_name(f".{path.name}.new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(value, file, indent=1)
    beside.replace(path)


def _cluster(name: str, socket: Path) -> dict[str, Any]:
    endpoint = {"endpoint": {"address": {"pipe": {"path": str(socket)}}}}
    breaker = {"max_connections": 1_024, "max_pending_requests": 512, "max_requests": 4_096, "max_retries": 16}
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "per_connection_buffer_limit_bytes": 65_536,
        "circuit_breakers": {"thresholds": [{**breaker, "track_remaining": True}]},
        "typed_extension_protocol_options": {
            _HTTP_OPTIONS: {
                "@type": f"type.googleapis.com/{_HTTP_OPTIONS}",
                "common_http_protocol_options": {"idle_timeout": _UPSTREAM_IDLE},
                "explicit_http_config": {"http_protocol_options": {}},
            }
        },
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


def _overload(heap_bytes: int, connections: int) -> dict[str, Any]:
    heap = "envoy.resource_monitors.fixed_heap"

    def action(name: str, threshold: float) -> dict[str, Any]:
        return {
            "name": f"envoy.overload_actions.{name}",
            "triggers": [{"name": heap, "threshold": {"value": threshold}}],
        }

    shorter = TYPE + "config.overload.v3.ScaleTimersOverloadActionConfig"
    timers = ("HTTP_DOWNSTREAM_CONNECTION_IDLE", "HTTP_DOWNSTREAM_STREAM_IDLE")
    return {
        "refresh_interval": "0.25s",
        "resource_monitors": [
            extension(
                heap, "extensions.resource_monitors.fixed_heap.v3.FixedHeapConfig", max_heap_size_bytes=heap_bytes
            ),
            extension(
                "envoy.resource_monitors.global_downstream_max_connections",
                "extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
                max_active_downstream_connections=connections,
            ),
        ],
        "actions": [
            action("shrink_heap", 0.85),
            action("disable_http_keepalive", 0.90),
            action("stop_accepting_requests", 0.95),
            action("stop_accepting_connections", 0.97),
            {
                "name": "envoy.overload_actions.reduce_timeouts",
                "triggers": [{"name": heap, "scaled": {"scaling_threshold": 0.80, "saturation_threshold": 0.92}}],
                "typed_config": {
                    "@type": shorter,
                    "timer_scale_factors": [{"timer": timer, "min_timeout": "2s"} for timer in timers],
                },
            },
        ],
    }
