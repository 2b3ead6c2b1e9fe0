"""Notices, consents to WeChat's messages, and what bulk acceptance tolerates

Revision: 0009, after 0008
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.area_rules import drop_rules, write_rules

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

KINDS = ("assigned", "returned", "due_tomorrow", "accepted", "posted", "decided")
MESSAGES = ("none", "waiting", "sending", "sent", "no_consent", "refused", "parked", "unsure")
# Without a template's id nothing is sent by WeChat; the notice in the app is there all the same.
NO_TEMPLATE = {"templateId": "", "page": "", "fields": {"thing1": "what", "time2": "when"}}
DEFAULT_RULES: dict[str, tuple[object, str]] = {
    **{f"notice.template.{kind}": (NO_TEMPLATE, "none until the mini-program has one") for kind in KINDS},
    "notice.quiet_hours": ({"from": 21, "to": 8}, "project default: nobody is woken"),
    "review.bulk_tolerates": ([], "project default: in bulk only visits without any finding"),
}
LEFT = "answer = 'accept' AND notice_id IS NULL AND void_at IS NULL"


def upgrade() -> None:
    op.create_table(
        "notice",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("staff_id", sa.Uuid(), nullable=True),
        sa.Column("resident_id", sa.Uuid(), nullable=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("thing", sa.String(), nullable=False),
        sa.Column("area_code", sa.String(length=12), nullable=False),
        sa.Column("facts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("message", sa.String(), nullable=False),
        sa.Column("message_why", sa.String(), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(f"kind IN {KINDS}", name=op.f("ck_notice_kind_is_known")),
        sa.CheckConstraint(f"message IN {MESSAGES}", name=op.f("ck_notice_message_is_known")),
        sa.CheckConstraint("num_nonnulls(staff_id, resident_id) = 1", name=op.f("ck_notice_one_reader")),
        sa.ForeignKeyConstraint(["area_code"], ["area.code"], name=op.f("fk_notice_area_code_area")),
        sa.ForeignKeyConstraint(["resident_id"], ["resident.id"], name=op.f("fk_notice_resident_id_resident")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_notice_staff_id_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice")),
        sa.UniqueConstraint("resident_id", "kind", "thing", name=op.f("uq_notice_resident_id_kind_thing")),
        sa.UniqueConstraint("staff_id", "kind", "thing", name=op.f("uq_notice_staff_id_kind_thing")),
    )
    op.create_index(op.f("ix_notice_area_code"), "notice", ["area_code"])
    op.create_index("ix_notice_staff", "notice", ["staff_id", sa.text("made_at DESC"), sa.text("id DESC")])
    op.create_index("ix_notice_resident", "notice", ["resident_id", sa.text("made_at DESC"), sa.text("id DESC")])
    op.create_index(
        "ix_notice_parked", "notice", ["area_code"], postgresql_where=sa.text("message IN ('parked', 'unsure')")
    )
    op.create_table(
        "message_consent",
        sa.Column("report_id", sa.Uuid(), nullable=False),
        sa.Column("template_id", sa.String(), nullable=False),
        sa.Column("staff_id", sa.Uuid(), nullable=True),
        sa.Column("resident_id", sa.Uuid(), nullable=True),
        sa.Column("answer", sa.String(), nullable=False),
        sa.Column("given_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("notice_id", sa.Uuid(), nullable=True),
        sa.Column("void_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("num_nonnulls(staff_id, resident_id) = 1", name=op.f("ck_message_consent_one_giver")),
        sa.CheckConstraint(
            "answer = 'accept' OR notice_id IS NULL", name=op.f("ck_message_consent_only_accepted_is_spent")
        ),
        sa.ForeignKeyConstraint(["notice_id"], ["notice.id"], name=op.f("fk_message_consent_notice_id_notice")),
        sa.ForeignKeyConstraint(["resident_id"], ["resident.id"], name=op.f("fk_message_consent_resident_id_resident")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_message_consent_staff_id_staff")),
        sa.PrimaryKeyConstraint("report_id", "template_id", name=op.f("pk_message_consent")),
        sa.UniqueConstraint("notice_id", name=op.f("uq_message_consent_notice_id")),
    )
    for person in ("staff", "resident"):
        op.create_index(
            f"ix_message_consent_{person}",
            "message_consent",
            [f"{person}_id", "template_id"],
            postgresql_where=sa.text(LEFT),
        )
    write_rules(DEFAULT_RULES)


def downgrade() -> None:
    drop_rules(DEFAULT_RULES)
    op.drop_table("message_consent")
    op.drop_table("notice")
