"""A device proves who it is to its platform over mutual TLS, and calls it.

Verification of the server is never off. The roots are `ca_path`, else `roots.pem` beside the certificate (where the
agent keeps them), else the system's.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from ironroot import __version__
from ironroot.agent.clock import SystemClock
from ironroot.agent.http import MAX_BODY_BYTES, Door, Response, https_address, raise_for_status
from ironroot.agent.tls import client_context
from ironroot.core.errors import Malformed
from ironroot.wire.messages import CAPABILITY

HELLO_PATH = "/device/v1/hello"


class Session:
    """Calls to one or more doors with the device's certificate; connections are kept and reused.

    Answers are returned whatever their status; `Response.json()` reads them. Not for two threads at once.
    """

    def __init__(self, certificate: Path, key: Path, roots: Path | None, timeout_s: float) -> None:
        self._context = client_context(roots, certificate, key)
        self._timeout_s = timeout_s
        self._doors: dict[str, Door] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        for door in self._doors.values():
            door.close()
        self._doors.clear()

    def get(self, url: str, *, headers: Mapping[str, str] | None = None, limit: int = MAX_BODY_BYTES) -> Response:
        """The answer to GET `url`."""
        return self._request("GET", url, None, headers, limit)

    def post(
        self, url: str, body: object = b"", *, headers: Mapping[str, str] | None = None, limit: int = MAX_BODY_BYTES
    ) -> Response:
        """The answer to POST `url`; `body` is bytes, or a value to be sent as JSON."""
        return self._request("POST", url, body, headers, limit)

    def put(
        self, url: str, body: object = b"", *, headers: Mapping[str, str] | None = None, limit: int = MAX_BODY_BYTES
    ) -> Response:
        """The answer to PUT `url`; `body` is bytes, or a value to be sent as JSON."""
        return self._request("PUT", url, body, headers, limit)

    def _request(self, method: str, url: str, body: object, headers: Mapping[str, str] | None, limit: int) -> Response:
        address = https_address(url)
        path = "/" + url.split("//", 1)[1].partition("/")[2].partition("#")[0]
        if not path.isascii() or not path.isprintable() or " " in path:
            raise Malformed(f"not a URL: {url[:100]!r}", remedy="percent-encode what is not ASCII")
        door = self._doors.get(address.netloc)
        if door is None:
            door = self._doors[address.netloc] = Door(address, self._context, timeout_s=self._timeout_s)
        sent = dict(headers or {})
        if body is None or isinstance(body, bytes):
            content = body
        else:
            content = json.dumps(body, separators=(",", ":"), allow_nan=False).encode()
            sent.setdefault("content-type", "application/json")
        return door.request(method, path, body=content, headers=sent, limit=limit)


class DeviceAuthenticator:
    """Authenticates a device by its certificate and key (PEM files)."""

    def __init__(
        self,
        cert_path: str | os.PathLike[str],
        key_path: str | os.PathLike[str],
        ca_path: str | os.PathLike[str] | None = None,
        *,
        timeout_s: float = 15.0,
    ) -> None:
        self._certificate = Path(cert_path)
        self._key = Path(key_path)
        beside = self._certificate.with_name("roots.pem")
        self._roots = Path(ca_path) if ca_path is not None else beside if beside.exists() else None
        self._timeout_s = timeout_s

    def session(self) -> Session:
        """A session that shows the certificate as it is on disk now. Raises Misconfigured for unusable files."""
        return Session(self._certificate, self._key, self._roots, self._timeout_s)

    def authenticate_to_server(self, server_url: str) -> dict[str, Any]:
        """The platform's answer to this device's hello: device, trust, server_time, config_version.

        `server_url` is the device door, `https://HOST:8444`. Raises Unavailable when the server cannot be reached or
        is not the platform, Forbidden or Unauthenticated when the platform does not want this device.
        """
        address = https_address(server_url)
        with self.session() as session:
            hello = {"capability": CAPABILITY, "agent": __version__}
            response = session.post(f"https://{address.netloc}{HELLO_PATH}", hello)
        raise_for_status(response, SystemClock())
        answer = response.json()
        if not isinstance(answer, dict):
            raise Malformed("the platform's answer is no object", remedy="check that the address is the device door")
        return answer
