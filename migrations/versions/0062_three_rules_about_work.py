"""Costs of work, disregarded wages and the grace above the standard; who is insured alone; dates of income not counted

What was named the gradual exit left new wages out: rows that areas wrote keep doing so, as `amount.disregard_months`.

Revision: 0062, after 0061
"""

from datetime import date

import sqlalchemy as sa
from alembic import op

from migrations.area_rules import drop_rules, write_rules

revision = "0062"
down_revision = "0061"
branch_labels = None
depends_on = None

LAW_57 = "law, as read: 《最低生活保障审核确认办法》"
KINDS = ("visual", "hearing", "speech", "physical", "intellectual", "mental", "multiple")
OLD, NEW = "amount.gradual_exit_months", "amount.disregard_months"
OLD_RULES: dict[str, tuple[object, str]] = {OLD: (3, "practice of one office; the law allows up to 6")}
RULES: dict[str, tuple[object, str]] = {
    "amount.work_cost_percent": (100, f"{LAW_57}§13; costs of work come off work income alone"),
    NEW: (0, "none until a province writes its own; one has 6 to 12 months"),
    "amount.disregard_percent": (300, "law of one province; at most three times the monthly standard"),
    "amount.exit_grace_months": (6, f"{LAW_57}§33; in principle at most 6, and so 83 一（三）"),
    "amount.edge_property_limits": ({}, "none until an area writes its own"),
    "amount.grave_illnesses": ([], "none until an area writes its own"),
    "amount.single_disabled_adult": (True, "law, as read: 《民发〔2022〕83号》一（一）"),
    "amount.aged_from": (70, "practice of offices; the law names old people without an age"),
}
# 57 is in force from this day; what it leaves out stands beside the list of before.
SINCE_57 = date(2021, 7, 1)
NOT_COUNTED = {
    "amount.not_counted": (
        [
            "veteran_benefit",
            "family_planning",
            "scholarship",
            "bravery",
            "social_assistance",
            {"code": "basic_pension", "since": "2021-01-01", "until": "2025-12-31"},
        ],
        f"{LAW_57}§13; the central basic pension for 2021 to 2025 only",
    ),
}


def upgrade() -> None:
    op.add_column("household_member", sa.Column("disability_kind", sa.String(), nullable=True))
    op.add_column("household_member", sa.Column("disability_grade", sa.Integer(), nullable=True))
    op.add_column("household_member", sa.Column("illness", sa.String(), nullable=True))
    op.create_check_constraint(
        op.f("ck_household_member_disability_kind_is_known"), "household_member", f"disability_kind IN {KINDS}"
    )
    op.create_check_constraint(
        op.f("ck_household_member_disability_grade_is_known"), "household_member", "disability_grade BETWEEN 1 AND 4"
    )
    drop_rules(OLD_RULES)
    _rename(OLD, NEW)
    write_rules(RULES)
    write_rules(NOT_COUNTED, since=SINCE_57)


def _rename(before: str, after: str) -> None:
    rename = "UPDATE area_rule SET key = :after WHERE key = :before AND area_code <> ''"
    op.execute(sa.text(rename).bindparams(before=before, after=after))


def downgrade() -> None:
    drop_rules(NOT_COUNTED, since=SINCE_57)
    drop_rules(RULES)
    _rename(NEW, OLD)
    write_rules(OLD_RULES)
    op.drop_constraint(op.f("ck_household_member_disability_grade_is_known"), "household_member", type_="check")
    op.drop_constraint(op.f("ck_household_member_disability_kind_is_known"), "household_member", type_="check")
    for name in ("illness", "disability_grade", "disability_kind"):
        op.drop_column("household_member", name)
