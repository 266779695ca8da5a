"""Foundation: the fact log, and the state of every context."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from ironroot.store.types import Big, Instant

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_REFUSE = "SELECT RAISE(ABORT, 'facts are append-only')"
_FUNCTION = "RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'facts are append-only'; END $$"
_APPEND_ONLY = {
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


def upgrade() -> None:
    """Make the tables."""
    _eventlog()
    _access()
    _app()
    _pki()
    _messaging()
    _inventory()
    _keys()
    _trust()


def _eventlog() -> None:
    op.create_table(
        "fact_pending",
        sa.Column("n", Big, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("at", Instant, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_table(
        "fact",
        sa.Column("seq", Big, primary_key=True, autoincrement=False),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("at", Instant, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("prev", sa.LargeBinary(32), nullable=False),
        sa.Column("hash", sa.LargeBinary(32), nullable=False),
    )
    op.create_index("ix_fact_subject_seq", "fact", ["subject", "seq"])
    op.create_index("ix_fact_kind_seq", "fact", ["kind", "seq"])
    op.create_index("ix_fact_actor_seq", "fact", ["actor", "seq"])
    for statement in _APPEND_ONLY[op.get_bind().dialect.name]:
        op.execute(statement)
    op.create_table(
        "fact_checkpoint",
        sa.Column("hour", Big, primary_key=True, autoincrement=False),
        sa.Column("size", Big, nullable=False, unique=True),
        sa.Column("at", Instant, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("frontier", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "log_cursor",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("seq", Big, nullable=False),
        sa.Column("at", Instant, nullable=False),
    )


def _access() -> None:
    op.create_table(
        "access_api_key",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("role", sa.String(32), nullable=False),
        sa.Column("secret_hash", sa.String(64), nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("created_by", sa.String(80), nullable=False),
        sa.Column("expires_at", Instant, nullable=False),
        sa.Column("last_used_at", Instant, nullable=True),
        sa.Column("revoked_at", Instant, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_access_api_key"),
    )
    op.create_table(
        "access_user",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("role", sa.String(32), nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_access_user"),
        sa.UniqueConstraint("name", name="uq_access_user_name"),
    )
    op.create_table(
        "access_link",
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("user_id", sa.String(40), nullable=False),
        sa.Column("expires_at", Instant, nullable=False),
        sa.Column("used_at", Instant, nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["access_user.id"], name="fk_access_link_user_id_access_user"),
        sa.PrimaryKeyConstraint("token_hash", name="pk_access_link"),
    )
    op.create_index("ix_access_link_expires_at", "access_link", ["expires_at"], unique=False)
    op.create_table(
        "access_session",
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("handle", sa.String(40), nullable=False),
        sa.Column("user_id", sa.String(40), nullable=False),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("last_seen_at", Instant, nullable=False),
        sa.Column("expires_at", Instant, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["access_user.id"], name="fk_access_session_user_id_access_user"),
        sa.PrimaryKeyConstraint("token_hash", name="pk_access_session"),
        sa.UniqueConstraint("handle", name="uq_access_session_handle"),
    )
    op.create_index("ix_access_session_expires_at", "access_session", ["expires_at"], unique=False)
    op.create_index("ix_access_session_user_id", "access_session", ["user_id"], unique=False)


def _app() -> None:
    op.create_table(
        "activity_hour",
        sa.Column("hour", Instant, nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("facts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("hour", "kind", name="pk_activity_hour"),
    )


def _pki() -> None:
    op.create_table(
        "ca",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("certificate", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_ca"),
    )
    op.create_table(
        "certificate",
        sa.Column("number", Big, nullable=False),
        sa.Column("serial", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("device", sa.Text(), nullable=True),
        sa.Column("profile", sa.Text(), nullable=False),
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("key_type", sa.Text(), nullable=False),
        sa.Column("spki", sa.Text(), nullable=False),
        sa.Column("not_before", Instant, nullable=False),
        sa.Column("not_after", Instant, nullable=False),
        sa.Column("revoked_at", Instant, nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("der", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_certificate"),
        sa.UniqueConstraint("fingerprint", name="uq_certificate_fingerprint"),
        sa.UniqueConstraint("serial", name="uq_certificate_serial"),
    )
    op.create_index("ix_certificate_device_number", "certificate", ["device", "number"], unique=False)
    op.create_index("ix_certificate_issuer_revoked", "certificate", ["issuer", "revoked_at", "number"], unique=False)
    op.create_index("ix_certificate_spki", "certificate", ["spki"], unique=False)
    op.create_table(
        "certificate_holder",
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("revoked_at", Instant, nullable=True),
        sa.PrimaryKeyConstraint("device", name="pk_certificate_holder"),
    )
    op.create_table(
        "claim",
        sa.Column("number", Big, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("expires_at", Instant, nullable=False),
        sa.Column("used_at", Instant, nullable=True),
        sa.Column("voided_at", Instant, nullable=True),
        sa.PrimaryKeyConstraint("number", name="pk_claim"),
        sa.UniqueConstraint("id", name="uq_claim_id"),
    )
    op.create_index("ix_claim_device", "claim", ["device"], unique=False)
    op.create_table(
        "public_key",
        sa.Column("spki", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("spki", name="pk_public_key"),
    )
    op.create_table(
        "server_identity",
        sa.Column("names", sa.Text(), nullable=False),
        sa.Column("serial", sa.Text(), nullable=False),
        sa.Column("private", sa.LargeBinary(), nullable=False),
        sa.Column("renew_at", Instant, nullable=False),
        sa.PrimaryKeyConstraint("names", name="pk_server_identity"),
    )
    op.create_table(
        "crl",
        sa.Column("ca", sa.Text(), nullable=False),
        sa.Column("number", Big, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("der", sa.LargeBinary(), nullable=False),
        sa.Column("this_update", Instant, nullable=False),
        sa.Column("next_update", Instant, nullable=False),
        sa.ForeignKeyConstraint(["ca"], ["ca.name"], name="fk_crl_ca_ca"),
        sa.PrimaryKeyConstraint("ca", name="pk_crl"),
    )


def _messaging() -> None:
    op.create_table(
        "command",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("device_id", sa.String(63), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("args", sa.Text(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("expires_at", Instant, nullable=False),
        sa.Column("ended_at", Instant, nullable=True),
        sa.Column("result", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_command"),
    )
    op.create_index("ix_command_device", "command", ["device_id", "created_at", "id"], unique=False)
    op.create_index("ix_command_due", "command", ["state", "expires_at"], unique=False)
    op.create_table(
        "desired_config",
        sa.Column("device_id", sa.String(63), nullable=False),
        sa.Column("version", Big, nullable=False),
        sa.Column("config", sa.Text(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("applied_version", Big, nullable=True),
        sa.Column("detail", sa.Text(), server_default="", nullable=False),
        sa.Column("updated_at", Instant, nullable=False),
        sa.PrimaryKeyConstraint("device_id", name="pk_desired_config"),
    )


def _inventory() -> None:
    op.create_table(
        "device",
        sa.Column("id", sa.String(63), nullable=False),
        sa.Column("type", sa.String(63), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("lifecycle", sa.String(16), nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_device"),
    )
    op.create_index("ix_device_type", "device", ["type"], unique=False)
    op.create_table(
        "device_group",
        sa.Column("name", sa.String(63), nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_device_group"),
    )
    op.create_table(
        "device_group_member",
        sa.Column("device_id", sa.String(63), nullable=False),
        sa.Column("group_name", sa.String(63), nullable=False),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], name="fk_device_group_member_device_id_device"),
        sa.ForeignKeyConstraint(
            ["group_name"], ["device_group.name"], name="fk_device_group_member_group_name_device_group"
        ),
        sa.PrimaryKeyConstraint("device_id", "group_name", name="pk_device_group_member"),
    )
    op.create_index("ix_device_group_member_group_name", "device_group_member", ["group_name"], unique=False)


def _keys() -> None:
    op.create_table(
        "person_key",
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("erased_at", Instant, nullable=True),
        sa.PrimaryKeyConstraint("person", name="pk_person_key"),
    )
    op.create_table(
        "secret_key",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.PrimaryKeyConstraint("name", "generation", name="pk_secret_key"),
    )
    op.create_table(
        "signing_key",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("algorithm", sa.Text(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("public", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_signing_key"),
    )


def _trust() -> None:
    op.create_table(
        "trust_decision",
        sa.Column("device_id", sa.String(63), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.Column("since", Instant, nullable=False),
        sa.Column("review_at", Instant, nullable=True),
        sa.Column("registered", sa.String(40), nullable=True),
        sa.Column("retired", sa.String(40), nullable=True),
        sa.Column("readmitted", sa.String(40), nullable=True),
        sa.Column("hold_reason", sa.Text(), nullable=True),
        sa.Column("hold_actor", sa.String(80), nullable=True),
        sa.Column("hold_placed_at", Instant, nullable=True),
        sa.Column("hold_expires_at", Instant, nullable=True),
        sa.Column("hold_fact", sa.String(40), nullable=True),
        sa.PrimaryKeyConstraint("device_id", name="pk_trust_decision"),
    )
    op.create_index("ix_trust_decision_review_at", "trust_decision", ["review_at"], unique=False)
    op.create_index("ix_trust_decision_state", "trust_decision", ["state", "device_id"], unique=False)
    op.create_table(
        "trust_certificate",
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("device_id", sa.String(63), nullable=False),
        sa.Column("serial", sa.String(40), nullable=False),
        sa.Column("not_before", Instant, nullable=False),
        sa.Column("not_after", Instant, nullable=False),
        sa.Column("revoked", sa.String(32), nullable=True),
        sa.Column("fact", sa.String(40), nullable=False),
        sa.ForeignKeyConstraint(
            ["device_id"], ["trust_decision.device_id"], name="fk_trust_certificate_device_id_trust_decision"
        ),
        sa.PrimaryKeyConstraint("fingerprint", name="pk_trust_certificate"),
    )
    op.create_index("ix_trust_certificate_device_id", "trust_certificate", ["device_id"], unique=False)
