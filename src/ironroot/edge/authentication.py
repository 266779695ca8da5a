"""Puts the principal of each request into place: from an API key, from the console's session, or from the host's socket.

ASGI middleware; pure of policy: what a credential is worth is the `Authenticator`'s to say (domains/access).
"""

from __future__ import annotations

from typing import Protocol

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from ironroot.core.errors import Forbidden, IronrootError, Malformed
from ironroot.edge.authorize import Principal, acting_as
from ironroot.edge.peer import address
from ironroot.edge.responses import response

SESSION_COOKIE = "__Host-ironroot"
CONSOLE_HEADER = "x-ironroot"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Authenticator(Protocol):
    """Tells what a credential is worth."""

    async def by_api_key(self, key: str, source: str) -> Principal:
        """The program whose key this is. Raises Unauthenticated, TooMany."""
        ...

    async def by_session(self, token: str) -> Principal | None:
        """The user whose session this is; None when there is none any more."""
        ...


class Authentication:
    """The middleware. `host` set: every request is the host's own, made through a socket only its administrator opens."""

    def __init__(self, app: ASGIApp, authenticator: Authenticator, host: Principal | None = None) -> None:
        self.app = app
        self.authenticator = authenticator
        self.host = host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request as whoever made it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            principal = await self._principal(scope)
        except IronrootError as error:
            await response(error)(scope, receive, send)
            return
        with acting_as(principal):
            await self.app(scope, receive, send)

    async def _principal(self, scope: Scope) -> Principal | None:
        if self.host is not None:
            return self.host
        headers = Headers(scope=scope)
        authorization = headers.get("authorization")
        if authorization is not None and scope["path"].startswith("/api/"):
            scheme, _, key = authorization.partition(" ")
            if scheme.lower() != "bearer" or not key:
                raise Malformed("only Bearer authorisation here", remedy="send `Authorization: Bearer KEY`")
            return await self.authenticator.by_api_key(key.strip(), address(headers))
        token = _cookie(headers, SESSION_COOKIE)
        if token is None:
            return None
        principal = await self.authenticator.by_session(token)
        if principal is not None and scope["method"] not in SAFE_METHODS:
            _same_origin(headers)
        return principal


def _same_origin(headers: Headers) -> None:
    """Refuse unsafe requests another site made with our cookie (CSRF): own header, own origin."""
    origin = headers.get("origin")
    site = headers.get("sec-fetch-site")
    own = origin is None or origin.partition("://")[2] == headers.get("host")
    if headers.get(CONSOLE_HEADER) is None or not own or site not in {None, "same-origin"}:
        raise Forbidden("a request another site made", remedy="use the console itself", code="cross-site")


def _cookie(headers: Headers, name: str) -> str | None:
    """The one cookie of that name; two of them are one too many (cookie tossing), and none is taken."""
    found = [
        value
        for header in headers.getlist("cookie")
        for part in header.split(";")
        for key, _, value in [part.strip().partition("=")]
        if key == name
    ]
    return found[0] if len(found) == 1 else None
