"""The message of payday

Revision: 0084, after 0083
"""

from alembic import op

from migrations.area_rules import drop_rules, write_rules

revision = "0084"
down_revision = "0083"
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
    "deadline_moved",
    "proof_due",
    "grace_ending",
)
NO_TEMPLATE = {"templateId": "", "page": "", "fields": {"thing1": "what", "time2": "when"}}
RULES: dict[str, tuple[object, str]] = {
    "roster.payday": (10, "practice of offices: the agent bank has credited by the 10th of the month"),
    "roster.payday_shows_sum": (False, "project default: a locked screen shows a message to anybody"),
    "notice.template.payday": (NO_TEMPLATE, "none until the mini-program has one"),
}


def upgrade() -> None:
    _know((*OLD_KINDS, "payday"))
    write_rules(RULES)


def _know(kinds: tuple[str, ...]) -> None:
    op.drop_constraint(op.f("ck_notice_kind_is_known"), "notice", type_="check")
    op.create_check_constraint(op.f("ck_notice_kind_is_known"), "notice", f"kind IN {kinds}")


def downgrade() -> None:
    """A notice of a payday that was made says nothing that the payments don't."""
    drop_rules(RULES)
    op.execute("DELETE FROM notice WHERE kind = 'payday'")
    _know(OLD_KINDS)
