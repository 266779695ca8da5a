"""What a policy that may say no returns: the answer, why, and when to ask again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Decision:
    """An answer with its reasons in words; `retry_at` where asking again later could be answered otherwise."""

    allowed: bool
    reasons: tuple[str, ...] = ()
    retry_at: datetime | None = None
