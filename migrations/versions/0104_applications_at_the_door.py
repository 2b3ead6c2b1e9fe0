"""Applications at the door: a kind of record, and those that wait for the town

Revision: 0104, after 0103
"""

import sqlalchemy as sa
from alembic import op

revision = "0104"
down_revision = "0103"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
VISIT_KINDS = ("intake", "review", "neighbour", "complaint", "spot_check", "care", "housing")
OLD_KINDS = ("publicity", "meeting", "posting", "handout")
KINDS = (*OLD_KINDS, "application")


def upgrade() -> None:
    _know(KINDS)
    op.create_table(
        "door_application",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("area_code", sa.String(12), sa.ForeignKey("area.code"), nullable=False),
        sa.Column("applicant_name", sa.String(), nullable=True),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("author_id", sa.Uuid(), sa.ForeignKey("staff.id"), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("body_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("received_at", TIME, nullable=False),
        sa.Column("settled_at", TIME, nullable=True),
        sa.Column("settled_by", sa.Uuid(), sa.ForeignKey("staff.id"), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.CheckConstraint("state IN ('held', 'opened', 'dismissed')", name="state_is_known"),
        sa.CheckConstraint("(state = 'held') = (body_sealed IS NOT NULL)", name="held_has_its_body"),
        sa.CheckConstraint("(state = 'held') = (applicant_name IS NOT NULL)", name="held_has_a_name"),
        sa.CheckConstraint("(state = 'held') = (settled_at IS NULL)", name="settled_has_a_time"),
        sa.CheckConstraint("state <> 'dismissed' OR reason IS NOT NULL", name="dismissed_has_a_reason"),
    )
    for column in ("area_code", "author_id"):
        op.create_index(f"ix_door_application_{column}", "door_application", [column])
    is_held = sa.text("state = 'held'")
    op.create_index("ix_door_application_held", "door_application", ["received_at", "id"], postgresql_where=is_held)


def _know(kinds: tuple[str, ...]) -> None:
    """Existing rows fit, so that a table is only locked for a moment; they are verified afterwards."""
    for table, allowed in (("task", kinds), ("record", kinds), ("checklist_template", (*VISIT_KINDS, *kinds))):
        name = f"ck_{table}_kind_is_known"
        op.drop_constraint(op.f(name), table, type_="check")
        op.create_check_constraint(op.f(name), table, f"kind IN {allowed}", postgresql_not_valid=True)
        op.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}")


def downgrade() -> None:
    """What was recorded of applications has no place there."""
    bind = op.get_bind()
    records = bind.scalar(sa.text("SELECT count(*) FROM record WHERE kind = 'application'"))
    waiting = bind.scalar(sa.text("SELECT count(*) FROM door_application"))
    if records or waiting:
        raise RuntimeError(
            f"going back would lose {records} records and {waiting} applications at the door: keep this version"
        )
    op.drop_table("door_application")
    op.execute(
        "DELETE FROM feed WHERE collection = 'tasks' AND doc_id IN "
        "(SELECT id::text FROM task WHERE kind = 'application') OR collection = 'checklists' AND doc_id IN "
        "(SELECT id::text FROM checklist_template WHERE kind = 'application')"
    )
    op.execute("DELETE FROM task WHERE kind = 'application'")
    op.execute("DELETE FROM checklist_template WHERE kind = 'application'")
    _know(OLD_KINDS)
