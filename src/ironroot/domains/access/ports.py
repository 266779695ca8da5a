"""What access needs from others."""

from __future__ import annotations

from typing import Protocol

from ironroot.store.engine import Tx


class PersonEraser(Protocol):
    """Holds a key per person, under which the record's personal fields are encrypted."""

    async def erase(self, tx: Tx, person: str, actor: str) -> None:
        """Destroy the person's key, with its fact."""
        ...
