"""What devices report, in the tables that the intake worker alone writes. Cost per device at rest: one row of
`device_seen`, one of `telemetry_latest` per name, one of `telemetry_rollup` per numeric name and five minutes.
"""

from __future__ import annotations

from sqlalchemy import Column, Float, Index, Integer, PrimaryKeyConstraint, String, Table, Text

from ironroot.store.tables import telemetry_metadata
from ironroot.store.types import Big, Instant

device_seen = Table(
    "device_seen",
    telemetry_metadata,
    Column("device_id", String(63), primary_key=True),
    Column("last_seen", Instant, nullable=False),
    Column("messages", Big, nullable=False),
    Column("bytes", Big, nullable=False),
    Column("minute", Big, nullable=False),
    Column("minute_messages", Big, nullable=False),
    Column("minute_bytes", Big, nullable=False),
    Column("before_messages", Big, nullable=False),
    Column("before_bytes", Big, nullable=False),
)
"""`minute`: minutes since 1970; what was said in it, and in the minute before it."""

telemetry_latest = Table(
    "telemetry_latest",
    telemetry_metadata,
    Column("device_id", String(63), nullable=False),
    Column("name", String(64), nullable=False),
    Column("value", Text, nullable=False),
    Column("at", Instant, nullable=False),
    PrimaryKeyConstraint("device_id", "name"),
)
telemetry_rollup = Table(
    "telemetry_rollup",
    telemetry_metadata,
    Column("device_id", String(63), nullable=False),
    Column("name", String(64), nullable=False),
    Column("bucket", Big, nullable=False),
    Column("count", Integer, nullable=False),
    Column("min", Float, nullable=False),
    Column("max", Float, nullable=False),
    Column("sum", Float, nullable=False),
    Column("last", Float, nullable=False),
    Column("last_at", Instant, nullable=False),
    PrimaryKeyConstraint("device_id", "name", "bucket"),
    Index("ix_telemetry_rollup_bucket", "bucket"),
)
"""`bucket`: seconds since 1970 at which the five minutes begin."""

device_report = Table(
    "device_report",
    telemetry_metadata,
    Column("device_id", String(63), primary_key=True),
    Column("at", Instant, nullable=False),
    Column("body", Text, nullable=False),
)
message_minute = Table(
    "message_minute",
    telemetry_metadata,
    Column("minute", Big, primary_key=True, autoincrement=False),
    Column("messages", Big, nullable=False),
    Column("bytes", Big, nullable=False),
)
message_rejected = Table(
    "message_rejected",
    telemetry_metadata,
    Column("device_id", String(63), nullable=False),
    Column("reason", String(16), nullable=False),
    Column("count", Big, nullable=False),
    PrimaryKeyConstraint("device_id", "reason"),
)
intake_cursor = Table(
    "intake_cursor",
    telemetry_metadata,
    Column("consumer", String(32), primary_key=True),
    Column("stream", String(40), nullable=False),
    Column("sequence", Big, nullable=False),
)
"""Up to where a stream's messages are in these tables, written in the same transaction as they are."""
