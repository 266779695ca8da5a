"""The canonical bytes of a fact, put together from its stored columns.

The same bytes as `core.canonical.encode(fact.record())`, without taking the body apart again: it is stored in its
canonical form. A body that somebody changed in the database therefore gives other bytes, and another hash.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from ironroot.core.canonical import encode
from ironroot.core.clock import rfc3339

_text = json.JSONEncoder(ensure_ascii=False).encode


def record(seq: int, fact_id: str, at: datetime, kind: str, subject: str, actor: str, body: str) -> bytes:
    """What the hash covers."""
    return (
        f'{{"actor":{_text(actor)},"at":"{rfc3339(at)}","body":{body},"id":{_text(fact_id)},'
        f'"kind":{_text(kind)},"seq":{seq},"subject":{_text(subject)}}}'
    ).encode()


def record_of(row: Any) -> bytes:
    """What the hash of a row of `fact` covers."""
    return record(row.seq, row.id, row.at, row.kind, row.subject, row.actor, row.body)


def line_of(row: Any) -> bytes:
    """The export's line of a row of `fact`, newline included."""
    return (
        f'{{"actor":{_text(row.actor)},"at":"{rfc3339(row.at)}","body":{row.body},"hash":"{bytes(row.hash).hex()}",'
        f'"id":{_text(row.id)},"kind":{_text(row.kind)},"prev":"{bytes(row.prev).hex()}","seq":{row.seq},'
        f'"subject":{_text(row.subject)}}}\n'
    ).encode()


def header_line(origin: str) -> bytes:
    """The export's first line."""
    return encode({"format": "ironroot-facts/1", "origin": origin}) + b"\n"


def checkpoint_line(note: str) -> bytes:
    """The export's last line."""
    return encode({"checkpoint": note}) + b"\n"
