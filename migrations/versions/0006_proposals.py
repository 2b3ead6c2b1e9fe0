"""Proposals from the door, and a short way to the visits that wait for a part

Revision: 0006, after 0005
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "proposal",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("author_id", sa.Uuid(), nullable=False),
        sa.Column("device_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("document", postgresql.JSONB(), nullable=False),
        sa.Column("content_hash", sa.String(64), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by", sa.Uuid(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.CheckConstraint(
            "state IN ('proposed', 'withdrawn', 'accepted', 'rejected')", name=op.f("ck_proposal_state_is_known")
        ),
        sa.CheckConstraint(
            "(state IN ('accepted', 'rejected')) = (decided_at IS NOT NULL)",
            name=op.f("ck_proposal_decided_has_a_time"),
        ),
        sa.ForeignKeyConstraint(["household_id"], ["household.id"], name=op.f("fk_proposal_household_id_household")),
        sa.ForeignKeyConstraint(["author_id"], ["staff.id"], name=op.f("fk_proposal_author_id_staff")),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], name=op.f("fk_proposal_device_id_device")),
        sa.ForeignKeyConstraint(["decided_by"], ["staff.id"], name=op.f("fk_proposal_decided_by_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_proposal")),
    )
    op.create_index("ix_proposal_household", "proposal", ["household_id", "state"])
    op.create_index(op.f("ix_proposal_author_id"), "proposal", ["author_id"])
    op.create_index(
        "ix_visit_waiting",
        "visit",
        [sa.text("submitted_at DESC")],
        postgresql_where=sa.text("state = 'submitted' AND complete_at IS NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_visit_waiting", "visit")
    op.drop_table("proposal")
