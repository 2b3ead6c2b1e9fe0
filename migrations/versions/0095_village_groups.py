"""Groups of villages, and the group of a household

Revision: 0095, after 0094
"""

import sqlalchemy as sa
from alembic import op

revision = "0095"
down_revision = "0094"
branch_labels = None
depends_on = None

KINDS = "ck_import_batch_kind_is_known"
BEFORE = "'areas', 'staff', 'register', 'assignments', 'calendar', 'aid'"
KEY = "fk_household_area_code_village_group"


def upgrade() -> None:
    op.create_table(
        "village_group",
        sa.Column("village_code", sa.String(12), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("ended_on", sa.Date(), nullable=True),
        sa.CheckConstraint("name <> ''", name=op.f("ck_village_group_name_is_written")),
        sa.ForeignKeyConstraint(["village_code"], ["area.code"], name=op.f("fk_village_group_village_code_area")),
        sa.PrimaryKeyConstraint("village_code", "name", name=op.f("pk_village_group")),
    )
    op.add_column("household", sa.Column("group_name", sa.String(), nullable=True))
    # Of a household without a group nothing is checked (MATCH SIMPLE).
    op.create_foreign_key(KEY, "household", "village_group", ["area_code", "group_name"], ["village_code", "name"])
    op.create_index(
        "ix_household_group", "household", ["area_code", "group_name"],
        postgresql_where=sa.text("group_name IS NOT NULL"),
    )  # fmt: skip
    op.drop_constraint(op.f(KINDS), "import_batch")
    op.create_check_constraint(op.f(KINDS), "import_batch", f"kind IN ({BEFORE}, 'groups')")


def downgrade() -> None:
    """The version before knows no groups; what households said of theirs is lost."""
    op.execute("DELETE FROM import_line WHERE batch_id IN (SELECT id FROM import_batch WHERE kind = 'groups')")
    op.execute("DELETE FROM import_batch WHERE kind = 'groups'")
    op.drop_constraint(op.f(KINDS), "import_batch")
    op.create_check_constraint(op.f(KINDS), "import_batch", f"kind IN ({BEFORE})")
    op.drop_index("ix_household_group", "household")
    op.drop_constraint(KEY, "household", type_="foreignkey")
    op.drop_column("household", "group_name")
    op.drop_table("village_group")
