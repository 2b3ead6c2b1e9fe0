"""Visits that were voided: when, by whom and why

Revision: 0059, after 0058
"""

import sqlalchemy as sa
from alembic import op

revision = "0059"
down_revision = "0058"
branch_labels = None
depends_on = None

OLD_STATES = ("draft", "discarded", "submitted", "amended", "under_review", "accepted", "returned", "escalated")
STATES = (*OLD_STATES, "voided")
OLD_WHYS = ("undone", "reopened", "amended", "spot_check")


def upgrade() -> None:
    op.add_column("visit", sa.Column("voided_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("visit", sa.Column("voided_by", sa.Uuid(), nullable=True))
    op.add_column("visit", sa.Column("void_reason", sa.String(), nullable=True))
    op.create_foreign_key(op.f("fk_visit_voided_by_staff"), "visit", "staff", ["voided_by"], ["id"])
    _allow(STATES)
    op.create_check_constraint(
        op.f("ck_visit_voided_has_a_reason"),
        "visit",
        "(state = 'voided') = (voided_at IS NOT NULL AND voided_by IS NOT NULL AND void_reason IS NOT NULL)",
        postgresql_not_valid=True,
    )
    op.execute("ALTER TABLE visit VALIDATE CONSTRAINT ck_visit_voided_has_a_reason")
    op.create_index("ix_visit_voided", "visit", ["id"], postgresql_where=sa.text("state = 'voided'"))


def downgrade() -> None:
    """A voided visit would count again: while there is any, it stays."""
    voided = op.get_bind().scalar(sa.text("SELECT count(*) FROM visit WHERE state = 'voided'"))
    if voided:
        raise RuntimeError(f"{voided} voided visits would count again: keep this version, or restore a backup")
    op.drop_index("ix_visit_voided", "visit")
    op.drop_constraint(op.f("ck_visit_voided_has_a_reason"), "visit", type_="check")
    _allow(OLD_STATES)
    op.drop_constraint(op.f("fk_visit_voided_by_staff"), "visit", type_="foreignkey")
    for column in ("void_reason", "voided_by", "voided_at"):
        op.drop_column("visit", column)


def _allow(states: tuple[str, ...]) -> None:
    name = "ck_visit_state_is_known"
    op.drop_constraint(op.f(name), "visit", type_="check")
    op.create_check_constraint(op.f(name), "visit", f"state IN {states}", postgresql_not_valid=True)
    op.execute(f"ALTER TABLE visit VALIDATE CONSTRAINT {name}")
