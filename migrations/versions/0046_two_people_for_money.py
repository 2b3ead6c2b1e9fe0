"""Two people for a bank account and for declared relatives; notices of both, and of changes to sign-in

Revision: 0046, after 0045
"""

import sqlalchemy as sa
from alembic import op

from migrations.area_rules import drop_rules, write_rules

revision = "0046"
down_revision = "0045"
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
)
NEW_KINDS = ("register_changed", "sign_in_changed")
NO_TEMPLATE = {"templateId": "", "page": "", "fields": {"thing1": "what", "time2": "when"}}
RULES = {f"notice.template.{kind}": (NO_TEMPLATE, "none until the mini-program has one") for kind in NEW_KINDS}


def upgrade() -> None:
    op.add_column("proposal", sa.Column("guards", sa.String(), nullable=True))
    op.create_check_constraint(op.f("ck_proposal_guards_is_known"), "proposal", "guards IN ('bank', 'relatives')")
    op.create_check_constraint(
        op.f("ck_proposal_guarded_takes_two"), "proposal", "guards IS NULL OR decided_by <> author_id"
    )
    _know((*OLD_KINDS, *NEW_KINDS))
    write_rules(RULES)


def _know(kinds: tuple[str, ...]) -> None:
    op.drop_constraint(op.f("ck_notice_kind_is_known"), "notice", type_="check")
    op.create_check_constraint(op.f("ck_notice_kind_is_known"), "notice", f"kind IN {kinds}")


def downgrade() -> None:
    """A change that waits for its second person can't be decided before: while there are any, it stays."""
    waiting = op.get_bind().scalar(
        sa.text("SELECT count(*) FROM proposal WHERE guards IS NOT NULL AND state = 'proposed'")
    )
    if waiting:
        raise RuntimeError(f"{waiting} changes wait for a second person: decide them before going back")
    drop_rules(RULES)
    op.execute("DELETE FROM notice WHERE kind IN ('register_changed', 'sign_in_changed')")
    op.execute("DELETE FROM proposal WHERE guards IS NOT NULL")
    _know(OLD_KINDS)
    op.drop_constraint(op.f("ck_proposal_guarded_takes_two"), "proposal")
    op.drop_constraint(op.f("ck_proposal_guards_is_known"), "proposal")
    op.drop_column("proposal", "guards")
