"""The log as a file that can be verified offline (`verify.factlog`): header, facts, signed checkpoint."""

from __future__ import annotations

from collections.abc import AsyncIterator

from ironroot.eventlog import queries
from ironroot.eventlog.encoding import checkpoint_line, header_line, line_of
from ironroot.store.engine import Store

CHUNK = 200


async def export(store: Store, origin: str, note: str, size: int) -> AsyncIterator[bytes]:
    """The lines of the first `size` facts, which `note` signs, in pieces of up to CHUNK lines. Facts never change,
    so no long transaction is held meanwhile.
    """
    yield header_line(origin)
    after = 0
    while after < size:
        async with store.read() as conn:
            rows = (await conn.execute(queries.page(after=after, before=size + 1, limit=CHUNK))).all()
        if not rows:
            break  # facts are missing: the export says so by not matching its checkpoint
        yield b"".join(line_of(row) for row in rows)
        after = rows[-1].seq
    yield checkpoint_line(note)
