"""Households that may be the same, their verdicts and merges

Revision: 0064, after 0063
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.area_rules import drop_rules, write_rules

revision = "0064"
down_revision = "0063"
branch_labels = None
depends_on = None

RULES: dict[str, tuple[object, str]] = {
    "duplicates.phone_homes": (3, "practice of offices; relatives share a phone, a village's phone is in many homes"),
    "duplicates.account_homes": (2, "practice of offices; a payment of one household goes to an account of its own"),
}

# A phone that was offline sends a visit of a household that went into another meanwhile: it belongs to that one.
FOLLOW = """
CREATE FUNCTION follow_merged_household() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE kept uuid;
BEGIN
    LOOP
        SELECT merged_into INTO kept FROM household WHERE id = NEW.household_id;
        EXIT WHEN kept IS NULL;
        NEW.household_id := kept;
    END LOOP;
    RETURN NEW;
END $$
"""


def upgrade() -> None:
    op.add_column("household", sa.Column("merged_into", sa.Uuid(), nullable=True))
    op.create_foreign_key(op.f("fk_household_merged_into_household"), "household", "household", ["merged_into"], ["id"])
    op.create_index(op.f("ix_household_merged_into"), "household", ["merged_into"])
    op.add_column("bank_account", sa.Column("card_index", sa.LargeBinary(), nullable=True))
    op.create_index(op.f("ix_bank_account_card_index"), "bank_account", ["card_index"])
    _create_pairs()
    _create_merges()
    op.execute(FOLLOW)
    op.execute(
        "CREATE TRIGGER follow_merged_household BEFORE INSERT ON visit FOR EACH ROW "
        "EXECUTE FUNCTION follow_merged_household()"
    )
    write_rules(RULES)


def _create_pairs() -> None:
    op.create_table(
        "duplicate_pair",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("first_id", sa.Uuid(), nullable=False),
        sa.Column("second_id", sa.Uuid(), nullable=False),
        sa.Column("score", sa.SmallInteger(), nullable=False),
        sa.Column("reasons", postgresql.JSONB(), nullable=False),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("is_current", sa.Boolean(), nullable=False),
        sa.Column("verdict", sa.String(), nullable=True),
        sa.Column("judged_by", sa.Uuid(), nullable=True),
        sa.Column("judged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("note", sa.String(), nullable=True),
        sa.CheckConstraint("first_id < second_id", name=op.f("ck_duplicate_pair_each_pair_once")),
        sa.CheckConstraint("verdict IN ('same', 'different')", name=op.f("ck_duplicate_pair_verdict_is_known")),
        sa.CheckConstraint(
            "(verdict IS NULL) = (judged_by IS NULL) AND (verdict IS NULL) = (judged_at IS NULL)",
            name=op.f("ck_duplicate_pair_verdict_is_a_persons"),
        ),
        sa.ForeignKeyConstraint(
            ["first_id"], ["household.id"], name=op.f("fk_duplicate_pair_first_id_household"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["second_id"], ["household.id"], name=op.f("fk_duplicate_pair_second_id_household"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["judged_by"], ["staff.id"], name=op.f("fk_duplicate_pair_judged_by_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_duplicate_pair")),
        sa.UniqueConstraint("first_id", "second_id", name=op.f("uq_duplicate_pair_first_id_second_id")),
    )
    op.create_index("ix_duplicate_pair_score", "duplicate_pair", ["score", "id"])
    op.create_index("ix_duplicate_pair_second", "duplicate_pair", ["second_id"])


def _create_merges() -> None:
    op.create_table(
        "household_merge",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kept_id", sa.Uuid(), nullable=False),
        sa.Column("merged_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("proposed_by", sa.Uuid(), nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by", sa.Uuid(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answer", sa.String(), nullable=True),
        sa.Column("undone_by", sa.Uuid(), nullable=True),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("undo_reason", sa.String(), nullable=True),
        sa.Column("moved", postgresql.JSONB(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint(
            "state IN ('proposed', 'merged', 'rejected', 'undone')", name=op.f("ck_household_merge_state_is_known")
        ),
        sa.CheckConstraint("kept_id <> merged_id", name=op.f("ck_household_merge_takes_two_homes")),
        sa.CheckConstraint("reason <> ''", name=op.f("ck_household_merge_reason_is_written")),
        sa.CheckConstraint("decided_by <> proposed_by", name=op.f("ck_household_merge_takes_two_people")),
        sa.CheckConstraint(
            "(state = 'proposed') = (decided_by IS NULL) AND (decided_by IS NULL) = (decided_at IS NULL)",
            name=op.f("ck_household_merge_decided_has_a_decider"),
        ),
        sa.CheckConstraint(
            "(state = 'undone') = (undone_by IS NOT NULL)", name=op.f("ck_household_merge_undone_by_a_person")
        ),
        sa.ForeignKeyConstraint(
            ["kept_id"], ["household.id"], name=op.f("fk_household_merge_kept_id_household"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["merged_id"], ["household.id"], name=op.f("fk_household_merge_merged_id_household"), ondelete="CASCADE"
        ),
        *(
            sa.ForeignKeyConstraint([column], ["staff.id"], name=op.f(f"fk_household_merge_{column}_staff"))
            for column in ("proposed_by", "decided_by", "undone_by")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_household_merge")),
    )
    op.create_index("ix_household_merge_kept", "household_merge", ["kept_id"])
    op.create_index(
        "uq_household_merge_waiting",
        "household_merge",
        ["merged_id"],
        unique=True,
        postgresql_where=sa.text("state = 'proposed'"),
    )


def downgrade() -> None:
    """Without the column a household that went into another would look like one of its own."""
    merged = op.get_bind().scalar(sa.text("SELECT count(*) FROM household WHERE merged_into IS NOT NULL"))
    if merged:
        raise RuntimeError(f"{merged} households went into others: undo these merges before going back")
    drop_rules(RULES)
    op.execute("DROP TRIGGER follow_merged_household ON visit")
    op.execute("DROP FUNCTION follow_merged_household()")
    op.drop_table("household_merge")
    op.drop_table("duplicate_pair")
    op.drop_index(op.f("ix_bank_account_card_index"), table_name="bank_account")
    op.drop_column("bank_account", "card_index")
    op.drop_index(op.f("ix_household_merged_into"), table_name="household")
    op.drop_constraint(op.f("fk_household_merged_into_household"), "household", type_="foreignkey")
    op.drop_column("household", "merged_into")
