"""The record's tables: facts waiting for their place, the chain, checkpoints, and how far each reader has come.

`fact` is append-only, and the database itself refuses to change or delete a row of it. That stops accidents and
other programs, not somebody who owns the database: for that there are the hash chain and the checkpoints.
"""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import DDL, Column, Index, Integer, LargeBinary, Table, Text, event

from ironroot.core.ids import FactId
from ironroot.eventlog.model import Fact
from ironroot.store.tables import metadata
from ironroot.store.types import Big, Instant

fact_pending = Table(
    "fact_pending",
    metadata,
    Column("n", Big, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("body", Text, nullable=False),  # canonical JSON: what the hash covers, byte for byte
)
"""Written in the transaction whose state it explains; taken by the sequencer."""

fact = Table(
    "fact",
    metadata,
    Column("seq", Big, primary_key=True, autoincrement=False),
    Column("id", Text, nullable=False, unique=True),
    Column("at", Instant, nullable=False),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("prev", LargeBinary(32), nullable=False),
    Column("hash", LargeBinary(32), nullable=False),
)
Index("ix_fact_subject_seq", fact.c.subject, fact.c.seq)
Index("ix_fact_kind_seq", fact.c.kind, fact.c.seq)
Index("ix_fact_actor_seq", fact.c.actor, fact.c.seq)

fact_checkpoint = Table(
    "fact_checkpoint",
    metadata,
    Column("hour", Big, primary_key=True, autoincrement=False),
    Column("size", Big, nullable=False, unique=True),
    Column("at", Instant, nullable=False),
    Column("note", Text, nullable=False),
    Column("frontier", LargeBinary, nullable=False),
)
"""The last signed checkpoint of every hour since 1970 that had one, with the Merkle frontier to go on from."""

log_cursor = Table(
    "log_cursor",
    metadata,
    Column("name", Text, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("seq", Big, nullable=False),
    Column("at", Instant, nullable=False),
)
"""How far a follower or projection has come. `version` is the projection's."""

_REFUSE = "SELECT RAISE(ABORT, 'facts are append-only')"
_FUNCTION = "RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'facts are append-only'; END $$"
APPEND_ONLY = {
    "sqlite": (
        f"CREATE TRIGGER fact_no_update BEFORE UPDATE ON fact BEGIN {_REFUSE}; END",
        f"CREATE TRIGGER fact_no_delete BEFORE DELETE ON fact BEGIN {_REFUSE}; END",
    ),
    "postgresql": (
        f"CREATE OR REPLACE FUNCTION fact_append_only() {_FUNCTION}",
        "CREATE TRIGGER fact_no_change BEFORE UPDATE OR DELETE ON fact FOR EACH ROW EXECUTE FUNCTION fact_append_only()",
        "CREATE TRIGGER fact_no_truncate BEFORE TRUNCATE ON fact EXECUTE FUNCTION fact_append_only()",
    ),
}
"""What makes `fact` append-only on each engine; the migration holds its own copy, as migrations do."""

for _engine, _statements in APPEND_ONLY.items():
    for _statement in _statements:
        event.listen(fact, "after_create", DDL(_statement).execute_if(dialect=_engine))  # type: ignore[no-untyped-call]  # SQLAlchemy's


def fact_of(row: Any) -> Fact:
    """The fact in a row of `fact`."""
    return Fact(
        row.seq,
        FactId(row.id),
        row.at,
        row.kind,
        row.subject,
        row.actor,
        json.loads(row.body),
        bytes(row.prev),
        bytes(row.hash),
    )
