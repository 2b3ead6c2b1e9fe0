"""Tasks and records: the work beside the home visits, with photos that belong to it

Revision: 0088, after 0087
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.area_rules import drop_rules, write_rules

revision = "0088"
down_revision = "0087"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
VISIT_KINDS = ("intake", "review", "neighbour", "complaint", "spot_check", "care", "housing")
RECORD_KINDS = ("publicity", "meeting")
RULES: dict[str, tuple[object, str]] = {
    "publicity.months": (6, "project default; no law sets a number"),
    "retention.record_photo_days": (1095, "project default; no law sets a number"),
}


def upgrade() -> None:
    _create_task()
    _create_record()
    _create_record_version()
    _let_photos_belong_to_anything()
    _know_checklists((*VISIT_KINDS, *RECORD_KINDS))
    write_rules(RULES)


def _create_task() -> None:
    op.create_table(
        "task",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("area_code", sa.String(12), sa.ForeignKey("area.code"), nullable=False),
        sa.Column("subject_kind", sa.String(), nullable=True),
        sa.Column("subject_id", sa.Uuid(), nullable=True),
        sa.Column("assignee_id", sa.Uuid(), sa.ForeignKey("staff.id"), nullable=True),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("note", sa.String(), server_default=sa.text("''"), nullable=False),
        sa.Column("state", sa.String(), server_default=sa.text("'open'"), nullable=False),
        sa.Column("made_by", sa.Uuid(), sa.ForeignKey("staff.id"), nullable=True),
        sa.Column("made_at", TIME, server_default=sa.text("now()"), nullable=False),
        sa.Column("closed_at", TIME, nullable=True),
        sa.CheckConstraint(f"kind IN {RECORD_KINDS}", name="kind_is_known"),
        sa.CheckConstraint("state IN ('open', 'done', 'cancelled')", name="state_is_known"),
        sa.CheckConstraint("(subject_kind IS NULL) = (subject_id IS NULL)", name="subject_is_whole"),
        sa.CheckConstraint("(state = 'open') = (closed_at IS NULL)", name="closed_has_a_time"),
    )
    op.create_index("ix_task_area_code", "task", ["area_code"])
    op.create_index("ix_task_assignee_id", "task", ["assignee_id"])
    has_subject = sa.text("subject_id IS NOT NULL")
    op.create_index("ix_task_subject", "task", ["subject_kind", "subject_id"], postgresql_where=has_subject)
    op.create_index("ix_task_open", "task", ["due_on", "id"], postgresql_where=sa.text("state = 'open'"))


def _create_record() -> None:
    op.create_table(
        "record",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("task_id", sa.Uuid(), nullable=True),
        sa.Column("area_code", sa.String(12), sa.ForeignKey("area.code"), nullable=False),
        sa.Column("subject_kind", sa.String(), nullable=True),
        sa.Column("subject_id", sa.Uuid(), nullable=True),
        sa.Column("checklist_code", sa.String(), nullable=False),
        sa.Column("checklist_version", sa.Integer(), nullable=False),
        sa.Column("author_id", sa.Uuid(), sa.ForeignKey("staff.id"), nullable=False),
        sa.Column("device_id", sa.Uuid(), sa.ForeignKey("device.id"), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("started_at", TIME, nullable=False),
        sa.Column("document", postgresql.JSONB(), nullable=False),
        sa.Column("content_hash", sa.String(64), nullable=False),
        sa.Column("received_at", TIME, nullable=False),
        sa.Column("submitted_at", TIME, nullable=True),
        sa.Column("receipt", sa.String(), nullable=True),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("updated_at", TIME, server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["checklist_code", "checklist_version"], ["checklist_template.code", "checklist_template.version"]
        ),
        sa.CheckConstraint(f"kind IN {RECORD_KINDS}", name="kind_is_known"),
        sa.CheckConstraint("state IN ('draft', 'discarded', 'submitted', 'amended')", name="state_is_known"),
        sa.CheckConstraint("(subject_kind IS NULL) = (subject_id IS NULL)", name="subject_is_whole"),
        sa.CheckConstraint("state IN ('draft', 'discarded') OR receipt IS NOT NULL", name="submitted_has_a_receipt"),
    )
    for column in ("task_id", "area_code", "author_id"):
        op.create_index(f"ix_record_{column}", "record", [column])
    op.create_index("ix_record_area_prefix", "record", ["area_code"], postgresql_ops={"area_code": "text_pattern_ops"})
    op.create_index("ix_record_kind_start", "record", ["kind", "area_code", "started_at"])
    has_subject = sa.text("subject_id IS NOT NULL")
    op.create_index("ix_record_subject", "record", ["subject_kind", "subject_id"], postgresql_where=has_subject)


def _create_record_version() -> None:
    op.create_table(
        "record_version",
        sa.Column("record_id", sa.Uuid(), sa.ForeignKey("record.id"), primary_key=True),
        sa.Column("number", sa.Integer(), primary_key=True),
        sa.Column("document", postgresql.JSONB(), nullable=False),
        sa.Column("content_hash", sa.String(64), nullable=False),
        sa.Column("receipt", sa.String(), nullable=False),
        sa.Column("device_id", sa.Uuid(), sa.ForeignKey("device.id"), nullable=False),
        sa.Column("submitted_at", TIME, nullable=False),
        sa.Column("superseded_at", TIME, nullable=False),
    )


def _let_photos_belong_to_anything() -> None:
    """Existing photos fit as they are, and servers of before go on writing those of visits."""
    op.alter_column("evidence", "visit_id", nullable=True)
    op.add_column("evidence", sa.Column("subject_kind", sa.String(), server_default=sa.text("'visit'"), nullable=False))
    op.add_column("evidence", sa.Column("subject_id", sa.Uuid(), nullable=True))
    op.create_check_constraint(
        op.f("ck_evidence_belongs_to_one_thing"),
        "evidence",
        "(subject_kind = 'visit') = (visit_id IS NOT NULL) AND (subject_kind = 'visit') = (subject_id IS NULL)",
        postgresql_not_valid=True,
    )
    op.execute("ALTER TABLE evidence VALIDATE CONSTRAINT ck_evidence_belongs_to_one_thing")
    op.create_index(
        "ix_evidence_subject", "evidence", ["subject_id"], postgresql_where=sa.text("subject_id IS NOT NULL")
    )


def _know_checklists(kinds: tuple[str, ...]) -> None:
    name = "ck_checklist_template_kind_is_known"
    op.drop_constraint(op.f(name), "checklist_template", type_="check")
    op.create_check_constraint(op.f(name), "checklist_template", f"kind IN {kinds}", postgresql_not_valid=True)
    op.execute(f"ALTER TABLE checklist_template VALIDATE CONSTRAINT {name}")


def downgrade() -> None:
    """What was recorded has no place there."""
    lost = op.get_bind().scalar(sa.text("SELECT count(*) FROM record"))
    photos = op.get_bind().scalar(sa.text("SELECT count(*) FROM evidence WHERE subject_kind <> 'visit'"))
    if lost or photos:
        raise RuntimeError(f"going back would lose {lost} records and {photos} photos: keep this version")
    drop_rules(RULES)
    op.execute(
        sa.text(
            "DELETE FROM feed WHERE collection IN ('tasks', 'records') OR collection = 'checklists' AND doc_id IN "
            "(SELECT id::text FROM checklist_template WHERE kind = ANY(:kinds))"
        ).bindparams(kinds=list(RECORD_KINDS))
    )
    op.drop_table("record_version")
    op.drop_table("record")
    op.drop_table("task")
    op.execute(sa.text("DELETE FROM checklist_template WHERE kind = ANY(:kinds)").bindparams(kinds=list(RECORD_KINDS)))
    _know_checklists(VISIT_KINDS)
    op.drop_index("ix_evidence_subject", "evidence")
    op.drop_constraint(op.f("ck_evidence_belongs_to_one_thing"), "evidence", type_="check")
    op.drop_column("evidence", "subject_id")
    op.drop_column("evidence", "subject_kind")
    op.alter_column("evidence", "visit_id", nullable=False)
