"""Secrets that nobody guesses: a PIN on the slip of a case, locks that grow, a notice when somebody binds

Revision: 0040, after 0039
"""

import sqlalchemy as sa
from alembic import op

from migrations.area_rules import drop_rules, write_rules

revision = "0040"
down_revision = "0039"
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
)
KINDS = (*OLD_KINDS, "bound")
NO_TEMPLATE = {"templateId": "", "page": "", "fields": {"thing1": "what", "time2": "when"}}
RULES: dict[str, tuple[object, str]] = {
    "notice.template.bound": (NO_TEMPLATE, "none until the mini-program has one"),
    "household.id_checks_per_day": (60, "project default: a day of visits has about ten households of three"),
}


def upgrade() -> None:
    op.add_column("case_file", sa.Column("look_up_pin", sa.LargeBinary(), nullable=True))
    op.create_table(
        "attempt_lock",
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("locked_until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("subject", name=op.f("pk_attempt_lock")),
    )
    op.create_index(op.f("ix_attempt_lock_failed_at"), "attempt_lock", ["failed_at"])
    _set_kinds(KINDS)
    write_rules(RULES)


def _set_kinds(kinds: tuple[str, ...]) -> None:
    op.drop_constraint(op.f("ck_notice_kind_is_known"), "notice", type_="check")
    op.create_check_constraint(op.f("ck_notice_kind_is_known"), "notice", f"kind IN {kinds}")


def downgrade() -> None:
    """Notices of the new kind have no place before: while there are any, it stays."""
    notices = op.get_bind().scalar(sa.text("SELECT count(*) FROM notice WHERE kind = 'bound'"))
    if notices:
        raise RuntimeError(f"going back would lose {notices} notices: keep this version, or restore a backup")
    drop_rules(RULES)
    _set_kinds(OLD_KINDS)
    op.drop_index(op.f("ix_attempt_lock_failed_at"), "attempt_lock")
    op.drop_table("attempt_lock")
    op.drop_column("case_file", "look_up_pin")
