"""What a household owns, declared and verified, for the cross-check to be held against

Revision: 0016, after 0015
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

KINDS = ("home", "vehicle", "deposit", "business", "other")


def upgrade() -> None:
    op.create_table(
        "property_item",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("declared", sa.BigInteger(), nullable=False),
        sa.Column("verified", sa.BigInteger(), nullable=True),
        sa.Column("verified_by", sa.Uuid(), nullable=True),
        sa.CheckConstraint(f"kind IN {KINDS}", name=op.f("ck_property_item_kind_is_known")),
        sa.CheckConstraint("declared >= 0 AND verified >= 0", name=op.f("ck_property_item_numbers_are_not_negative")),
        sa.ForeignKeyConstraint(
            ["household_id"], ["household.id"], name=op.f("fk_property_item_household_id_household")
        ),
        sa.ForeignKeyConstraint(["verified_by"], ["staff.id"], name=op.f("fk_property_item_verified_by_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_property_item")),
    )
    op.create_index(op.f("ix_property_item_household_id"), "property_item", ["household_id"])


def downgrade() -> None:
    found = op.get_bind().scalar(sa.text("SELECT count(*) FROM property_item"))
    if found:
        raise RuntimeError(
            f"going back would lose what {found} rows say is owned: take them out of property_item first"
        )
    op.drop_table("property_item")
