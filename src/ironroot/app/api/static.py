"""The compiled console: its files, and its one page for every address that is a page's."""

from __future__ import annotations

from pathlib import Path

from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

STATIC = Path(__file__).parent.parent / "static"
ABSENT = "This installation was built without its console (IRONROOT_CONSOLE=skip). The command line and the API work.\n"


class Immutable(StaticFiles):
    """Files whose names hold their hash: a browser may keep them for good."""

    def file_response(self, *args: object, **kwargs: object) -> Response:
        """The file, with leave to keep it."""
        response = super().file_response(*args, **kwargs)  # type: ignore[arg-type]  # passed on as given
        response.headers["cache-control"] = "public, max-age=31536000, immutable"
        return response


async def _page(_: Request) -> Response:
    index = STATIC / "index.html"
    if not index.is_file():
        return PlainTextResponse(ABSENT, 404)
    return FileResponse(index, headers={"cache-control": "no-cache"})


def routes() -> list[BaseRoute]:
    """The console's routes; the last one takes every path that is left."""
    assets = STATIC / "assets"
    files: list[BaseRoute] = []
    if assets.is_dir():
        # Only here: answers with secrets in them are never compressed (BREACH), and the live stream must not be held back.
        files = [Mount("/assets", GZipMiddleware(Immutable(directory=assets), minimum_size=1_024, compresslevel=6))]
    return [*files, Route("/{path:path}", _page, methods=["GET"])]
