"""How the command line reaches the API: one set of calls, three ways in.

1. `--server URL` with an API key: over HTTPS, from anywhere.
2. The platform runs on this host: through its host socket, which only the data directory's owner may open.
3. It does not run: the same application in this process, holding the data directory's lock meanwhile, so that
   SQLite keeps its one writing process.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import httpx

from ironroot.core.errors import Misconfigured
from ironroot.edge.problems import problem

KEY_VARIABLE = "IRONROOT_API_KEY"
TIMEOUT_S = 60.0


class ApiProblem(Exception):
    """The API said no, or could not be reached; `document` is the problem document."""

    def __init__(self, document: dict[str, Any]) -> None:
        super().__init__(document.get("detail", ""))
        self.document = document


class Api(Protocol):
    """The API's calls. Each raises ApiProblem."""

    def call(self, method: str, path: str, body: Any = None, **params: Any) -> Any:
        """One request under `/api/v1`; the answer's JSON (None without a body)."""
        ...

    def lines(self, path: str) -> Iterator[bytes]:
        """An answer's body, line by line."""
        ...

    def text(self, path: str) -> str:
        """An answer's body as text."""
        ...


def _answer(response: httpx.Response) -> Any:
    if response.is_success:
        return response.json() if response.content else None
    raise ApiProblem(_document(response))


def _document(response: httpx.Response) -> dict[str, Any]:
    try:
        document = response.json()
    except ValueError:
        document = None
    if isinstance(document, dict) and "title" in document:
        return document
    return problem(response.status_code, "unexpected", f"HTTP {response.status_code} without an explanation")


def _params(params: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in params.items() if v is not None}


class HttpApi:
    """Over a socket: the host's or the network's."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def call(self, method: str, path: str, body: Any = None, **params: Any) -> Any:
        """One request."""
        try:
            return _answer(self._client.request(method, f"/api/v1{path}", json=body, params=_params(params)))
        except httpx.HTTPError as e:
            raise ApiProblem(_unreachable(e)) from e

    def lines(self, path: str) -> Iterator[bytes]:
        """An answer's body, line by line."""
        try:
            with self._client.stream("GET", f"/api/v1{path}") as response:
                if not response.is_success:
                    response.read()
                    raise ApiProblem(_document(response))
                for line in response.iter_lines():
                    yield line.encode()
        except httpx.HTTPError as e:
            raise ApiProblem(_unreachable(e)) from e

    def text(self, path: str) -> str:
        """An answer's body as text."""
        try:
            response = self._client.get(f"/api/v1{path}")
        except httpx.HTTPError as e:
            raise ApiProblem(_unreachable(e)) from e
        if not response.is_success:
            raise ApiProblem(_document(response))
        return response.text


class InProcessApi:
    """The application in this very process, between two runs of the platform."""

    def __init__(self, loop: asyncio.AbstractEventLoop, app: Any) -> None:
        self._loop = loop
        self._client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app, raise_app_exceptions=False),
            base_url="http://host",
            timeout=TIMEOUT_S,
        )

    def _request(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        return self._loop.run_until_complete(self._client.request(method, f"/api/v1{path}", **kwargs))

    def call(self, method: str, path: str, body: Any = None, **params: Any) -> Any:
        """One request."""
        return _answer(self._request(method, path, json=body, params=_params(params)))

    def lines(self, path: str) -> Iterator[bytes]:
        """An answer's body, line by line."""
        response = self._request("GET", path)
        if not response.is_success:
            raise ApiProblem(_document(response))
        yield from response.content.splitlines()

    def text(self, path: str) -> str:
        """An answer's body as text."""
        response = self._request("GET", path)
        if not response.is_success:
            raise ApiProblem(_document(response))
        return response.text


def _unreachable(error: httpx.HTTPError) -> dict[str, Any]:
    remedy = "is it running, and is its root trusted here? --ca FILE names the root of another installation"
    return problem(503, "unreachable", f"the platform does not answer: {error}", remedy)


@contextmanager
def connect(data: Path, server: str | None = None, ca: Path | None = None) -> Iterator[Api]:
    """The API, by whichever way is open. Raises ApiProblem or Misconfigured."""
    if server is not None:
        key = os.environ.get(KEY_VARIABLE)
        if not key:
            raise Misconfigured(
                "no API key for a remote platform",
                remedy=f"export {KEY_VARIABLE}=irk_... (`ironroot apikey create` on its host makes one)",
            )
        with httpx.Client(
            base_url=server,
            headers={"Authorization": f"Bearer {key}"},
            verify=_trust(ca),
            timeout=TIMEOUT_S,
        ) as client:
            yield HttpApi(client)
        return
    from ironroot.app.datadir import locate  # noqa: PLC0415 (only this way in needs it)

    running = locate(data)
    if running is not None:
        transport = httpx.HTTPTransport(uds=str(running.host_socket))
        with httpx.Client(transport=transport, base_url="http://host", timeout=TIMEOUT_S) as client:
            yield HttpApi(client)
        return
    from ironroot.app.offline import offline  # noqa: PLC0415 (the whole platform: imported only here)

    with offline(data) as api:
        yield api


def _trust(ca: Path | None) -> Any:
    import ssl  # noqa: PLC0415 (remote calls only)

    context = ssl.create_default_context(cafile=str(ca) if ca else None)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


def dumps(value: Any) -> str:
    """JSON as the command line prints it."""
    return json.dumps(value, indent=2, ensure_ascii=False)
