"""Foundation: what devices report."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from ironroot.store.types import Big, Instant

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "device_report",
        sa.Column("device_id", sa.String(63), nullable=False),
        sa.Column("at", Instant, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("device_id", name="pk_device_report"),
    )
    op.create_table(
        "device_seen",
        sa.Column("device_id", sa.String(63), nullable=False),
        sa.Column("last_seen", Instant, nullable=False),
        sa.Column("messages", Big, nullable=False),
        sa.Column("bytes", Big, nullable=False),
        sa.Column("minute", Big, nullable=False),
        sa.Column("minute_messages", Big, nullable=False),
        sa.Column("minute_bytes", Big, nullable=False),
        sa.Column("before_messages", Big, nullable=False),
        sa.Column("before_bytes", Big, nullable=False),
        sa.PrimaryKeyConstraint("device_id", name="pk_device_seen"),
    )
    op.create_table(
        "intake_cursor",
        sa.Column("consumer", sa.String(32), nullable=False),
        sa.Column("stream", sa.String(40), nullable=False),
        sa.Column("sequence", Big, nullable=False),
        sa.PrimaryKeyConstraint("consumer", name="pk_intake_cursor"),
    )
    op.create_table(
        "message_minute",
        sa.Column("minute", Big, autoincrement=False, nullable=False),
        sa.Column("messages", Big, nullable=False),
        sa.Column("bytes", Big, nullable=False),
        sa.PrimaryKeyConstraint("minute", name="pk_message_minute"),
    )
    op.create_table(
        "message_rejected",
        sa.Column("device_id", sa.String(63), nullable=False),
        sa.Column("reason", sa.String(16), nullable=False),
        sa.Column("count", Big, nullable=False),
        sa.PrimaryKeyConstraint("device_id", "reason", name="pk_message_rejected"),
    )
    op.create_table(
        "telemetry_latest",
        sa.Column("device_id", sa.String(63), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("at", Instant, nullable=False),
        sa.PrimaryKeyConstraint("device_id", "name", name="pk_telemetry_latest"),
    )
    op.create_table(
        "telemetry_rollup",
        sa.Column("device_id", sa.String(63), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("bucket", Big, nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("min", sa.Float(), nullable=False),
        sa.Column("max", sa.Float(), nullable=False),
        sa.Column("sum", sa.Float(), nullable=False),
        sa.Column("last", sa.Float(), nullable=False),
        sa.Column("last_at", Instant, nullable=False),
        sa.PrimaryKeyConstraint("device_id", "name", "bucket", name="pk_telemetry_rollup"),
    )
    op.create_index("ix_telemetry_rollup_bucket", "telemetry_rollup", ["bucket"], unique=False)
