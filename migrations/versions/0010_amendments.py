"""Amendments: a submitted visit may be corrected, and what stood before is kept

Revision: 0010, after 0009
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

BEFORE = ("draft", "discarded", "submitted", "under_review", "accepted", "returned", "escalated")
NOW = ("draft", "discarded", "submitted", "amended", "under_review", "accepted", "returned", "escalated")


def upgrade() -> None:
    op.create_table(
        "visit_version",
        sa.Column("visit_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("document", postgresql.JSONB(), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("receipt", sa.String(), nullable=False),
        sa.Column("device_id", sa.Uuid(), nullable=False),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("superseded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["visit_id"], ["visit.id"], name=op.f("fk_visit_version_visit_id_visit")),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], name=op.f("fk_visit_version_device_id_device")),
        sa.PrimaryKeyConstraint("visit_id", "number", name=op.f("pk_visit_version")),
    )
    op.add_column("visit", sa.Column("version", sa.Integer(), server_default="1", nullable=False))
    op.add_column("visit", sa.Column("mending", postgresql.JSONB(), nullable=True))
    op.add_column("visit", sa.Column("mending_hash", sa.String(length=64), nullable=True))
    _let_states_be("visit", NOW)
    _let_states_be("review_item", ("waiting", "claimed", "decided", "amended"))
    _index_what_waits("state IN ('submitted', 'amended')")


def downgrade() -> None:
    """Amended visits stay as amended: only their earlier versions would be lost, so it stops where there are any."""
    if op.get_bind().scalar(sa.text("SELECT EXISTS (SELECT FROM visit_version)")):
        raise RuntimeError("Visits have been amended: going back would lose their earlier versions")
    _index_what_waits("state = 'submitted'")
    _let_states_be("review_item", ("waiting", "claimed", "decided"))
    _let_states_be("visit", BEFORE)
    op.drop_column("visit", "mending_hash")
    op.drop_column("visit", "mending")
    op.drop_column("visit", "version")
    op.drop_table("visit_version")


def _let_states_be(table: str, states: tuple[str, ...]) -> None:
    name = op.f(f"ck_{table}_state_is_known")
    op.drop_constraint(name, table, type_="check")
    op.create_check_constraint(name, table, f"state IN {states}", postgresql_not_valid=True)
    op.execute(f'ALTER TABLE {table} VALIDATE CONSTRAINT "{name}"')


def _index_what_waits(states: str) -> None:
    op.drop_index("ix_visit_waiting", table_name="visit")
    op.create_index(
        "ix_visit_waiting",
        "visit",
        [sa.text("submitted_at DESC")],
        postgresql_where=sa.text(f"{states} AND complete_at IS NULL"),
    )
