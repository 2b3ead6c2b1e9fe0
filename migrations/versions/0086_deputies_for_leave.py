"""Deputies of people on leave, with the homes and roles they have for these days

Revision: 0086, after 0085
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0086"
down_revision = "0085"
branch_labels = None
depends_on = None

TABLE = "deputyship"
CHECKS = {
    "deputy_is_another": "staff_id <> deputy_id",
    "ends_after_it_starts": "starts_on <= ends_on",
    "ended_has_a_time": "ended_by IS NULL OR ended_at IS NOT NULL",
}
ONCE = ["staff_id", "role", "area_code"]


def upgrade() -> None:
    op.create_table(
        TABLE,
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("staff_id", sa.Uuid(), nullable=False),
        sa.Column("deputy_id", sa.Uuid(), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=False),
        sa.Column("duties", postgresql.JSONB(), nullable=False),
        sa.Column("with_homes", sa.Boolean(), nullable=False),
        sa.Column("named_by", sa.Uuid(), nullable=False),
        sa.Column("named_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_by", sa.Uuid(), nullable=True),
        *(sa.CheckConstraint(text, name=op.f(f"ck_{TABLE}_{name}")) for name, text in CHECKS.items()),
        *(
            sa.ForeignKeyConstraint([column], ["staff.id"], name=op.f(f"fk_{TABLE}_{column}_staff"))
            for column in ("staff_id", "deputy_id", "named_by", "ended_by")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{TABLE}")),
    )
    op.create_index(op.f("ix_deputyship_staff_id"), TABLE, ["staff_id"])
    op.create_index("ix_deputyship_deputy", TABLE, ["deputy_id"])
    op.create_index(
        "uq_deputyship_open", TABLE, ["staff_id"], unique=True, postgresql_where=sa.text("ended_at IS NULL")
    )
    op.add_column("caseload", sa.Column("deputyship_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(op.f("fk_caseload_deputyship_id_deputyship"), "caseload", TABLE, ["deputyship_id"], ["id"])
    op.create_index(op.f("ix_caseload_deputyship_id"), "caseload", ["deputyship_id"])
    op.add_column("staff_role", sa.Column("deputy_for", sa.Uuid(), nullable=True))
    op.create_foreign_key(op.f("fk_staff_role_deputy_for_staff"), "staff_role", "staff", ["deputy_for"], ["id"])
    op.drop_index("uq_staff_role_held_once", "staff_role")
    _index("uq_staff_role_held_once", ONCE, "revoked_at IS NULL AND deputy_for IS NULL")
    _index("uq_staff_role_deputised_once", [*ONCE, "deputy_for"], "revoked_at IS NULL AND deputy_for IS NOT NULL")


def _index(name: str, columns: list[str], where: str) -> None:
    op.create_index(name, "staff_role", columns, unique=True, postgresql_where=sa.text(where))


def downgrade() -> None:
    """Who stood in for whom says who could read and decide: it stays."""
    deputies = op.get_bind().scalar(sa.text("SELECT count(*) FROM deputyship"))
    if deputies:
        raise RuntimeError(f"{deputies} deputies were named: keep this version")
    op.drop_index("uq_staff_role_deputised_once", "staff_role")
    op.drop_index("uq_staff_role_held_once", "staff_role")
    _index("uq_staff_role_held_once", ONCE, "revoked_at IS NULL")
    op.drop_column("staff_role", "deputy_for")
    op.drop_column("caseload", "deputyship_id")
    op.drop_table(TABLE)
