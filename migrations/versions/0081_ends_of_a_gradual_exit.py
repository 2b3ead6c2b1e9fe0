"""Ends of a gradual exit, as lines of an inbox

Revision: 0081, after 0080
"""

import sqlalchemy as sa
from alembic import op

from migrations.area_rules import drop_rules, write_rules

revision = "0081"
down_revision = "0080"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
OLD_KINDS = (
    "assigned",
    "returned",
    "due_tomorrow",
    "visit_blocked",
    "complaint_due",
    "papers",
    "accepted",
    "posted",
    "decided",
    "answered",
    "changed",
    "bound",
    "register_changed",
    "sign_in_changed",
    "deadline_moved",
    "proof_due",
)
NO_TEMPLATE = {"templateId": "", "page": "", "fields": {"thing1": "what", "time2": "when"}}
RULES: dict[str, tuple[object, str]] = {
    "grace.defer_most_months": (3, "project default; 民发〔2022〕83号 sets 6 months for the grace in principle"),
    "notice.template.grace_ending": (NO_TEMPLATE, "none until the mini-program has one"),
}


def upgrade() -> None:
    op.create_table(
        "grace_end",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("case_id", sa.Uuid(), sa.ForeignKey("case_file.id"), nullable=False),
        sa.Column("household_id", sa.Uuid(), sa.ForeignKey("household.id"), nullable=False),
        sa.Column("area_code", sa.String(12), sa.ForeignKey("area.code"), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("found_at", TIME, nullable=False),
        sa.Column("deferred_at", TIME, nullable=True),
        sa.Column("deferred_by", sa.Uuid(), sa.ForeignKey("staff.id"), nullable=True),
        sa.Column("deferral_reason", sa.String(), server_default=sa.text("''"), nullable=False),
        sa.Column("settled_at", TIME, nullable=True),
        sa.UniqueConstraint("case_id", "ends_on"),
        sa.CheckConstraint("date_part('day', ends_on) = 1", name="ends_on_a_first"),
        sa.CheckConstraint("due_on >= ends_on", name="due_once_it_ends"),
        sa.CheckConstraint(
            "(deferred_at IS NULL) = (deferred_by IS NULL) AND (deferred_at IS NULL) = (deferral_reason = '')",
            name="deferral_has_a_reason",
        ),
    )
    op.create_index("ix_grace_end_open", "grace_end", ["due_on", "id"], postgresql_where=sa.text("settled_at IS NULL"))
    op.create_index("ix_grace_end_household_id", "grace_end", ["household_id"])
    op.create_index("ix_grace_end_area_code", "grace_end", ["area_code"])
    _know((*OLD_KINDS, "grace_ending"))
    write_rules(RULES)


def _know(kinds: tuple[str, ...]) -> None:
    op.drop_constraint(op.f("ck_notice_kind_is_known"), "notice", type_="check")
    op.create_check_constraint(op.f("ck_notice_kind_is_known"), "notice", f"kind IN {kinds}")


def downgrade() -> None:
    """The lines are found again by the next version's job; what was deferred is in the audit trail."""
    drop_rules(RULES)
    op.execute("DELETE FROM notice WHERE kind = 'grace_ending'")
    _know(OLD_KINDS)
    op.drop_table("grace_end")
