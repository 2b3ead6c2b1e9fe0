"""Two people for settings that move money; visits whose examination failed before it was mended are examined again

Revision: 0055, after 0054
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0055"
down_revision = "0054"
branch_labels = None
depends_on = None

# Until times of phones were bounded, a visit of 1970 failed at every attempt.
EXAMINE_AGAIN = """
UPDATE procrastinate_jobs SET status = 'todo', attempts = 0, scheduled_at = NULL, queueing_lock = NULL
WHERE status = 'failed' AND task_name = 'review.examine'
"""


def upgrade() -> None:
    op.add_column("area_rule", sa.Column("agreed_by", sa.Uuid(), nullable=True))
    op.create_foreign_key(op.f("fk_area_rule_agreed_by_staff"), "area_rule", "staff", ["agreed_by"], ["id"])
    op.create_check_constraint(op.f("ck_area_rule_agreed_by_another_person"), "area_rule", "agreed_by <> written_by")
    op.create_table(
        "area_rule_proposal",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("area_code", sa.String(12), nullable=False),
        sa.Column("effective_from", sa.Date(), nullable=False),
        sa.Column("value", postgresql.JSONB(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("proposed_by", sa.Uuid(), nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by", sa.Uuid(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.CheckConstraint(
            "state IN ('proposed', 'accepted', 'rejected')", name=op.f("ck_area_rule_proposal_state_is_known")
        ),
        sa.CheckConstraint(
            "(state = 'proposed') = (decided_by IS NULL)", name=op.f("ck_area_rule_proposal_decided_has_a_decider")
        ),
        sa.CheckConstraint(
            "(decided_by IS NULL) = (decided_at IS NULL)", name=op.f("ck_area_rule_proposal_decided_has_a_time")
        ),
        sa.CheckConstraint("decided_by <> proposed_by", name=op.f("ck_area_rule_proposal_decided_by_another_person")),
        sa.ForeignKeyConstraint(["proposed_by"], ["staff.id"], name=op.f("fk_area_rule_proposal_proposed_by_staff")),
        sa.ForeignKeyConstraint(["decided_by"], ["staff.id"], name=op.f("fk_area_rule_proposal_decided_by_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_area_rule_proposal")),
    )
    op.execute(EXAMINE_AGAIN)


def downgrade() -> None:
    """A proposal can't be decided before: while any waits, it stays."""
    waiting = op.get_bind().scalar(sa.text("SELECT count(*) FROM area_rule_proposal WHERE state = 'proposed'"))
    if waiting:
        raise RuntimeError(f"{waiting} settings wait for a second person: decide them before going back")
    op.drop_table("area_rule_proposal")
    op.drop_constraint(op.f("ck_area_rule_agreed_by_another_person"), "area_rule", type_="check")
    op.drop_constraint(op.f("fk_area_rule_agreed_by_staff"), "area_rule", type_="foreignkey")
    op.drop_column("area_rule", "agreed_by")
