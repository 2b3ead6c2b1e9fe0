"""Counts of the queue that are kept, by county, and each caseworker's tallies in one index

Revision: 0021, after 0020
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

OPEN = "('waiting', 'claimed')"
KEYS = "area_code", "kind", "gravest", "finding_codes"


def upgrade() -> None:
    op.create_table(
        "queue_count",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("county_code", sa.String(length=6), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("gravest", sa.Integer(), nullable=False),
        sa.Column("finding_codes", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("items", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_queue_count")),
    )
    op.create_index("ix_queue_count_county_code", "queue_count", ["county_code"])
    # Whatever writes an item, here is noted what that changes of the counts.
    op.execute("""
        CREATE FUNCTION note_queue_count() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP <> 'INSERT' AND OLD.state IN ('waiting', 'claimed') THEN
                INSERT INTO queue_count (county_code, kind, gravest, finding_codes, items)
                VALUES (left(OLD.area_code, 6), OLD.kind, OLD.gravest, OLD.finding_codes, -1);
            END IF;
            IF TG_OP <> 'DELETE' AND NEW.state IN ('waiting', 'claimed') THEN
                INSERT INTO queue_count (county_code, kind, gravest, finding_codes, items)
                VALUES (left(NEW.area_code, 6), NEW.kind, NEW.gravest, NEW.finding_codes, 1);
            END IF;
            RETURN NULL;
        END $$
    """)
    # A claim and a heartbeat change nothing of them, and do not even call the function.
    changed = " OR ".join(f"OLD.{one} IS DISTINCT FROM NEW.{one}" for one in KEYS)
    op.execute(f"""
        CREATE TRIGGER note_queue_count_of_change AFTER UPDATE ON review_item FOR EACH ROW
        WHEN ((OLD.state IN {OPEN}) <> (NEW.state IN {OPEN}) OR {changed}) EXECUTE FUNCTION note_queue_count()
    """)
    op.execute("""
        CREATE TRIGGER note_queue_count AFTER INSERT OR DELETE ON review_item FOR EACH ROW
        EXECUTE FUNCTION note_queue_count()
    """)
    op.execute("""
        INSERT INTO queue_count (county_code, kind, gravest, finding_codes, items)
        SELECT left(area_code, 6), kind, gravest, finding_codes, count(*) FROM review_item
        WHERE state IN ('waiting', 'claimed')
        GROUP BY 1, 2, 3, 4
    """)
    op.create_index(
        "ix_review_item_entered", "review_item", ["entered_at"], postgresql_where=sa.text("state <> 'decided'")
    )
    op.create_index(
        "ix_review_item_claimed", "review_item", ["lease_until"], postgresql_where=sa.text("state = 'claimed'")
    )
    op.create_index(
        "ix_visit_tally_author",
        "visit_tally",
        ["author_id", "visited_on"],
        postgresql_include=["area_code", "is_late", "is_returned", "decided_after_s"],
    )


def downgrade() -> None:
    op.drop_index("ix_visit_tally_author", table_name="visit_tally")
    op.drop_index("ix_review_item_claimed", table_name="review_item")
    op.drop_index("ix_review_item_entered", table_name="review_item")
    op.execute("DROP TRIGGER note_queue_count_of_change ON review_item")
    op.execute("DROP TRIGGER note_queue_count ON review_item")
    op.execute("DROP FUNCTION note_queue_count()")
    op.drop_table("queue_count")
