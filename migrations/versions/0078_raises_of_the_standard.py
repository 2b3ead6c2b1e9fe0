"""Raises of the standard: proposed with a preview of each home, confirmed by a second person

Revision: 0078, after 0077
"""

import sqlalchemy as sa
from alembic import op

revision = "0078"
down_revision = "0077"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
STATES = "('previewing', 'ready', 'declined', 'applying', 'applied', 'undoing', 'undone')"
DOUBTS = (
    "('programme_missing', 'members_missing', 'not_paid_yet', 'stop_to_come', 'decided_later', 'proposal_open', "
    "'found_differs', 'differs_before', 'not_eligible', 'lower', 'changed_since', 'decided_since')"
)


def upgrade() -> None:
    op.create_table(
        "standard_raise",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("area_code", sa.String(12), sa.ForeignKey("area.code"), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("urban_fen", sa.Integer(), nullable=True),
        sa.Column("rural_fen", sa.Integer(), nullable=True),
        sa.Column("urban_before_fen", sa.Integer(), nullable=True),
        sa.Column("rural_before_fen", sa.Integer(), nullable=True),
        sa.Column("document", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("proposed_by", sa.Uuid(), sa.ForeignKey("staff.id"), nullable=False),
        sa.Column("proposed_at", TIME, nullable=False),
        sa.Column("reached_case_id", sa.Uuid(), nullable=True),
        sa.Column("elsewhere", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("decided_by", sa.Uuid(), sa.ForeignKey("staff.id"), nullable=True),
        sa.Column("decided_at", TIME, nullable=True),
        sa.Column("answer", sa.String(), server_default=sa.text("''"), nullable=False),
        sa.Column("applied_at", TIME, nullable=True),
        sa.Column("undo_proposed_by", sa.Uuid(), sa.ForeignKey("staff.id"), nullable=True),
        sa.Column("undo_proposed_at", TIME, nullable=True),
        sa.Column("undo_reason", sa.String(), server_default=sa.text("''"), nullable=False),
        sa.Column("undone_by", sa.Uuid(), sa.ForeignKey("staff.id"), nullable=True),
        sa.Column("undone_at", TIME, nullable=True),
        sa.CheckConstraint(f"state IN {STATES}", name="state_is_known"),
        sa.CheckConstraint("date_part('day', month) = 1", name="month_is_a_first"),
        sa.CheckConstraint("urban_fen IS NOT NULL OR rural_fen IS NOT NULL", name="something_is_raised"),
        sa.CheckConstraint("urban_fen > urban_before_fen AND rural_fen > rural_before_fen", name="raised_is_more"),
        sa.CheckConstraint("document <> ''", name="document_is_named"),
        sa.CheckConstraint("decided_by <> proposed_by", name="raise_takes_two"),
        sa.CheckConstraint("undone_by <> undo_proposed_by", name="undo_takes_two"),
    )
    op.create_index("ix_standard_raise_area_code", "standard_raise", ["area_code"])
    op.create_table(
        "standard_raise_line",
        sa.Column("raise_id", sa.Uuid(), sa.ForeignKey("standard_raise.id"), primary_key=True),
        sa.Column("case_id", sa.Uuid(), sa.ForeignKey("case_file.id"), primary_key=True),
        sa.Column("household_id", sa.Uuid(), sa.ForeignKey("household.id"), nullable=False),
        sa.Column("area_code", sa.String(12), sa.ForeignKey("area.code"), nullable=False),
        sa.Column("programme", sa.String(), nullable=True),
        sa.Column("people", sa.Integer(), nullable=False),
        sa.Column("before_fen", sa.Integer(), nullable=False),
        sa.Column("after_fen", sa.Integer(), nullable=True),
        sa.Column("doubt", sa.String(), nullable=True),
        sa.Column("rank", sa.SmallInteger(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("change_id", sa.Uuid(), sa.ForeignKey("benefit_change.id"), nullable=True),
        sa.CheckConstraint("programme IN ('urban', 'rural')", name="programme_is_known"),
        sa.CheckConstraint(f"doubt IN {DOUBTS}", name="doubt_is_known"),
        sa.CheckConstraint("outcome IN ('applied', 'left', 'undone', 'kept')", name="outcome_is_known"),
        sa.CheckConstraint("before_fen >= 0 AND after_fen >= 0", name="amounts_are_not_negative"),
        sa.CheckConstraint("(doubt IS NULL) = (rank > 0)", name="doubts_are_on_top"),
    )
    op.create_index("ix_standard_raise_line_area_code", "standard_raise_line", ["area_code"])
    op.create_index("ix_standard_raise_line_rank", "standard_raise_line", ["raise_id", "rank", "area_code", "case_id"])


def downgrade() -> None:
    """What was raised stays as decided; how it was previewed goes."""
    waiting = op.get_bind().scalar(
        sa.text(
            "SELECT (SELECT count(*) FROM standard_raise WHERE state IN ('ready', 'previewing', 'applying', 'undoing'))"
            " + (SELECT count(*) FROM case_event WHERE step IN ('standard_raised', 'raise_undone'))"
        )
    )
    if waiting:
        raise RuntimeError(f"going back would lose {waiting} raises or steps of cases: keep this version")
    op.drop_table("standard_raise_line")
    op.drop_table("standard_raise")
