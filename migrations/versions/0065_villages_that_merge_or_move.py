"""Villages that merge or move to another town

Revision: 0065, after 0064
"""

import sqlalchemy as sa
from alembic import op

revision = "0065"
down_revision = "0064"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "area_change",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("from_code", sa.String(12), nullable=False),
        sa.Column("to_code", sa.String(12), nullable=False),
        sa.Column("to_name", sa.String(), nullable=False),
        sa.Column("effective_on", sa.Date(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("proposed_by", sa.Uuid(), nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by", sa.Uuid(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answer", sa.String(), nullable=True),
        sa.Column("applied_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("households", sa.Integer(), nullable=True),
        sa.CheckConstraint("kind IN ('merged', 'moved')", name=op.f("ck_area_change_kind_is_known")),
        sa.CheckConstraint(
            "state IN ('proposed', 'accepted', 'rejected', 'applied')", name=op.f("ck_area_change_state_is_known")
        ),
        sa.CheckConstraint("from_code <> to_code", name=op.f("ck_area_change_goes_elsewhere")),
        sa.CheckConstraint("reason <> ''", name=op.f("ck_area_change_reason_is_written")),
        sa.CheckConstraint("decided_by <> proposed_by", name=op.f("ck_area_change_takes_two_people")),
        sa.CheckConstraint(
            "(state = 'proposed') = (decided_by IS NULL) AND (decided_by IS NULL) = (decided_at IS NULL)",
            name=op.f("ck_area_change_decided_has_a_decider"),
        ),
        sa.CheckConstraint(
            "(state = 'applied') = (applied_at IS NOT NULL)", name=op.f("ck_area_change_applied_has_a_time")
        ),
        sa.ForeignKeyConstraint(["from_code"], ["area.code"], name=op.f("fk_area_change_from_code_area")),
        sa.ForeignKeyConstraint(["proposed_by"], ["staff.id"], name=op.f("fk_area_change_proposed_by_staff")),
        sa.ForeignKeyConstraint(["decided_by"], ["staff.id"], name=op.f("fk_area_change_decided_by_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_area_change")),
    )
    op.create_index(
        "uq_area_change_waiting",
        "area_change",
        ["from_code"],
        unique=True,
        postgresql_where=sa.text("state IN ('proposed', 'accepted')"),
    )


def downgrade() -> None:
    """A change that waits for its day would never happen."""
    waiting = op.get_bind().scalar(sa.text("SELECT count(*) FROM area_change WHERE state IN ('proposed', 'accepted')"))
    if waiting:
        raise RuntimeError(f"{waiting} changes of villages wait: decide them and let their day pass before going back")
    op.drop_table("area_change")
