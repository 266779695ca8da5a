"""Access logs of the front door, as JSON lines: each connection (with the reason a handshake failed), and requests.

The query of a path is never written: it may hold a token.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

TYPE = "type.googleapis.com/envoy."

_CONNECTION = {
    "at": "%START_TIME%",
    "door": "%FILTER_CHAIN_NAME%",
    "connection": "%CONNECTION_ID%",
    "peer": "%DOWNSTREAM_REMOTE_ADDRESS%",
    "tls": "%DOWNSTREAM_TLS_VERSION%",
    "cipher": "%DOWNSTREAM_TLS_CIPHER%",
    "sni": "%REQUESTED_SERVER_NAME%",
    "fingerprint": "%DOWNSTREAM_PEER_FINGERPRINT_256%",
    "subject": "%DOWNSTREAM_PEER_SUBJECT%",
    "serial": "%DOWNSTREAM_PEER_SERIAL%",
    "not_after": "%DOWNSTREAM_PEER_CERT_V_END%",
    "ja3": "%TLS_JA3_FINGERPRINT%",
    "ja4": "%TLS_JA4_FINGERPRINT%",
    "tls_failure": "%DOWNSTREAM_TRANSPORT_FAILURE_REASON%",
    "flags": "%RESPONSE_FLAGS%",
    "termination": "%CONNECTION_TERMINATION_DETAILS%",
    "received": "%BYTES_RECEIVED%",
    "sent": "%BYTES_SENT%",
    "ms": "%DURATION%",
}

_REQUEST = {
    "at": "%START_TIME%",
    "door": "%FILTER_CHAIN_NAME%",
    "connection": "%CONNECTION_ID%",
    "request": "%REQ(X-REQUEST-ID)%",
    "peer": "%DOWNSTREAM_REMOTE_ADDRESS%",
    "fingerprint": "%DOWNSTREAM_PEER_FINGERPRINT_256%",
    "method": "%REQ(:METHOD):16%",
    "path": "%PATH(NQ):256%",
    "protocol": "%PROTOCOL%",
    "status": "%RESPONSE_CODE%",
    "detail": "%RESPONSE_CODE_DETAILS%",
    "flags": "%RESPONSE_FLAGS%",
    "agent": "%REQ(USER-AGENT):120%",
    "received": "%BYTES_RECEIVED%",
    "sent": "%BYTES_SENT%",
    "ms": "%DURATION%",
}


def connections(path: Path) -> dict[str, Any]:
    """The log of a listener: every connection, those that never finished their handshake too."""
    return _file(path, _CONNECTION)


def requests(path: Path, *, sampled_percent: float | None = None) -> dict[str, Any]:
    """The log of requests: all, or with `sampled_percent` the refused ones and a sample of the others.

    Writing a line for every poll costs a quarter of the door's throughput (docs/performance.md).
    """
    log = _file(path, _REQUEST)
    if sampled_percent is not None:
        refused = {
            "status_code_filter": {
                "comparison": {"op": "GE", "value": {"default_value": 400, "runtime_key": "log.status"}}
            }
        }
        sample = {
            "runtime_filter": {
                "runtime_key": "log.sample",
                "percent_sampled": {"numerator": round(sampled_percent * 100), "denominator": "TEN_THOUSAND"},
                "use_independent_randomness": True,
            }
        }
        log["filter"] = {"or_filter": {"filters": [refused, sample]}}
    return log


def _file(path: Path, fields: dict[str, str]) -> dict[str, Any]:
    return {
        "name": "file",
        "typed_config": {
            "@type": TYPE + "extensions.access_loggers.file.v3.FileAccessLog",
            "path": str(path),
            "log_format": {"json_format": fields},
        },
    }
