"""Visits that were ordered where no checklist of their kind is published are kept, and told of

Revision: 0025, after 0024
"""

import sqlalchemy as sa
from alembic import op

from migrations.area_rules import drop_rules, write_rules

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

OLD_KINDS = (
    "assigned",
    "returned",
    "due_tomorrow",
    "complaint_due",
    "papers",
    "accepted",
    "posted",
    "decided",
    "answered",
    "changed",
)
KINDS = (*OLD_KINDS[:3], "visit_blocked", *OLD_KINDS[3:])
VISITS = ("intake", "review", "neighbour", "complaint", "spot_check", "care")
NO_TEMPLATE = {"templateId": "", "page": "", "fields": {"thing1": "what", "time2": "when"}}
RULES = {"notice.template.visit_blocked": (NO_TEMPLATE, "none until the mini-program has one")}


def upgrade() -> None:
    op.create_table(
        "blocked_visit",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=True),
        sa.Column("area_code", sa.String(length=12), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("ordered_by", sa.Uuid(), nullable=True),
        sa.Column("ordered_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("assignment_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint(f"kind IN {VISITS}", name=op.f("ck_blocked_visit_kind_is_known")),
        sa.CheckConstraint(
            "assignment_id IS NULL OR ended_at IS NOT NULL", name=op.f("ck_blocked_visit_an_assigned_one_has_ended")
        ),
        sa.ForeignKeyConstraint(["area_code"], ["area.code"], name=op.f("fk_blocked_visit_area_code_area")),
        sa.ForeignKeyConstraint(
            ["assignment_id"], ["assignment.id"], name=op.f("fk_blocked_visit_assignment_id_assignment")
        ),
        sa.ForeignKeyConstraint(["case_id"], ["case_file.id"], name=op.f("fk_blocked_visit_case_id_case_file")),
        sa.ForeignKeyConstraint(
            ["household_id"], ["household.id"], name=op.f("fk_blocked_visit_household_id_household")
        ),
        sa.ForeignKeyConstraint(["ordered_by"], ["staff.id"], name=op.f("fk_blocked_visit_ordered_by_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_blocked_visit")),
    )
    op.create_index("ix_blocked_visit_area_code", "blocked_visit", ["area_code"])
    op.create_index("ix_blocked_visit_case_id", "blocked_visit", ["case_id"])
    op.create_index(
        "uq_blocked_visit_open",
        "blocked_visit",
        ["household_id", "kind"],
        unique=True,
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    _know(KINDS)
    write_rules(RULES)


def _know(kinds: tuple[str, ...]) -> None:
    op.drop_constraint(op.f("ck_notice_kind_is_known"), "notice", type_="check")
    op.create_check_constraint(op.f("ck_notice_kind_is_known"), "notice", f"kind IN {kinds}")


def downgrade() -> None:
    """Orders that wait have no place before, and are nobody's to lose: while there are any, it stays."""
    waiting = op.get_bind().scalar(sa.text("SELECT count(*) FROM blocked_visit WHERE ended_at IS NULL"))
    if waiting:
        raise RuntimeError(f"{waiting} visits wait for a checklist: publish one before going back")
    drop_rules(RULES)
    op.execute("DELETE FROM notice WHERE kind = 'visit_blocked'")
    _know(OLD_KINDS)
    op.drop_table("blocked_visit")
