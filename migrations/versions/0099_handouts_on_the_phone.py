"""Handouts on the phone: records of lines of aid, and what became of each in the ledger

Revision: 0099, after 0098
"""

import sqlalchemy as sa
from alembic import op

from migrations.area_rules import drop_rules, write_rules

revision = "0099"
down_revision = "0098"
branch_labels = None
depends_on = None

VISIT_KINDS = ("intake", "review", "neighbour", "complaint", "spot_check", "care", "housing")
OLD_KINDS = ("publicity", "meeting", "posting")
KINDS = (*OLD_KINDS, "handout")
OUTCOMES = ("entered", "repeated", "late", "contrary", "overtaken")
RULES = {"aid.handout_days": (14, "project default: two weeks to hand out what was released; 0 hands out at the desk")}


def upgrade() -> None:
    _know(KINDS)
    op.add_column("aid_line", sa.Column("record_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(op.f("fk_aid_line_record_id_record"), "aid_line", "record", ["record_id"], ["id"])
    op.create_index(op.f("ix_aid_line_record_id"), "aid_line", ["record_id"])
    op.create_table(
        "aid_line_record",
        sa.Column("record_id", sa.Uuid(), sa.ForeignKey("record.id"), primary_key=True),
        sa.Column("line_id", sa.Uuid(), sa.ForeignKey("aid_line.id"), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("is_changed", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("looked_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(f"outcome IN {OUTCOMES}", name="outcome_is_known"),
    )
    op.create_index(op.f("ix_aid_line_record_line_id"), "aid_line_record", ["line_id"])
    write_rules(RULES)


def _know(kinds: tuple[str, ...]) -> None:
    """Existing rows fit, so that a table is only locked for a moment; they are verified afterwards."""
    for table, allowed in (("task", kinds), ("record", kinds), ("checklist_template", (*VISIT_KINDS, *kinds))):
        name = f"ck_{table}_kind_is_known"
        op.drop_constraint(op.f(name), table, type_="check")
        op.create_check_constraint(op.f(name), table, f"kind IN {allowed}", postgresql_not_valid=True)
        op.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}")


def downgrade() -> None:
    """What was recorded of handouts has no place there."""
    lost = op.get_bind().scalar(sa.text("SELECT count(*) FROM record WHERE kind = 'handout'"))
    if lost:
        raise RuntimeError(f"going back would lose {lost} records of handouts: keep this version")
    drop_rules(RULES)
    op.drop_table("aid_line_record")
    op.drop_index(op.f("ix_aid_line_record_id"), "aid_line")
    op.drop_constraint(op.f("fk_aid_line_record_id_record"), "aid_line", type_="foreignkey")
    op.drop_column("aid_line", "record_id")
    op.execute(
        "DELETE FROM feed WHERE collection = 'tasks' AND doc_id IN (SELECT id::text FROM task WHERE kind = 'handout')"
        " OR collection = 'checklists' AND doc_id IN (SELECT id::text FROM checklist_template WHERE kind = 'handout')"
    )
    op.execute("DELETE FROM task WHERE kind = 'handout'")
    op.execute("DELETE FROM checklist_template WHERE kind = 'handout'")
    _know(OLD_KINDS)
