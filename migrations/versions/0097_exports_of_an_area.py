"""Exports of everything an area holds

Revision: 0097, after 0096
"""

import sqlalchemy as sa
from alembic import op

from migrations.area_rules import drop_rules, write_rules

revision = "0097"
down_revision = "0096"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
RULES: dict[str, tuple[object, str]] = {
    "retention.package_days": (7, "project default; long enough to fetch the file, no law sets a number"),
}


def upgrade() -> None:
    op.create_table(
        "area_export",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("area_code", sa.String(12), sa.ForeignKey("area.code"), nullable=False),
        sa.Column("public_key", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("proposed_by", sa.Uuid(), sa.ForeignKey("staff.id"), nullable=False),
        sa.Column("proposed_at", TIME, nullable=False),
        sa.Column("decided_by", sa.Uuid(), sa.ForeignKey("staff.id"), nullable=True),
        sa.Column("decided_at", TIME, nullable=True),
        sa.Column("answer", sa.String(), nullable=True),
        sa.Column("written_at", TIME, nullable=True),
        sa.Column("digest", sa.String(), nullable=True),
        sa.Column("rows", sa.BigInteger(), nullable=True),
        sa.Column("objects", sa.Integer(), nullable=True),
        sa.Column("faults", sa.Integer(), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.String(), nullable=True),
        sa.CheckConstraint(
            "state IN ('proposed', 'rejected', 'accepted', 'ready', 'failed', 'removed')", name="state_is_known"
        ),
        sa.CheckConstraint("(state = 'proposed') = (decided_by IS NULL)", name="decided_by_somebody"),
        sa.CheckConstraint("decided_by <> proposed_by", name="two_people"),
        sa.CheckConstraint("state NOT IN ('ready', 'removed') OR digest IS NOT NULL", name="written_has_a_digest"),
    )
    op.create_index(op.f("ix_area_export_area_code"), "area_export", ["area_code"])
    op.create_index("ix_area_export_ready", "area_export", ["written_at"], postgresql_where=sa.text("state = 'ready'"))
    write_rules(RULES)


def downgrade() -> None:
    drop_rules(RULES)
    op.drop_table("area_export")
