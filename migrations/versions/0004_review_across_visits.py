"""Review: rules that look across visits, a queue with filters, spot checks

Revision: 0004, after 0003
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.area_rules import drop_rules, write_rules

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "saved_view",
        sa.Column("staff_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("filters", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("saved_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_saved_view_staff_id_staff")),
        sa.PrimaryKeyConstraint("staff_id", "name", name=op.f("pk_saved_view")),
    )
    op.create_table(
        "spot_check_plan",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("area_code", sa.String(length=12), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("period_from", sa.Date(), nullable=False),
        sa.Column("period_to", sa.Date(), nullable=False),
        sa.Column("design", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("written_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("written_by", sa.Uuid(), nullable=True),
        sa.Column("drawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("drawn_by", sa.Uuid(), nullable=True),
        sa.Column("seed", sa.String(), nullable=True),
        sa.Column("method", sa.String(), nullable=True),
        sa.Column("population", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("population_sha256", sa.String(length=64), nullable=True),
        sa.CheckConstraint("period_from <= period_to", name=op.f("ck_spot_check_plan_period_is_forward")),
        sa.ForeignKeyConstraint(["area_code"], ["area.code"], name=op.f("fk_spot_check_plan_area_code_area")),
        sa.ForeignKeyConstraint(["drawn_by"], ["staff.id"], name=op.f("fk_spot_check_plan_drawn_by_staff")),
        sa.ForeignKeyConstraint(["written_by"], ["staff.id"], name=op.f("fk_spot_check_plan_written_by_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_spot_check_plan")),
    )
    op.create_index(op.f("ix_spot_check_plan_area_code"), "spot_check_plan", ["area_code"], unique=False)
    op.create_table(
        "seen_fix",
        sa.Column("visit_id", sa.Uuid(), nullable=False),
        sa.Column("staff_id", sa.Uuid(), nullable=False),
        sa.Column("moment", sa.String(), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("area_code", sa.String(length=12), nullable=False),
        sa.Column("latitude", sa.Double(), nullable=False),
        sa.Column("longitude", sa.Double(), nullable=False),
        sa.Column("datum", sa.String(), nullable=False),
        sa.Column("accuracy_m", sa.Double(), nullable=True),
        sa.Column("captured_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("moment IN ('start', 'end', 'attested')", name=op.f("ck_seen_fix_moment_is_known")),
        sa.ForeignKeyConstraint(["household_id"], ["household.id"], name=op.f("fk_seen_fix_household_id_household")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_seen_fix_staff_id_staff")),
        sa.ForeignKeyConstraint(["visit_id"], ["visit.id"], name=op.f("fk_seen_fix_visit_id_visit")),
        sa.PrimaryKeyConstraint("visit_id", "staff_id", "moment", name=op.f("pk_seen_fix")),
    )
    op.create_index(
        "ix_seen_fix_area_prefix",
        "seen_fix",
        ["area_code", "captured_at"],
        unique=False,
        postgresql_ops={"area_code": "text_pattern_ops"},
    )
    op.create_index("ix_seen_fix_person", "seen_fix", ["staff_id", "captured_at"], unique=False)
    op.create_index("ix_seen_fix_place", "seen_fix", ["latitude", "longitude"], unique=False)
    op.create_table(
        "seen_photo",
        sa.Column("evidence_id", sa.Uuid(), nullable=False),
        sa.Column("visit_id", sa.Uuid(), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("county_code", sa.String(length=6), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("fingerprint", postgresql.BIT(length=256), nullable=False),
        sa.ForeignKeyConstraint(["evidence_id"], ["evidence.id"], name=op.f("fk_seen_photo_evidence_id_evidence")),
        sa.ForeignKeyConstraint(["household_id"], ["household.id"], name=op.f("fk_seen_photo_household_id_household")),
        sa.ForeignKeyConstraint(["visit_id"], ["visit.id"], name=op.f("fk_seen_photo_visit_id_visit")),
        sa.PrimaryKeyConstraint("evidence_id", name=op.f("pk_seen_photo")),
    )
    op.create_index("ix_seen_photo_county", "seen_photo", ["county_code"], unique=False)
    op.create_index("ix_seen_photo_visit", "seen_photo", ["visit_id"], unique=False)
    op.create_table(
        "spot_check",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("plan_id", sa.Uuid(), nullable=True),
        sa.Column("visit_id", sa.Uuid(), nullable=False),
        sa.Column("area_code", sa.String(length=12), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("stratum", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("staff_id", sa.Uuid(), nullable=True),
        sa.Column("partner_id", sa.Uuid(), nullable=True),
        sa.Column("assignment_id", sa.Uuid(), nullable=True),
        sa.Column("grants", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("second_visit_id", sa.Uuid(), nullable=True),
        sa.Column("comparison", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("compared_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "state IN ('drawn', 'assigned', 'compared', 'cancelled')", name=op.f("ck_spot_check_state_is_known")
        ),
        sa.ForeignKeyConstraint(["area_code"], ["area.code"], name=op.f("fk_spot_check_area_code_area")),
        sa.ForeignKeyConstraint(
            ["assignment_id"], ["assignment.id"], name=op.f("fk_spot_check_assignment_id_assignment")
        ),
        sa.ForeignKeyConstraint(["partner_id"], ["staff.id"], name=op.f("fk_spot_check_partner_id_staff")),
        sa.ForeignKeyConstraint(
            ["plan_id"], ["spot_check_plan.id"], name=op.f("fk_spot_check_plan_id_spot_check_plan")
        ),
        sa.ForeignKeyConstraint(["second_visit_id"], ["visit.id"], name=op.f("fk_spot_check_second_visit_id_visit")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_spot_check_staff_id_staff")),
        sa.ForeignKeyConstraint(["visit_id"], ["visit.id"], name=op.f("fk_spot_check_visit_id_visit")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_spot_check")),
        sa.UniqueConstraint("assignment_id", name=op.f("uq_spot_check_assignment_id")),
        sa.UniqueConstraint("plan_id", "visit_id", name=op.f("uq_spot_check_plan_id_visit_id")),
    )
    op.create_index(op.f("ix_spot_check_area_code"), "spot_check", ["area_code"], unique=False)
    op.create_index("ix_spot_check_first", "spot_check", ["visit_id"], unique=False)
    op.create_index("ix_spot_check_second", "spot_check", ["second_visit_id"], unique=False)
    op.create_table(
        "day_plan_stop",
        sa.Column("staff_id", sa.Uuid(), nullable=False),
        sa.Column("assignment_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["assignment_id"], ["assignment.id"], name=op.f("fk_day_plan_stop_assignment_id_assignment")
        ),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_day_plan_stop_staff_id_staff")),
        sa.PrimaryKeyConstraint("staff_id", "assignment_id", name=op.f("pk_day_plan_stop")),
    )
    op.create_index("ix_day_plan_stop_day", "day_plan_stop", ["staff_id", "day", "position"], unique=False)
    op.create_index(op.f("ix_day_plan_stop_assignment_id"), "day_plan_stop", ["assignment_id"], unique=False)
    op.add_column("decision", sa.Column("undone_why", sa.String(), nullable=True))
    op.create_index(op.f("ix_decision_visit_id"), "decision", ["visit_id"], unique=False)
    op.add_column("review_item", sa.Column("household_id", sa.Uuid(), nullable=True))
    op.add_column("review_item", sa.Column("author_id", sa.Uuid(), nullable=True))
    op.add_column(
        "review_item",
        sa.Column("finding_codes", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
    )
    op.add_column("review_item", sa.Column("gravest", sa.Integer(), server_default=sa.text("-1"), nullable=False))
    op.add_column(
        "review_item",
        sa.Column("changed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
    )
    op.create_index(
        "ix_review_item_county_queue",
        "review_item",
        [
            sa.literal_column("left(area_code, 6)"),
            sa.literal_column("priority DESC"),
            "entered_at",
            "visit_id",
        ],
        unique=False,
        postgresql_where=sa.text("state <> 'decided'"),
    )
    op.create_index("ix_visit_started_at", "visit", ["started_at"], unique=False)
    op.create_index(
        "ix_seen_fix_time", "seen_fix", ["captured_at"], unique=False, postgresql_where=sa.text("moment = 'start'")
    )
    op.create_index(op.f("ix_review_item_author_id"), "review_item", ["author_id"], unique=False)
    op.create_index("ix_review_item_changed", "review_item", ["changed_at"], unique=False)
    op.create_index(
        "ix_review_item_finding",
        "review_item",
        ["finding_codes"],
        unique=False,
        postgresql_using="gin",
        postgresql_where=sa.text("state <> 'decided'"),
    )
    op.create_index(op.f("ix_review_item_household_id"), "review_item", ["household_id"], unique=False)
    op.create_foreign_key(op.f("fk_review_item_author_id_staff"), "review_item", "staff", ["author_id"], ["id"])
    op.create_foreign_key(
        op.f("fk_review_item_household_id_household"), "review_item", "household", ["household_id"], ["id"]
    )

    _fill_items()
    write_rules(DEFAULT_RULES)


def _fill_items() -> None:
    """What the queue's filters read of the visits and findings that were there before."""
    op.execute(
        """
        UPDATE review_item SET household_id = visit.household_id, author_id = visit.author_id
        FROM visit WHERE visit.id = review_item.visit_id
        """
    )
    op.execute(
        """
        UPDATE review_item SET finding_codes = found.codes, gravest = found.gravest
        FROM (
            SELECT visit_id, array_agg(DISTINCT code ORDER BY code) AS codes,
                   max(array_position(ARRAY['info', 'notice', 'warning', 'critical'], severity)) - 1 AS gravest
            FROM finding WHERE superseded_at IS NULL GROUP BY visit_id
        ) AS found
        WHERE found.visit_id = review_item.visit_id
        """
    )


EDITORS = [
    "photoshop",
    "lightroom",
    "snapseed",
    "picsart",
    "gimp",
    "pixelmator",
    "facetune",
    "vsco",
    "canva",
    "meitu",
    "美图",
    "美颜",
    "醒图",
    "faceu",
    "b612",
    "camera360",
    "capcut",
    "剪映",
]
# Screens of phones in use, short side first.
SCREENS = [
    [720, 1280],
    [720, 1520],
    [720, 1560],
    [720, 1600],
    [720, 1612],
    [750, 1334],
    [828, 1792],
    [1080, 1920],
    [1080, 2160],
    [1080, 2280],
    [1080, 2340],
    [1080, 2376],
    [1080, 2400],
    [1080, 2408],
    [1125, 2436],
    [1170, 2532],
    [1179, 2556],
    [1206, 2622],
    [1224, 2700],
    [1228, 2700],
    [1242, 2688],
    [1284, 2778],
    [1290, 2796],
    [1440, 3200],
]
DEFAULT_RULES: dict[str, tuple[object, str]] = {
    "visit.same_accuracy_fixes": (10, "project default: five visits with a fix at each end"),
    "visit.shared_phone_days": (30, "project default"),
    "visit.burst_most": (4, "project default: visits of 8 minutes and a walk between"),
    "visit.burst_minutes": (60, "project default"),
    "visit.overlap_min": (1, "project default: clocks of two phones differ"),
    "income.differs_percent": (10, "project default: as the checklists tolerate between two visits"),
    "income.differs_fen": (20000, "project default: as the checklists tolerate between two visits"),
    "photo.near_duplicate_bits": (31, "PDQ's authors: 31 of 256 bits"),
    "photo.editors": (EDITORS, "project default: names that these programs write into EXIF"),
    "photo.screen_sizes": (SCREENS, "project default: screens of common phones"),
    "photo.screen_ratio": (1.95, "project default: cameras stay at 16:9 or below"),
    "photo.late_hours": (72, "project default: three days after the visit's own arrival"),
    "photo.fewest": (2, "project default: outside and inside"),
    "review.undo_s": (60, "project default: a minute to take back a slip"),
    "review.homes_per_day": (6, "project default: homes of one village that a pair visits in a day"),
    "review.schedule_ahead_days": (60, "project default"),
}


def downgrade() -> None:
    """Drops what the examination can find again, and the spot checks, which it can't."""
    drop_rules(DEFAULT_RULES)
    op.drop_constraint(op.f("fk_review_item_household_id_household"), "review_item", type_="foreignkey")
    op.drop_constraint(op.f("fk_review_item_author_id_staff"), "review_item", type_="foreignkey")
    op.drop_index(op.f("ix_review_item_household_id"), table_name="review_item")
    op.drop_index(
        "ix_review_item_finding",
        table_name="review_item",
        postgresql_using="gin",
        postgresql_where=sa.text("state <> 'decided'"),
    )
    op.drop_index("ix_review_item_changed", table_name="review_item")
    op.drop_index("ix_review_item_county_queue", table_name="review_item")
    op.drop_index("ix_visit_started_at", table_name="visit")
    op.drop_index(op.f("ix_review_item_author_id"), table_name="review_item")
    op.drop_column("review_item", "changed_at")
    op.drop_column("review_item", "gravest")
    op.drop_column("review_item", "finding_codes")
    op.drop_column("review_item", "author_id")
    op.drop_column("review_item", "household_id")
    op.drop_index(op.f("ix_decision_visit_id"), table_name="decision")
    op.drop_column("decision", "undone_why")
    op.drop_index("ix_spot_check_second", table_name="spot_check")
    op.drop_index("ix_spot_check_first", table_name="spot_check")
    op.drop_index(op.f("ix_spot_check_area_code"), table_name="spot_check")
    op.drop_table("spot_check")
    op.drop_index("ix_seen_photo_visit", table_name="seen_photo")
    op.drop_index("ix_seen_photo_county", table_name="seen_photo")
    op.drop_table("seen_photo")
    op.drop_index("ix_seen_fix_place", table_name="seen_fix")
    op.drop_index("ix_seen_fix_person", table_name="seen_fix")
    op.drop_index("ix_seen_fix_area_prefix", table_name="seen_fix", postgresql_ops={"area_code": "text_pattern_ops"})
    op.drop_table("seen_fix")
    op.drop_index(op.f("ix_spot_check_plan_area_code"), table_name="spot_check_plan")
    op.drop_table("spot_check_plan")
    op.drop_table("saved_view")
    op.drop_table("day_plan_stop")
