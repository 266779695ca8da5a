"""The listeners: TLS 1.3 without resumption, one connection manager each, what a peer claims about itself removed.

Sessions are never resumed: a resumed session skips the verification of the certificate, so one that expired since
would be admitted. There is no CRL here: revocation is decided in the application on every request (an empty CRL
file would let everybody in, an expired one would lock the fleet out).
"""

from __future__ import annotations

from typing import Any

from ironroot.adapters.envoy import logs, replies, routes
from ironroot.adapters.envoy.logs import TYPE
from ironroot.adapters.envoy.settings import DOOR_HEADER, Door, DoorSettings

# Names under which proxies hand over identity, address, path or method. None of them may come from outside.
FORGEABLE = (
    DOOR_HEADER,
    "client-cert",
    "client-cert-chain",
    "forwarded",
    "proxy",
    "ssl-client-cert",
    "x-client-cert",
    "x-device",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-scheme",
    "x-http-method-override",
    "x-method-override",
    "x-original-method",
    "x-original-url",
    "x-real-ip",
    "x-remote-user",
    "x-rewrite-url",
    "x-ssl-client-cert",
    "x-ssl-client-verify",
)

CURVES = ("X25519MLKEM768", "X25519", "P-256", "P-384")


def extension(name: str, type_: str, **fields: Any) -> dict[str, Any]:
    """A named, typed piece of Envoy's configuration."""
    return {"name": name, "typed_config": {"@type": TYPE + type_, **fields}}


def listener(door: Door, port: int, settings: DoorSettings) -> dict[str, Any]:
    """One door: its address, TLS for all but the plain one, limits, filters and routes."""
    limits = settings.limits
    chain: dict[str, Any] = {
        "name": door,
        "transport_socket_connect_timeout": "5s",  # or a silent TCP connection stays for ever
        "filters": [
            extension(
                "connection_limit",
                "extensions.filters.network.connection_limit.v3.ConnectionLimit",
                stat_prefix=door,
                max_connections=limits.connections,
            ),
            _http(door, settings),
        ],
    }
    inspect: list[dict[str, Any]] = []
    if door != "plain":
        chain["transport_socket"] = extension(
            "tls", "extensions.transport_sockets.tls.v3.DownstreamTlsContext", **_tls(door, settings)
        )
        inspect = [
            extension(
                "tls_inspector",
                "extensions.filters.listener.tls_inspector.v3.TlsInspector",
                enable_ja3_fingerprinting=True,
                enable_ja4_fingerprinting=True,
            )
        ]
    return {
        "name": door,
        "stat_prefix": door,
        "address": {
            "socket_address": {
                "address": settings.listen,
                "port_value": port,
                **({"ipv4_compat": True} if settings.listen == "::" else {}),
            }
        },
        "per_connection_buffer_limit_bytes": 65_536,
        "listener_filters": inspect,
        "listener_filters_timeout": "5s",
        "continue_on_listener_filters_timeout": False,
        "access_log": [logs.connections(settings.connection_log)],
        "filter_chains": [chain],
    }


def sds(name: str, settings: DoorSettings) -> dict[str, Any]:
    """A reference to a secret that is read from a file and read again when the live version changes."""
    path = settings.sds_directory / f"{name}.json"
    return {
        "name": name,
        "sds_config": {"path_config_source": {"path": str(path)}, "resource_api_version": "V3"},
    }


def _tls(door: Door, settings: DoorSettings) -> dict[str, Any]:
    common: dict[str, Any] = {
        "alpn_protocols": ["h2", "http/1.1"],
        "tls_params": {
            "tls_minimum_protocol_version": "TLSv1_3",
            "tls_maximum_protocol_version": "TLSv1_3",
            "ecdh_curves": list(CURVES),
        },
        "tls_certificate_sds_secret_configs": [sds(door, settings)],
    }
    if door == "devices":  # the console never asks for a certificate: a browser would ask the person which one
        common["validation_context_sds_secret_config"] = sds("device_ca", settings)
    return {
        "common_tls_context": common,
        "require_client_certificate": False,
        "disable_stateless_session_resumption": True,
        "disable_stateful_session_resumption": True,
    }


def _http(door: Door, settings: DoorSettings) -> dict[str, Any]:
    limits = settings.limits
    identity: dict[str, Any] = {"forward_client_cert_details": "SANITIZE"}
    if door == "devices":
        # `Hash` comes first whatever the subject says, and is what identity is looked up by.
        identity = {
            "forward_client_cert_details": "SANITIZE_SET",
            "set_current_client_cert_details": {"subject": True, "cert": True},
        }
    return extension(
        "http",
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix=door,
        codec_type="AUTO",
        **identity,
        use_remote_address=True,
        xff_num_trusted_hops=0,
        # No peer counts as internal, so nobody's x-envoy-* headers are believed (192.0.2.0/24 is documentation).
        internal_address_config={
            "unix_sockets": False,
            "cidr_ranges": [{"address_prefix": "192.0.2.0", "prefix_len": 32}],
        },
        server_header_transformation="PASS_THROUGH",
        generate_request_id=True,
        preserve_external_request_id=False,
        always_set_request_id_in_response=True,
        normalize_path=True,
        merge_slashes=True,
        path_with_escaped_slashes_action="REJECT_REQUEST",
        request_headers_timeout=f"{limits.headers_timeout_s}s",
        request_timeout=f"{limits.request_timeout_s}s",
        stream_idle_timeout=f"{limits.idle_timeout_s}s",
        delayed_close_timeout="1s",
        drain_timeout="2s",
        max_request_headers_kb=limits.headers_kib,
        common_http_protocol_options={
            "idle_timeout": f"{limits.keep_alive_s}s",
            "max_headers_count": limits.headers_count,
            "headers_with_underscores_action": "REJECT_REQUEST",  # frameworks read x_a as x-a
            "max_connection_duration": f"{limits.connection_lifetime_s}s",
        },
        http2_protocol_options={
            "max_concurrent_streams": 100,
            "initial_stream_window_size": 262_144,
            "initial_connection_window_size": 1_048_576,
            "max_outbound_control_frames": 1_000,
            "connection_keepalive": {"interval": "30s", "timeout": "5s"},
        },
        early_header_mutation_extensions=[
            extension(
                "strip",
                "extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
                mutations=[{"remove": name} for name in FORGEABLE],
            )
        ],
        local_reply_config=replies.local_reply_config(),
        access_log=[
            logs.requests(settings.request_log, sampled_percent=None if door == "console" else settings.sampled_percent)
        ],
        http_filters=[
            extension(
                "buffer", "extensions.filters.http.buffer.v3.Buffer", max_request_bytes=settings.limits.body_bytes
            ),
            extension("router", "extensions.filters.http.router.v3.Router", suppress_envoy_headers=True),
        ],
        route_config={"name": door, "virtual_hosts": [routes.virtual_host(door, limits)]},
    )
