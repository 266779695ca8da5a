"""HTTPS requests of a device: one connection to one door, verified, with time-outs and bounded answers.

No redirect is followed and no proxy variable is read: a device talks to its platform and to nobody else.
An answer of 400 and above is raised as one of `core.errors`, with the platform's own remedy.
"""

from __future__ import annotations

import http.client
import json
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Self
from urllib.parse import urlsplit

from ironroot import __version__
from ironroot.core.clock import Clock
from ironroot.core.errors import (
    Conflict,
    Forbidden,
    IronrootError,
    Malformed,
    Misconfigured,
    NotFound,
    Refused,
    TooLarge,
    TooMany,
    Unauthenticated,
    Unavailable,
    Unprocessable,
)

MAX_BODY_BYTES = 1024 * 1024
MAX_RETRY_AFTER_S = 24 * 3600.0
_CHUNK = 65_536
_ERRORS: dict[int, type[IronrootError]] = {
    400: Malformed,
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    413: TooLarge,
    422: Unprocessable,
}


class NotNow(Unavailable):
    """The platform asks to come back later (202, 429, 503); `retry_after_s` where it said when."""

    code = "not-now"

    def __init__(self, message: str, *, retry_after_s: float | None = None, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class Address:
    """Where a door is."""

    host: str
    port: int

    @property
    def netloc(self) -> str:
        """The address as it stands in a URL."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def https_address(url: str, default_port: int = 443) -> Address:
    """The address in `https://HOST[:PORT]`. Raises Malformed for any other scheme: a device never speaks in clear."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as e:
        raise Malformed(f"not an address: {url[:100]!r}", remedy="write https://HOST:PORT") from e
    if parts.scheme != "https" or not parts.hostname or parts.username is not None:
        raise Malformed(f"not an https address: {url[:100]!r}", remedy="write https://HOST:PORT")
    return Address(parts.hostname, default_port if port is None else port)


def host_port(text: str, default_port: int) -> Address:
    """The address in `HOST`, `HOST:PORT` or `[IPv6]:PORT`. Raises Malformed."""
    try:
        parts = urlsplit(f"//{text}")
        port = parts.port
    except ValueError as e:
        raise Malformed(f"not HOST:PORT: {text[:100]!r}") from e
    if not parts.hostname or parts.path or parts.username is not None:
        raise Malformed(f"not HOST:PORT: {text[:100]!r}")
    return Address(parts.hostname, default_port if port is None else port)


@dataclass(frozen=True, slots=True)
class Response:
    """A whole answer; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The JSON value in the body. Raises Malformed."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as e:
            raise Malformed("the platform's answer is not JSON") from e


class Door:
    """A connection to the platform's device door, opened when first used and reused while the server keeps it.

    Not for use by two threads at once. `timeout_s` bounds each wait, `deadline_s` the whole answer.
    """

    def __init__(
        self, address: Address, context: ssl.SSLContext, *, timeout_s: float = 15.0, deadline_s: float = 60.0
    ) -> None:
        self.address = address
        self._context = context
        self._timeout_s = timeout_s
        self._deadline_s = deadline_s
        self._connection: http.client.HTTPSConnection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up; the next request opens a new connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        limit: int = MAX_BODY_BYTES,
    ) -> Response:
        """The answer to one request, at most `limit` bytes of it.

        Raises Unavailable when the door cannot be reached or verified, TooLarge for a longer answer.
        """
        fresh = self._connection is None
        try:
            return self._exchange(method, path, body, headers or {}, limit)
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError) as e:
            self.close()
            # The server closed an idle connection: ask once more on a new one, but only what is harmless to ask twice.
            if fresh or method not in {"GET", "HEAD"}:
                raise self._unreachable(e) from e
        except (OSError, http.client.HTTPException) as e:
            self.close()
            raise self._unreachable(e) from e
        except BaseException:
            self.close()
            raise
        return self.request(method, path, body=body, headers=headers, limit=limit)

    def _exchange(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], limit: int) -> Response:
        if self._connection is None:
            self._connection = http.client.HTTPSConnection(
                self.address.host, self.address.port, timeout=self._timeout_s, context=self._context
            )
        deadline = time.monotonic() + self._deadline_s
        self._connection.request(method, path, body, {"user-agent": f"ironroot-agent/{__version__}", **headers})
        answer = self._connection.getresponse()
        pieces: list[bytes] = []
        size = 0
        while piece := answer.read1(_CHUNK):
            size += len(piece)
            if size > limit:
                raise TooLarge(f"the platform's answer is over {limit} bytes")
            if time.monotonic() > deadline:
                raise TimeoutError(f"no whole answer within {self._deadline_s:g} s")
            pieces.append(piece)
        if answer.length:  # read1 does not tell the end of the answer from the end of the connection
            raise http.client.IncompleteRead(b"", answer.length)
        answer.close()
        response = Response(answer.status, {k.lower(): v for k, v in answer.getheaders()}, b"".join(pieces))
        if answer.will_close:
            self.close()
        return response

    def _unreachable(self, error: Exception) -> Unavailable:
        where = f"https://{self.address.netloc}"
        if isinstance(error, ssl.SSLCertVerificationError):
            return Unavailable(
                f"the server at {where} is not the one this device trusts: {error.verify_message}",
                remedy="check the address, the roots given to the device, and the device's clock",
            )
        if isinstance(error, ssl.SSLError):
            return Unavailable(
                f"{where} refused the TLS connection: {error.reason or error}",
                remedy="the certificate may be expired or revoked: see `ironroot agent status`",
            )
        return Unavailable(
            f"{where} does not answer: {str(error) or type(error).__name__}", remedy="check the address and the network"
        )


def raise_for_status(response: Response, clock: Clock) -> None:
    """Return on 2xx but 202; else raise the error of `core.errors` that the answer stands for."""
    status = response.status
    if 200 <= status < 300 and status != 202:
        return
    title, remedy = _problem(response)
    message = title or f"the platform answered {status}"
    retry_after_s = retry_after(response, clock)
    if status in {202, 503}:
        raise NotNow(message, retry_after_s=retry_after_s, remedy=remedy or "try again later")
    if status == 429:
        raise TooMany(message, retry_after_s=retry_after_s or 60.0, remedy=remedy or "try again later")
    if status >= 500:
        raise Unavailable(message, remedy=remedy or "try again later; if it stays, see the platform's log")
    if 300 <= status < 400:
        raise Misconfigured(f"the platform answered {status}: a redirect", remedy="give the device door's own address")
    raise _ERRORS.get(status, Refused)(message, remedy=remedy)


def retry_after(response: Response, clock: Clock) -> float | None:
    """Seconds until the platform wants to be asked again (RFC 9110 section 10.2.3), at most a day; None: not said."""
    text = response.headers.get("retry-after", "").strip()
    if not text:
        return None
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), MAX_RETRY_AFTER_S)
    try:
        at = parsedate_to_datetime(text)
        wait = (at - clock.now()).total_seconds()
    except (TypeError, ValueError):
        return None
    return min(max(wait, 0.0), MAX_RETRY_AFTER_S)


def _problem(response: Response) -> tuple[str, str]:
    """Detail and remedy of a problem document (RFC 9457), printable and short: the peer's words go to a terminal."""
    if not response.headers.get("content-type", "").startswith("application/problem+json"):
        return "", ""
    try:
        document = json.loads(response.body)
    except (ValueError, RecursionError):
        return "", ""
    if not isinstance(document, dict):
        return "", ""
    return _clean(document.get("detail") or document.get("title")), _clean(document.get("remedy"))


def _clean(text: object) -> str:
    if not isinstance(text, str):
        return ""
    return "".join(c for c in text[:500] if c.isprintable())
