"""Whole months of visits summed beforehand, the area of a home on each visit that is due, the unclaimed in order

Revision: 0027, after 0026
"""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

TALLIED = "county_code", "visited_on", "is_late", "is_returned", "decided_after_s"
COUNTED = ("visits", "late", "returned")


def upgrade() -> None:
    _sum_months()
    _copy_areas()
    op.create_index(
        "ix_review_item_waiting",
        "review_item",
        ["waits_since", "visit_id"],
        postgresql_where=sa.text("state = 'waiting'"),
    )


def _sum_months() -> None:
    # Tenths of an hour of the first day, hours of the first week, quarters of a day of the
    # first sixty days, then days. -1: not decided yet.
    op.execute("""
        CREATE FUNCTION decided_bucket(seconds double precision) RETURNS smallint LANGUAGE sql IMMUTABLE AS $$
            SELECT (CASE
                WHEN seconds IS NULL THEN -1
                WHEN seconds < 86400 THEN floor(greatest(seconds, 0) / 360)
                WHEN seconds < 604800 THEN 240 + floor((seconds - 86400) / 3600)
                WHEN seconds < 5184000 THEN 384 + floor((seconds - 604800) / 21600)
                ELSE 596 + least(floor((seconds - 5184000) / 86400), 10000)
            END)::smallint
        $$
    """)
    # Back to seconds, `share` of the way through a bucket.
    op.execute("""
        CREATE FUNCTION decided_at_bucket(bucket smallint, share double precision) RETURNS double precision
        LANGUAGE sql IMMUTABLE AS $$
            SELECT CASE
                WHEN bucket < 240 THEN (bucket + share) * 360
                WHEN bucket < 384 THEN 86400 + (bucket - 240 + share) * 3600
                WHEN bucket < 596 THEN 604800 + (bucket - 384 + share) * 21600
                ELSE 5184000 + (bucket - 596 + share) * 86400
            END
        $$
    """)
    op.create_table(
        "visit_month",
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("area_code", sa.String(length=6), nullable=False),
        sa.Column("bucket", sa.SmallInteger(), nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in COUNTED),
        sa.PrimaryKeyConstraint("level", "month", "area_code", "bucket", name=op.f("pk_visit_month")),
    )
    op.create_table(
        "visit_month_change",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("county_code", sa.String(length=6), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("bucket", sa.SmallInteger(), nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in COUNTED),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_visit_month_change")),
    )
    # Whatever writes a tally, here is noted what that changes of its month.
    op.execute("""
        CREATE FUNCTION note_visit_month() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP <> 'INSERT' THEN
                INSERT INTO visit_month_change (county_code, month, bucket, visits, late, returned)
                VALUES (OLD.county_code, date_trunc('month', OLD.visited_on), decided_bucket(OLD.decided_after_s),
                    -1, -OLD.is_late::int, -OLD.is_returned::int);
            END IF;
            IF TG_OP <> 'DELETE' THEN
                INSERT INTO visit_month_change (county_code, month, bucket, visits, late, returned)
                VALUES (NEW.county_code, date_trunc('month', NEW.visited_on), decided_bucket(NEW.decided_after_s),
                    1, NEW.is_late::int, NEW.is_returned::int);
            END IF;
            RETURN NULL;
        END $$
    """)
    op.execute("""
        CREATE TRIGGER note_visit_month AFTER INSERT OR DELETE ON visit_tally FOR EACH ROW
        EXECUTE FUNCTION note_visit_month()
    """)
    changed = " OR ".join(f"OLD.{one} IS DISTINCT FROM NEW.{one}" for one in TALLIED)
    op.execute(f"""
        CREATE TRIGGER note_visit_month_of_change AFTER UPDATE ON visit_tally FOR EACH ROW
        WHEN ({changed}) EXECUTE FUNCTION note_visit_month()
    """)
    op.execute("""
        INSERT INTO visit_month (level, month, area_code, bucket, visits, late, returned)
        SELECT level, date_trunc('month', visited_on), left(county_code, level), decided_bucket(decided_after_s),
            count(*), sum(is_late::int), sum(is_returned::int)
        FROM visit_tally CROSS JOIN (VALUES (4), (6)) levels (level)
        GROUP BY 1, 2, 3, 4
    """)


def _copy_areas() -> None:
    op.add_column("assignment", sa.Column("area_code", sa.String(length=12), nullable=True))
    op.execute("""
        CREATE FUNCTION copy_area_of_home() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            SELECT area_code INTO NEW.area_code FROM household WHERE id = NEW.household_id;
            RETURN NEW;
        END $$
    """)
    op.execute("""
        CREATE TRIGGER copy_area_of_home BEFORE INSERT OR UPDATE OF household_id ON assignment FOR EACH ROW
        EXECUTE FUNCTION copy_area_of_home()
    """)
    op.execute("""
        CREATE FUNCTION move_assignments() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            UPDATE assignment SET area_code = NEW.area_code WHERE household_id = NEW.id;
            RETURN NULL;
        END $$
    """)
    op.execute("""
        CREATE TRIGGER move_assignments AFTER UPDATE OF area_code ON household FOR EACH ROW
        WHEN (OLD.area_code IS DISTINCT FROM NEW.area_code) EXECUTE FUNCTION move_assignments()
    """)
    op.execute("UPDATE assignment SET area_code = home.area_code FROM household home WHERE home.id = household_id")
    op.alter_column("assignment", "area_code", nullable=False)
    op.drop_index("ix_assignment_due", table_name="assignment")
    _index_due("household_id", "kind", "area_code")


def _index_due(*read: str) -> None:
    op.create_index(
        "ix_assignment_due",
        "assignment",
        ["due_on"],
        postgresql_include=list(read),
        postgresql_where=sa.text("state = 'open'"),
    )


def downgrade() -> None:
    op.drop_index("ix_review_item_waiting", table_name="review_item")
    op.execute("DROP TRIGGER move_assignments ON household")
    op.execute("DROP FUNCTION move_assignments()")
    op.execute("DROP TRIGGER copy_area_of_home ON assignment")
    op.execute("DROP FUNCTION copy_area_of_home()")
    op.drop_index("ix_assignment_due", table_name="assignment")
    _index_due("household_id", "kind")
    op.drop_column("assignment", "area_code")
    op.execute("DROP TRIGGER note_visit_month_of_change ON visit_tally")
    op.execute("DROP TRIGGER note_visit_month ON visit_tally")
    op.execute("DROP FUNCTION note_visit_month()")
    op.drop_table("visit_month_change")
    op.drop_table("visit_month")
    op.execute("DROP FUNCTION decided_at_bucket(smallint, double precision)")
    op.execute("DROP FUNCTION decided_bucket(double precision)")
