"""Notices to residents whose deadline is counted anew by a new calendar

Revision: 0071, after 0070
"""

from alembic import op

from migrations.area_rules import drop_rules, write_rules

revision = "0071"
down_revision = "0070"
branch_labels = None
depends_on = None

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
)
NO_TEMPLATE = {"templateId": "", "page": "", "fields": {"thing1": "what", "time2": "when"}}
RULES = {"notice.template.deadline_moved": (NO_TEMPLATE, "none until the mini-program has one")}


def upgrade() -> None:
    _know((*OLD_KINDS, "deadline_moved"))
    write_rules(RULES)


def downgrade() -> None:
    drop_rules(RULES)
    op.execute("DELETE FROM notice WHERE kind = 'deadline_moved'")
    _know(OLD_KINDS)


def _know(kinds: tuple[str, ...]) -> None:
    op.drop_constraint(op.f("ck_notice_kind_is_known"), "notice", type_="check")
    op.create_check_constraint(op.f("ck_notice_kind_is_known"), "notice", f"kind IN {kinds}")
