"""Lines that come back after they were paid, homes granted since a raise was previewed, and figures taken back by two

Revision: 0083, after 0082
"""

import sqlalchemy as sa
from alembic import op

revision = "0083"
down_revision = "0082"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
OLD_DOUBTS = (
    "programme_missing",
    "members_missing",
    "not_paid_yet",
    "stop_to_come",
    "decided_later",
    "proposal_open",
    "found_differs",
    "differs_before",
    "not_eligible",
    "lower",
    "changed_since",
    "decided_since",
)


def upgrade() -> None:
    op.add_column("roster_line", sa.Column("paid_at", TIME, nullable=True))
    _create_late_return()
    _doubt_among((*OLD_DOUBTS, "granted_since"))
    op.add_column("grace_end", sa.Column("settled_by", sa.Uuid(), sa.ForeignKey("staff.id"), nullable=True))
    op.add_column("grace_end", sa.Column("settled_reason", sa.String(), server_default=sa.text("''"), nullable=False))
    op.create_check_constraint(
        op.f("ck_grace_end_settled_by_has_a_reason"), "grace_end", "settled_by IS NULL OR settled_reason <> ''"
    )
    _create_withdrawal_proposal()


def _create_late_return() -> None:
    op.create_table(
        "late_return",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("roster_id", sa.Uuid(), sa.ForeignKey("roster.id"), nullable=False),
        sa.Column("line_id", sa.Uuid(), sa.ForeignKey("roster_line.id"), nullable=False),
        sa.Column("returned_on", sa.Date(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("proposed_by", sa.Uuid(), sa.ForeignKey("staff.id"), nullable=False),
        sa.Column("proposed_at", TIME, nullable=False),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("answer", sa.String(), server_default=sa.text("''"), nullable=False),
        sa.Column("decided_by", sa.Uuid(), sa.ForeignKey("staff.id"), nullable=True),
        sa.Column("decided_at", TIME, nullable=True),
        sa.CheckConstraint("outcome IN ('confirmed', 'declined')", name="outcome_is_known"),
        sa.CheckConstraint("decided_by <> proposed_by", name="late_return_takes_two"),
        sa.CheckConstraint(
            "(outcome IS NULL) = (decided_by IS NULL) AND (outcome IS NULL) = (decided_at IS NULL)",
            name="outcome_is_a_persons",
        ),
        sa.CheckConstraint("reason <> ''", name="reason_is_written"),
    )
    op.create_index(
        "uq_late_return_waiting", "late_return", ["line_id"], unique=True, postgresql_where=sa.text("outcome IS NULL")
    )
    op.create_index("ix_late_return_roster", "late_return", ["roster_id"])


def _create_withdrawal_proposal() -> None:
    op.create_table(
        "withdrawal_proposal",
        sa.Column("visit_id", sa.Uuid(), sa.ForeignKey("visit.id"), primary_key=True),
        sa.Column("act", sa.String(), primary_key=True),
        sa.Column("proposed_by", sa.Uuid(), sa.ForeignKey("staff.id"), nullable=False),
        sa.Column("proposed_at", TIME, nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.CheckConstraint("act IN ('void', 'reopen')", name="act_is_known"),
        sa.CheckConstraint("reason <> ''", name="reason_is_written"),
    )


def _doubt_among(doubts: tuple[str, ...]) -> None:
    name = op.f("ck_standard_raise_line_doubt_is_known")
    op.drop_constraint(name, "standard_raise_line", type_="check")
    op.create_check_constraint(name, "standard_raise_line", f"doubt IN {doubts}")


def downgrade() -> None:
    """What came back after it was paid is accounting, and what somebody proposed or settled has a reason: it stays."""
    late = op.get_bind().scalar(sa.text("SELECT count(*) FROM roster_line WHERE paid_at IS NOT NULL"))
    if late:
        raise RuntimeError(f"{late} payments came back after they were paid: keep this version")
    for rows, what in (
        ("SELECT count(*) FROM late_return", "payments are reported as come back"),
        ("SELECT count(*) FROM withdrawal_proposal", "withdrawals of visits are proposed"),
        ("SELECT count(*) FROM grace_end WHERE settled_by IS NOT NULL", "ends of gradual exits are settled"),
    ):
        if count := op.get_bind().scalar(sa.text(rows)):
            raise RuntimeError(f"{count} {what}: keep this version")
    op.drop_table("withdrawal_proposal")
    op.drop_constraint(op.f("ck_grace_end_settled_by_has_a_reason"), "grace_end", type_="check")
    op.drop_column("grace_end", "settled_reason")
    op.drop_column("grace_end", "settled_by")
    op.execute("UPDATE standard_raise_line SET doubt = 'changed_since' WHERE doubt = 'granted_since'")
    _doubt_among(OLD_DOUBTS)
    op.drop_table("late_return")
    op.drop_column("roster_line", "paid_at")
