"""The tables of the first path

Revision: 0001, after
"""

import sqlalchemy as sa
from alembic import op
from procrastinate.schema import SchemaManager
from sqlalchemy.dialects import postgresql

from migrations.area_rules import write_rules
from server.core.database import Xid8

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    # The job tables are the library's own; a later version of it comes with a migration of ours.
    op.get_bind().connection.cursor().execute(SchemaManager.get_schema())

    op.create_table(
        "area",
        sa.Column("code", sa.String(length=12), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("parent_code", sa.String(length=12), nullable=True),
        sa.Column("valid_from", sa.Date(), nullable=True),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.Column("successor_code", sa.String(length=12), nullable=True),
        sa.CheckConstraint(
            "code ~ '^([0-9]{2}|[0-9]{4}|[0-9]{6}|[0-9]{9}|[0-9]{12})$'",
            name=op.f("ck_area_code_has_a_level"),
        ),
        sa.ForeignKeyConstraint(["parent_code"], ["area.code"], name=op.f("fk_area_parent_code_area")),
        sa.ForeignKeyConstraint(["successor_code"], ["area.code"], name=op.f("fk_area_successor_code_area")),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_area")),
    )
    op.create_index(op.f("ix_area_parent_code"), "area", ["parent_code"], unique=False)
    op.create_index("ix_area_prefix", "area", ["code"], unique=False, postgresql_ops={"code": "text_pattern_ops"})
    op.create_table(
        "attempt_window",
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("window_start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("subject", "window_start", name=op.f("pk_attempt_window")),
    )
    op.create_table(
        "audit_entry",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("xid", Xid8(), server_default=sa.text("pg_current_xact_id()"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("actor_kind", sa.String(), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("device_id", sa.Uuid(), nullable=True),
        sa.Column("request_id", sa.String(), nullable=True),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("thing_kind", sa.String(), nullable=False),
        sa.Column("thing_id", sa.String(), nullable=False),
        sa.Column("area_code", sa.String(length=12), nullable=True),
        sa.Column("facts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.CheckConstraint("actor_kind IN ('staff', 'resident', 'system')", name=op.f("ck_audit_entry_actor_is_known")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entry")),
    )
    op.create_index("ix_audit_entry_order", "audit_entry", ["xid", "id"], unique=False)
    op.create_index("ix_audit_entry_thing", "audit_entry", ["thing_kind", "thing_id"], unique=False)
    op.create_table(
        "audit_seal",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("previous_id", sa.Uuid(), nullable=True),
        sa.Column("last_xid", Xid8(), nullable=False),
        sa.Column("last_entry_id", sa.BigInteger(), nullable=False),
        sa.Column("entries", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("sealed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["previous_id"], ["audit_seal.id"], name=op.f("fk_audit_seal_previous_id_audit_seal")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_seal")),
        sa.UniqueConstraint("position", name=op.f("uq_audit_seal_position")),
    )
    op.create_table(
        "calendar_day",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("is_working", sa.Boolean(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_calendar_day")),
    )
    op.create_table(
        "photo",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("refused_code", sa.String(), nullable=True),
        sa.Column("media_type", sa.String(), nullable=True),
        sa.Column("facts", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("fingerprint", postgresql.BIT(length=256), nullable=True),
        sa.Column("fingerprint_quality", sa.Integer(), nullable=True),
        sa.Column("stored_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("examined_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state <> 'verified' OR facts IS NOT NULL", name=op.f("ck_photo_verified_has_facts")),
        sa.CheckConstraint("state IN ('stored', 'verified', 'refused')", name=op.f("ck_photo_state_is_known")),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_photo")),
    )
    op.create_table(
        "resident",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("wechat_openid", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_resident")),
        sa.UniqueConstraint("wechat_openid", name=op.f("uq_resident_wechat_openid")),
    )
    op.create_table(
        "staff",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("login", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("password_hash", sa.String(), nullable=True),
        sa.Column("wechat_openid", sa.String(), nullable=True),
        sa.Column("phone_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("phone_mask", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff")),
        sa.UniqueConstraint("login", name=op.f("uq_staff_login")),
        sa.UniqueConstraint("wechat_openid", name=op.f("uq_staff_wechat_openid")),
    )
    op.create_table(
        "area_rule",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("area_code", sa.String(length=12), nullable=False),
        sa.Column("effective_from", sa.Date(), nullable=False),
        sa.Column("value", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("written_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("written_by", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(["written_by"], ["staff.id"], name=op.f("fk_area_rule_written_by_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_area_rule")),
        sa.UniqueConstraint(
            "key", "area_code", "effective_from", name=op.f("uq_area_rule_key_area_code_effective_from")
        ),
    )
    op.create_table(
        "checklist_template",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("area_code", sa.String(length=12), nullable=False),
        sa.Column("body", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("published_by", sa.Uuid(), nullable=True),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "kind IN ('intake', 'review', 'neighbour', 'complaint', 'spot_check', 'care')",
            name=op.f("ck_checklist_template_kind_is_known"),
        ),
        sa.CheckConstraint("version > 0", name=op.f("ck_checklist_template_version_is_positive")),
        sa.ForeignKeyConstraint(["published_by"], ["staff.id"], name=op.f("fk_checklist_template_published_by_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_checklist_template")),
        sa.UniqueConstraint("code", "version", name=op.f("uq_checklist_template_code_version")),
    )
    op.create_table(
        "device",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("hardware_id", sa.String(), nullable=True),
        sa.Column("staff_id", sa.Uuid(), nullable=True),
        sa.Column("resident_id", sa.Uuid(), nullable=True),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("platform", sa.String(), nullable=False),
        sa.Column("app_version", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_sync_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("pending_rows", sa.Integer(), nullable=True),
        sa.Column("clock_offset_ms", sa.Integer(), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("end_reason", sa.String(), nullable=True),
        sa.CheckConstraint("num_nonnulls(staff_id, resident_id) = 1", name=op.f("ck_device_one_owner")),
        sa.ForeignKeyConstraint(["resident_id"], ["resident.id"], name=op.f("fk_device_resident_id_resident")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_device_staff_id_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_device")),
    )
    op.create_index(op.f("ix_device_hardware_id"), "device", ["hardware_id"], unique=False)
    op.create_index("ix_device_owner", "device", ["staff_id", "resident_id"], unique=False)
    op.create_table(
        "feed",
        sa.Column("staff_id", sa.Uuid(), nullable=False),
        sa.Column("collection", sa.String(), nullable=False),
        sa.Column("doc_id", sa.String(), nullable=False),
        sa.Column("xid", Xid8(), server_default=sa.text("pg_current_xact_id()"), nullable=False),
        sa.Column("is_deleted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_feed_staff_id_staff")),
        sa.PrimaryKeyConstraint("staff_id", "collection", "doc_id", name=op.f("pk_feed")),
    )
    op.create_index("ix_feed_order", "feed", ["staff_id", "collection", "xid", "doc_id"], unique=False)
    op.create_table(
        "household",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("area_code", sa.String(length=12), nullable=False),
        sa.Column("head_name", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("phone_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("phone_mask", sa.String(), nullable=True),
        sa.Column("latitude", sa.Double(), nullable=True),
        sa.Column("longitude", sa.Double(), nullable=True),
        sa.Column("datum", sa.String(), nullable=False),
        sa.Column("class", sa.String(), nullable=True),
        sa.Column("monthly_amount_fen", sa.Integer(), nullable=True),
        sa.Column("relative_on_staff", sa.Boolean(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("class IN ('A', 'B', 'C')", name=op.f("ck_household_class_is_known")),
        sa.CheckConstraint("datum IN ('wgs84', 'gcj02', 'bd09')", name=op.f("ck_household_datum_is_known")),
        sa.CheckConstraint("monthly_amount_fen >= 0", name=op.f("ck_household_amount_is_not_negative")),
        sa.ForeignKeyConstraint(["area_code"], ["area.code"], name=op.f("fk_household_area_code_area")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_household")),
        sa.UniqueConstraint("number", name=op.f("uq_household_number")),
    )
    op.create_index(op.f("ix_household_area_code"), "household", ["area_code"], unique=False)
    op.create_index(
        "ix_household_area_prefix",
        "household",
        ["area_code"],
        unique=False,
        postgresql_ops={"area_code": "text_pattern_ops"},
    )
    op.create_table(
        "staff_role",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("staff_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("area_code", sa.String(length=12), nullable=False),
        sa.Column("granted_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "role IN ('caseworker', 'panelist', 'town_officer', 'county_officer', 'supervisor', 'admin', 'resident')",
            name=op.f("ck_staff_role_role_is_known"),
        ),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_staff_role_staff_id_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff_role")),
    )
    op.create_index(op.f("ix_staff_role_staff_id"), "staff_role", ["staff_id"], unique=False)
    op.create_index(
        "uq_staff_role_held_once",
        "staff_role",
        ["staff_id", "role", "area_code"],
        unique=True,
        postgresql_where=sa.text("revoked_at IS NULL"),
    )
    op.create_table(
        "attestation",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("visit_id", sa.Uuid(), nullable=False),
        sa.Column("staff_id", sa.Uuid(), nullable=False),
        sa.Column("device_id", sa.Uuid(), nullable=False),
        sa.Column("attested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("document", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], name=op.f("fk_attestation_device_id_device")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_attestation_staff_id_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attestation")),
    )
    op.create_index(op.f("ix_attestation_staff_id"), "attestation", ["staff_id"], unique=False)
    op.create_index("ix_attestation_visit", "attestation", ["visit_id", "staff_id"], unique=False)
    op.create_table(
        "case_file",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("area_code", sa.String(length=12), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("applied_on", sa.Date(), nullable=False),
        sa.Column("rules_on", sa.Date(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "state IN ('applied', 'accepted', 'survey', 'preliminary', 'posting', 'confirmed', 'refused', 'withdrawn')",
            name=op.f("ck_case_file_state_is_known"),
        ),
        sa.ForeignKeyConstraint(["area_code"], ["area.code"], name=op.f("fk_case_file_area_code_area")),
        sa.ForeignKeyConstraint(["household_id"], ["household.id"], name=op.f("fk_case_file_household_id_household")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_case_file")),
        sa.UniqueConstraint("number", name=op.f("uq_case_file_number")),
    )
    op.create_index(op.f("ix_case_file_area_code"), "case_file", ["area_code"], unique=False)
    op.create_index(op.f("ix_case_file_household_id"), "case_file", ["household_id"], unique=False)
    op.create_index(
        "uq_case_file_open_once",
        "case_file",
        ["household_id"],
        unique=True,
        postgresql_where=sa.text("state NOT IN ('confirmed', 'refused', 'withdrawn')"),
    )
    op.create_table(
        "caseload",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("staff_id", sa.Uuid(), nullable=False),
        sa.Column("granted_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("granted_by", sa.Uuid(), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_by", sa.Uuid(), nullable=True),
        sa.Column("revoke_reason", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["granted_by"], ["staff.id"], name=op.f("fk_caseload_granted_by_staff")),
        sa.ForeignKeyConstraint(["household_id"], ["household.id"], name=op.f("fk_caseload_household_id_household")),
        sa.ForeignKeyConstraint(["revoked_by"], ["staff.id"], name=op.f("fk_caseload_revoked_by_staff")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_caseload_staff_id_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_caseload")),
    )
    op.create_index("ix_caseload_holder", "caseload", ["staff_id", "household_id"], unique=False)
    op.create_index(
        "uq_caseload_held_once",
        "caseload",
        ["household_id", "staff_id"],
        unique=True,
        postgresql_where=sa.text("revoked_at IS NULL"),
    )
    op.create_table(
        "evidence",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("visit_id", sa.Uuid(), nullable=False),
        sa.Column("author_id", sa.Uuid(), nullable=False),
        sa.Column("device_id", sa.Uuid(), nullable=False),
        sa.Column("question_id", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("captured_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("document", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("refused_code", sa.String(), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("uploaded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'", name=op.f("ck_evidence_sha256_is_hex")),
        sa.CheckConstraint(
            "state IN ('announced', 'received', 'verified', 'refused')",
            name=op.f("ck_evidence_state_is_known"),
        ),
        sa.ForeignKeyConstraint(["author_id"], ["staff.id"], name=op.f("fk_evidence_author_id_staff")),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], name=op.f("fk_evidence_device_id_device")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_evidence")),
    )
    op.create_index("ix_evidence_content", "evidence", ["sha256"], unique=False)
    op.create_index(op.f("ix_evidence_visit_id"), "evidence", ["visit_id"], unique=False)
    op.create_table(
        "household_member",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("relation", sa.String(), nullable=False),
        sa.Column("sex", sa.String(), nullable=False),
        sa.Column("born_on", sa.Date(), nullable=False),
        sa.Column("id_number_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("id_number_index", sa.LargeBinary(), nullable=True),
        sa.Column("id_number_mask", sa.String(), nullable=True),
        sa.Column("health", sa.String(), nullable=True),
        sa.Column("labour_ability", sa.String(), nullable=True),
        sa.Column("school", sa.String(), nullable=True),
        sa.Column("work", sa.String(), nullable=True),
        sa.CheckConstraint("sex IN ('male', 'female')", name=op.f("ck_household_member_sex_is_known")),
        sa.ForeignKeyConstraint(
            ["household_id"], ["household.id"], name=op.f("fk_household_member_household_id_household")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_household_member")),
    )
    op.create_index(op.f("ix_household_member_household_id"), "household_member", ["household_id"], unique=False)
    op.create_index(op.f("ix_household_member_id_number_index"), "household_member", ["id_number_index"], unique=False)
    op.create_table(
        "kept_row",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kept_as", sa.String(), nullable=False),
        sa.Column("collection", sa.String(), nullable=False),
        sa.Column("doc_id", sa.String(length=200), nullable=False),
        sa.Column("staff_id", sa.Uuid(), nullable=False),
        sa.Column("device_id", sa.Uuid(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("code", sa.String(), nullable=True),
        sa.Column("problem", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], name=op.f("fk_kept_row_device_id_device")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_kept_row_staff_id_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_kept_row")),
    )
    op.create_index("ix_kept_row_document", "kept_row", ["collection", "doc_id", "staff_id"], unique=False)
    op.create_index(
        "uq_kept_row_quarantined",
        "kept_row",
        ["collection", "doc_id", "staff_id"],
        unique=True,
        postgresql_where=sa.text("kept_as = 'quarantined' AND resolved_at IS NULL"),
    )
    op.create_table(
        "refresh_token",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("device_id", sa.Uuid(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("successor_id", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], name=op.f("fk_refresh_token_device_id_device")),
        sa.ForeignKeyConstraint(
            ["successor_id"], ["refresh_token.id"], name=op.f("fk_refresh_token_successor_id_refresh_token")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refresh_token")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_refresh_token_token_hash")),
    )
    op.create_index(op.f("ix_refresh_token_device_id"), "refresh_token", ["device_id"], unique=False)
    op.create_table(
        "assignment",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("checklist_code", sa.String(), nullable=False),
        sa.Column("checklist_version", sa.Integer(), nullable=False),
        sa.Column("partner_id", sa.Uuid(), nullable=True),
        sa.Column("case_id", sa.Uuid(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "kind IN ('intake', 'review', 'neighbour', 'complaint', 'spot_check', 'care')",
            name=op.f("ck_assignment_kind_is_known"),
        ),
        sa.CheckConstraint("state IN ('open', 'done', 'cancelled')", name=op.f("ck_assignment_state_is_known")),
        sa.ForeignKeyConstraint(["case_id"], ["case_file.id"], name=op.f("fk_assignment_case_id_case_file")),
        sa.ForeignKeyConstraint(
            ["checklist_code", "checklist_version"],
            ["checklist_template.code", "checklist_template.version"],
            name=op.f("fk_assignment_checklist_code_checklist_version_checklist_template"),
        ),
        sa.ForeignKeyConstraint(["household_id"], ["household.id"], name=op.f("fk_assignment_household_id_household")),
        sa.ForeignKeyConstraint(["partner_id"], ["staff.id"], name=op.f("fk_assignment_partner_id_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assignment")),
    )
    op.create_index(op.f("ix_assignment_case_id"), "assignment", ["case_id"], unique=False)
    op.create_index(op.f("ix_assignment_household_id"), "assignment", ["household_id"], unique=False)
    op.create_table(
        "case_event",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("cause", sa.String(), nullable=False),
        sa.Column("facts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(["actor_id"], ["staff.id"], name=op.f("fk_case_event_actor_id_staff")),
        sa.ForeignKeyConstraint(["case_id"], ["case_file.id"], name=op.f("fk_case_event_case_id_case_file")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_case_event")),
    )
    op.create_index("uq_case_event_cause", "case_event", ["case_id", "cause"], unique=True)
    op.create_table(
        "mismatched_upload",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("evidence_id", sa.Uuid(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("device_id", sa.Uuid(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], name=op.f("fk_mismatched_upload_device_id_device")),
        sa.ForeignKeyConstraint(
            ["evidence_id"], ["evidence.id"], name=op.f("fk_mismatched_upload_evidence_id_evidence")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mismatched_upload")),
    )
    op.create_index(op.f("ix_mismatched_upload_evidence_id"), "mismatched_upload", ["evidence_id"], unique=False)
    op.create_table(
        "resident_binding",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("resident_id", sa.Uuid(), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("bound_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["household_id"], ["household.id"], name=op.f("fk_resident_binding_household_id_household")
        ),
        sa.ForeignKeyConstraint(
            ["member_id"],
            ["household_member.id"],
            name=op.f("fk_resident_binding_member_id_household_member"),
        ),
        sa.ForeignKeyConstraint(
            ["resident_id"], ["resident.id"], name=op.f("fk_resident_binding_resident_id_resident")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_resident_binding")),
    )
    op.create_index(op.f("ix_resident_binding_household_id"), "resident_binding", ["household_id"], unique=False)
    op.create_index(
        "uq_resident_binding_once",
        "resident_binding",
        ["resident_id", "member_id"],
        unique=True,
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_table(
        "visit",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("assignment_id", sa.Uuid(), nullable=True),
        sa.Column("area_code", sa.String(length=12), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("checklist_code", sa.String(), nullable=False),
        sa.Column("checklist_version", sa.Integer(), nullable=False),
        sa.Column("author_id", sa.Uuid(), nullable=False),
        sa.Column("device_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("mode", sa.String(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("document", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("complete_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("receipt", sa.String(), nullable=True),
        sa.Column("late_after_reassignment", sa.Boolean(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "kind IN ('intake', 'review', 'neighbour', 'complaint', 'spot_check', 'care')",
            name=op.f("ck_visit_kind_is_known"),
        ),
        sa.CheckConstraint(
            "state IN ('draft', 'discarded') OR receipt IS NOT NULL",
            name=op.f("ck_visit_submitted_has_a_receipt"),
        ),
        sa.CheckConstraint(
            "state IN ('draft', 'discarded', 'submitted', 'under_review', 'accepted', 'returned', 'escalated')",
            name=op.f("ck_visit_state_is_known"),
        ),
        sa.ForeignKeyConstraint(["area_code"], ["area.code"], name=op.f("fk_visit_area_code_area")),
        sa.ForeignKeyConstraint(["assignment_id"], ["assignment.id"], name=op.f("fk_visit_assignment_id_assignment")),
        sa.ForeignKeyConstraint(["author_id"], ["staff.id"], name=op.f("fk_visit_author_id_staff")),
        sa.ForeignKeyConstraint(
            ["checklist_code", "checklist_version"],
            ["checklist_template.code", "checklist_template.version"],
            name=op.f("fk_visit_checklist_code_checklist_version_checklist_template"),
        ),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], name=op.f("fk_visit_device_id_device")),
        sa.ForeignKeyConstraint(["household_id"], ["household.id"], name=op.f("fk_visit_household_id_household")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_visit")),
    )
    op.create_index(op.f("ix_visit_area_code"), "visit", ["area_code"], unique=False)
    op.create_index(
        "ix_visit_area_prefix",
        "visit",
        ["area_code"],
        unique=False,
        postgresql_ops={"area_code": "text_pattern_ops"},
    )
    op.create_index(op.f("ix_visit_assignment_id"), "visit", ["assignment_id"], unique=False)
    op.create_index("ix_visit_author_start", "visit", ["author_id", "started_at"], unique=False)
    op.create_index("ix_visit_household_start", "visit", ["household_id", "started_at"], unique=False)
    op.create_table(
        "decision",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("visit_id", sa.Uuid(), nullable=False),
        sa.Column("reviewer_id", sa.Uuid(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("idempotency_key", sa.String(), nullable=True),
        sa.Column("questioned", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "outcome IN ('accepted', 'returned', 'spot_check', 'escalated')",
            name=op.f("ck_decision_outcome_is_known"),
        ),
        sa.ForeignKeyConstraint(["reviewer_id"], ["staff.id"], name=op.f("fk_decision_reviewer_id_staff")),
        sa.ForeignKeyConstraint(["visit_id"], ["visit.id"], name=op.f("fk_decision_visit_id_visit")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decision")),
        sa.UniqueConstraint("idempotency_key", name=op.f("uq_decision_idempotency_key")),
    )
    op.create_index(
        "uq_decision_stands_once",
        "decision",
        ["visit_id"],
        unique=True,
        postgresql_where=sa.text("undone_at IS NULL"),
    )
    op.create_table(
        "finding",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("visit_id", sa.Uuid(), nullable=False),
        sa.Column("evidence_id", sa.Uuid(), nullable=True),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("severity", sa.String(), nullable=False),
        sa.Column("facts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("found_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("superseded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("settled_as", sa.String(), nullable=True),
        sa.Column("settled_by", sa.Uuid(), nullable=True),
        sa.CheckConstraint("settled_as IN ('upheld', 'dismissed')", name=op.f("ck_finding_settled_is_known")),
        sa.CheckConstraint(
            "severity IN ('info', 'notice', 'warning', 'critical')", name=op.f("ck_finding_severity_is_known")
        ),
        sa.ForeignKeyConstraint(["evidence_id"], ["evidence.id"], name=op.f("fk_finding_evidence_id_evidence")),
        sa.ForeignKeyConstraint(["settled_by"], ["staff.id"], name=op.f("fk_finding_settled_by_staff")),
        sa.ForeignKeyConstraint(["visit_id"], ["visit.id"], name=op.f("fk_finding_visit_id_visit")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_finding")),
    )
    op.create_index(op.f("ix_finding_visit_id"), "finding", ["visit_id"], unique=False)
    op.create_table(
        "review_item",
        sa.Column("visit_id", sa.Uuid(), nullable=False),
        sa.Column("area_code", sa.String(length=12), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("entered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("holder_id", sa.Uuid(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "(state = 'claimed') = (holder_id IS NOT NULL AND lease_until IS NOT NULL)",
            name=op.f("ck_review_item_claimed_has_a_holder"),
        ),
        sa.CheckConstraint("state IN ('waiting', 'claimed', 'decided')", name=op.f("ck_review_item_state_is_known")),
        sa.ForeignKeyConstraint(["area_code"], ["area.code"], name=op.f("fk_review_item_area_code_area")),
        sa.ForeignKeyConstraint(["holder_id"], ["staff.id"], name=op.f("fk_review_item_holder_id_staff")),
        sa.ForeignKeyConstraint(["visit_id"], ["visit.id"], name=op.f("fk_review_item_visit_id_visit")),
        sa.PrimaryKeyConstraint("visit_id", name=op.f("pk_review_item")),
    )
    op.create_index(op.f("ix_review_item_area_code"), "review_item", ["area_code"], unique=False)
    op.create_index(
        "ix_review_item_queue",
        "review_item",
        [sa.literal_column("priority DESC"), "entered_at", "visit_id"],
        unique=False,
        postgresql_where=sa.text("state <> 'decided'"),
    )
    op.create_table(
        "visit_investigator",
        sa.Column("visit_id", sa.Uuid(), nullable=False),
        sa.Column("staff_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_visit_investigator_staff_id_staff")),
        sa.ForeignKeyConstraint(["visit_id"], ["visit.id"], name=op.f("fk_visit_investigator_visit_id_visit")),
        sa.PrimaryKeyConstraint("visit_id", "staff_id", name=op.f("pk_visit_investigator")),
    )
    op.create_index(op.f("ix_visit_investigator_staff_id"), "visit_investigator", ["staff_id"], unique=False)

    write_rules(DEFAULT_RULES)
    op.execute(REFUSE_CHANGE)
    op.execute(
        "CREATE TRIGGER audit_entry_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entry "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


# Rows that are written once: the database itself refuses to change or remove them.
REFUSE_CHANGE = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% rows are written once', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END
$$
"""

# The numbers of the domain on the day this was written, for the whole country; areas write their own over them.
DEFAULT_RULES: dict[str, tuple[object, str]] = {
    "visit.home_radius_m": (150, "project default: rural homesteads and GPS in narrow lanes"),
    "visit.photo_time_margin_min": (30, "project default: photos a little before or after the fixes"),
    "visit.photo_distance_m": (500, "project default: yard, lane and village office lie within"),
    "visit.shortest_min": (8, "project default: a form of 25 questions read aloud"),
    "visit.earliest_hour": (6, "project default"),
    "visit.latest_hour": (21, "project default"),
    "visit.partner_distance_m": (200, "project default: both investigators stand at one home"),
    "visit.fastest_kmh": (120, "project default: road travel between two homes"),
    "visit.clock_offset_max_s": (300, "project default"),
    "visit.offline_days_max": (7, "project default"),
    "case.survey_start_working_days": (3, "law, as read: 审核确认办法"),
    "case.decision_working_days": (30, "law, as read: 审核确认办法"),
    "case.decision_extended_working_days": (45, "law, as read: 审核确认办法"),
    "case.posting_days": (7, "law, as read: 审核确认办法"),
    "review.interval_months": ({"A": 12, "B": 12, "C": 6}, "law, as read: yearly, half-yearly when unstable"),
}


def downgrade() -> None:
    """There is no way back from the first tables but to drop the database: nothing here loses data."""
    raise NotImplementedError
