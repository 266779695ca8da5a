"""The record over HTTP: list, export, checkpoint, public key."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import PlainTextResponse, StreamingResponse

from ironroot.app.api.devices import show_fact
from ironroot.edge.authorize import require_permission, requires_auth
from ironroot.edge.paging import Cursor, Limit, decode_cursor, page
from ironroot.eventlog.log import EventLog

Text = Annotated[str | None, Query(max_length=120)]
Seq = Annotated[int | None, Query(ge=0)]


def api_router(log: EventLog) -> APIRouter:
    """`/facts` and what proves them."""
    router = APIRouter(tags=["facts"])

    @router.get("/facts")
    @requires_auth
    @require_permission("fact.read")
    async def list_facts(
        after: Seq = None,
        before: Seq = None,
        kind: Text = None,
        subject: Text = None,
        actor: Text = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> dict[str, Any]:
        """Facts newest first; oldest first where `after` is given."""
        key = decode_cursor(cursor)
        place = int(key) if key is not None and key.isdigit() else None
        forward = after is not None
        found = await log.read(
            after=(place if forward and place is not None else after) or 0,
            before=place if not forward and place is not None else before,
            kinds=[kind] if kind else None,
            subject=subject,
            actor=actor,
            limit=limit + 1,
            newest_first=not forward,
        )
        return page(found, limit, lambda f: str(f.seq), show_fact)

    @router.get("/facts/export", response_class=StreamingResponse)
    @requires_auth
    @require_permission("fact.read")
    async def export() -> StreamingResponse:
        """The whole record, a JSON value per line, ended by a signed checkpoint."""
        return StreamingResponse(log.export(), media_type="application/x-ndjson")

    @router.get("/facts/checkpoint", response_class=PlainTextResponse)
    @requires_auth
    @require_permission("fact.read")
    async def checkpoint() -> str:
        """A checkpoint (C2SP) that covers every fact so far, signed now."""
        return await log.checkpoint()

    @router.get("/facts/vkey", response_class=PlainTextResponse)
    @requires_auth
    @require_permission("status.read")
    async def vkey() -> str:
        """The public key that verifies exports and checkpoints."""
        return f"{log.key}\n"

    return router
