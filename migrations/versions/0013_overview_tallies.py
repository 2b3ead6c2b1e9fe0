"""The overview counts from narrow rows: a line a whole visit, and the area and day on each finding

Revision: 0013, after 0012
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

COUNTED = ["area_code", "author_id", "is_late", "is_returned", "decided_after_s"]


def upgrade() -> None:
    op.create_table(
        "visit_tally",
        sa.Column("visit_id", sa.Uuid(), nullable=False),
        sa.Column("county_code", sa.String(length=6), nullable=False),
        sa.Column("area_code", sa.String(length=12), nullable=False),
        sa.Column("author_id", sa.Uuid(), nullable=False),
        sa.Column("visited_on", sa.Date(), nullable=False),
        sa.Column("is_late", sa.Boolean(), nullable=False),
        sa.Column("is_returned", sa.Boolean(), nullable=False),
        sa.Column("decided_after_s", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["author_id"], ["staff.id"], name=op.f("fk_visit_tally_author_id_staff")),
        sa.ForeignKeyConstraint(["visit_id"], ["visit.id"], name=op.f("fk_visit_tally_visit_id_visit")),
        sa.PrimaryKeyConstraint("visit_id", name=op.f("pk_visit_tally")),
    )
    # Every visit that has been examined so far; the others get their line when they are.
    op.execute("""
        INSERT INTO visit_tally
            (visit_id, county_code, area_code, author_id, visited_on, is_late, is_returned, decided_after_s)
        SELECT v.id, left(v.area_code, 6), v.area_code, v.author_id, d.visited_on,
            coalesce(d.visited_on > a.due_on, false), coalesce(first.returned, false),
            extract(epoch FROM first.at - v.received_at)
        FROM visit v
        JOIN review_item item ON item.visit_id = v.id
        CROSS JOIN LATERAL (SELECT (v.started_at AT TIME ZONE 'Asia/Shanghai')::date AS visited_on) d
        LEFT JOIN assignment a ON a.id = v.assignment_id
        LEFT JOIN LATERAL (
            SELECT min(decided_at) AS at, bool_or(outcome = 'returned') AS returned
            FROM decision WHERE visit_id = v.id AND undone_why IS DISTINCT FROM 'undone'
        ) first ON true
        WHERE v.started_at IS NOT NULL AND v.submitted_at IS NOT NULL
    """)
    op.create_index("ix_visit_tally_county", "visit_tally", ["county_code", "visited_on"], postgresql_include=COUNTED)
    op.create_index("ix_visit_tally_day", "visit_tally", ["visited_on"], postgresql_include=COUNTED)
    op.add_column("finding", sa.Column("area_code", sa.String(length=12), nullable=True))
    op.add_column("finding", sa.Column("visited_on", sa.Date(), nullable=True))
    op.execute("""
        UPDATE finding SET area_code = v.area_code,
            visited_on = (v.started_at AT TIME ZONE 'Asia/Shanghai')::date
        FROM visit v WHERE v.id = finding.visit_id
    """)
    op.create_index(
        "ix_finding_overview",
        "finding",
        ["visited_on", "area_code"],
        postgresql_include=["code", "settled_as"],
        postgresql_where=sa.text("superseded_at IS NULL OR settled_as IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_finding_overview", table_name="finding")
    op.drop_column("finding", "visited_on")
    op.drop_column("finding", "area_code")
    op.drop_table("visit_tally")
