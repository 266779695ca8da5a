"""One socket, three doors: which application a request is for is said by the front door in a header.

The front door removes what a client sends under that name and sets its own; a request without one of the three
values did not come through a door, and is refused.
"""

from __future__ import annotations

from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from ironroot.core.errors import Forbidden
from ironroot.edge.responses import response


class Doors:
    """Hands each request to its door's application."""

    def __init__(self, header: str, apps: Mapping[str, ASGIApp]) -> None:
        self._header = header
        self._apps = apps

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        doors = Headers(scope=scope).getlist(self._header)
        app = self._apps.get(doors[0]) if len(doors) == 1 else None
        if app is None:
            await response(Forbidden("not through a door", code="no-door"))(scope, receive, send)
            return
        await app(scope, receive, send)
