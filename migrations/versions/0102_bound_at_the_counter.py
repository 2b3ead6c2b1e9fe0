"""Bindings at the counter, and notices of another device

Revision: 0102, after 0101
"""

import sqlalchemy as sa
from alembic import op

from migrations.area_rules import drop_rules, write_rules

revision = "0102"
down_revision = "0101"
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
    "grace_ending",
    "payday",
)
WAYS = ("numbers", "phone", "pin", "sms", "counter")
NO_TEMPLATE = {"templateId": "", "page": "", "fields": {"thing1": "what", "time2": "when"}}
RULES = {"notice.template.device_opened": (NO_TEMPLATE, "none until the mini-program has one")}


def upgrade() -> None:
    op.create_table(
        "binding_code",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("resident_id", sa.Uuid(), sa.ForeignKey("resident.id"), nullable=False, unique=True),
        sa.Column("code_hash", sa.LargeBinary(), nullable=False, unique=True),
        sa.Column("made_at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.Column("used_at", TIME, nullable=True),
        sa.Column("used_by", sa.Uuid(), sa.ForeignKey("staff.id"), nullable=True),
        sa.Column("household_id", sa.Uuid(), sa.ForeignKey("household.id"), nullable=True),
        sa.CheckConstraint("num_nonnulls(used_at, used_by, household_id) IN (0, 3)", name="used_by_somebody_there"),
    )
    op.add_column("resident_binding", sa.Column("way", sa.String(), nullable=True))
    op.add_column("resident_binding", sa.Column("bound_by", sa.Uuid(), nullable=True))
    op.add_column("resident_binding", sa.Column("bind_reason", sa.String(), nullable=True))
    op.create_foreign_key(op.f("fk_resident_binding_bound_by_staff"), "resident_binding", "staff", ["bound_by"], ["id"])
    op.create_check_constraint(op.f("ck_resident_binding_way_is_known"), "resident_binding", f"way IN {WAYS}")
    op.create_check_constraint(
        op.f("ck_resident_binding_counter_says_who_and_why"),
        "resident_binding",
        "num_nonnulls(bound_by, bind_reason) = CASE WHEN way = 'counter' THEN 2 ELSE 0 END",
    )
    _know((*OLD_KINDS, "device_opened"))
    write_rules(RULES)


def _know(kinds: tuple[str, ...]) -> None:
    op.drop_constraint(op.f("ck_notice_kind_is_known"), "notice", type_="check")
    op.create_check_constraint(op.f("ck_notice_kind_is_known"), "notice", f"kind IN {kinds}")


def downgrade() -> None:
    drop_rules(RULES)
    op.execute("DELETE FROM notice WHERE kind = 'device_opened'")
    _know(OLD_KINDS)
    op.drop_constraint(op.f("ck_resident_binding_counter_says_who_and_why"), "resident_binding", type_="check")
    op.drop_constraint(op.f("ck_resident_binding_way_is_known"), "resident_binding", type_="check")
    op.drop_constraint(op.f("fk_resident_binding_bound_by_staff"), "resident_binding", type_="foreignkey")
    for column in ("bind_reason", "bound_by", "way"):
        op.drop_column("resident_binding", column)
    op.drop_table("binding_code")
