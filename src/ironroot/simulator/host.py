"""Asks the platform on this host for claims, through the socket that only its administrator may open.

Standard library rather than httpx: 20 MB and 0.15 s less in a process that makes one kind of request.
"""

from __future__ import annotations

import http.client
import json
import socket
from pathlib import Path

from ironroot.core.errors import Forbidden, Malformed, Unavailable
from ironroot.core.ids import DeviceId
from ironroot.core.secret import Secret

MAX_ANSWER_BYTES = 65_536


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        """Open the Unix socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def request_claim(path: Path, device: DeviceId, kind: str, *, timeout_s: float = 30.0) -> Secret:
    """A new claim for `device`, which is registered when it is new.

    Raises Unavailable when the platform does not answer, Forbidden when it will not give one.
    """
    connection = _UnixConnection(path, timeout_s)
    try:
        body = json.dumps({"device": device, "type": kind})
        connection.request("POST", "/api/v1/claims", body, {"content-type": "application/json"})
        response = connection.getresponse()
        content = response.read(MAX_ANSWER_BYTES)
    except (OSError, http.client.HTTPException) as e:
        raise Unavailable(f"the platform does not answer at {path}: {e}", remedy="start it with `ironroot up`") from e
    finally:
        connection.close()
    if response.status >= 500 or response.status == 429:
        raise Unavailable(f"the platform answered {response.status}")
    if response.status >= 300:
        raise Forbidden(f"no claim for {device}: the platform answered {response.status}")
    try:
        claim = json.loads(content)["claim"]
    except (ValueError, KeyError, TypeError) as e:
        raise Malformed("the platform's answer holds no claim") from e
    if not isinstance(claim, str):
        raise Malformed("the platform's answer holds no claim")
    return Secret(claim)
