"""Cross-checks of households that are paid, with a day for the answer and for what is found

Revision: 0079, after 0078
"""

import sqlalchemy as sa
from alembic import op

from migrations.area_rules import drop_rules, write_rules

revision = "0079"
down_revision = "0078"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
BEFORE = "'public_security', 'housing', 'social_security', 'tax', 'market', 'provident_fund', 'finance'"
RULES: dict[str, tuple[object, str]] = {
    "recheck.months": (12, "law, as read: 《最低生活保障审核确认办法》§31; checks at least yearly, by area"),
    "recheck.answer_days": ({"count": 20, "unit": "working_days"}, "project default; offices agree on their own"),
    "recheck.settle_days": ({"count": 10, "unit": "working_days"}, "project default; no law sets a number"),
}


def upgrade() -> None:
    _know_sources(f"{BEFORE}, 'public_service', 'deaths'")
    op.add_column(
        "cross_check_batch", sa.Column("of_those_paid", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
    op.add_column("cross_check_batch", sa.Column("due_on", sa.Date(), nullable=True))
    op.create_check_constraint(
        op.f("ck_cross_check_batch_of_those_paid_is_due"),
        "cross_check_batch",
        "NOT of_those_paid OR due_on IS NOT NULL",
    )
    op.add_column("cross_check", sa.Column("due_on", sa.Date(), nullable=True))
    op.add_column("cross_check", sa.Column("settlement", sa.String(), nullable=True))
    op.add_column("cross_check", sa.Column("settled_note", sa.String(), server_default=sa.text("''"), nullable=False))
    op.add_column("cross_check", sa.Column("settled_by", sa.Uuid(), nullable=True))
    op.add_column("cross_check", sa.Column("settled_at", TIME, nullable=True))
    op.create_foreign_key(op.f("fk_cross_check_settled_by_staff"), "cross_check", "staff", ["settled_by"], ["id"])
    op.create_check_constraint(
        op.f("ck_cross_check_settlement_is_known"), "cross_check", "settlement IN ('visit', 'acted', 'explained')"
    )
    op.create_check_constraint(
        op.f("ck_cross_check_settlement_is_a_persons"),
        "cross_check",
        "(settlement IS NULL) = (settled_by IS NULL) AND (settlement IS NULL) = (settled_at IS NULL)",
    )
    op.create_check_constraint(
        op.f("ck_cross_check_settled_has_a_note"), "cross_check", "settlement IS NULL OR settled_note <> ''"
    )
    op.create_index(
        "ix_cross_check_to_settle",
        "cross_check",
        ["due_on", "id"],
        postgresql_where=sa.text("due_on IS NOT NULL AND settlement IS NULL"),
    )
    write_rules(RULES)


def _know_sources(sources: str) -> None:
    name = op.f("ck_cross_check_batch_source_is_known")
    op.drop_constraint(name, "cross_check_batch", type_="check")
    op.create_check_constraint(name, "cross_check_batch", f"source IN ({sources})")


def downgrade() -> None:
    """What was asked about those who are paid has no place there."""
    lost = op.get_bind().scalar(
        sa.text("SELECT count(*) FROM cross_check_batch WHERE of_those_paid OR source IN ('public_service', 'deaths')")
    )
    if lost:
        raise RuntimeError(f"going back would lose {lost} cross-checks of those paid: keep this version")
    drop_rules(RULES)
    op.drop_index("ix_cross_check_to_settle", "cross_check")
    for name in ("settled_has_a_note", "settlement_is_a_persons", "settlement_is_known"):
        op.drop_constraint(op.f(f"ck_cross_check_{name}"), "cross_check", type_="check")
    op.drop_constraint(op.f("fk_cross_check_settled_by_staff"), "cross_check", type_="foreignkey")
    for column in ("settled_at", "settled_by", "settled_note", "settlement", "due_on"):
        op.drop_column("cross_check", column)
    op.drop_constraint(op.f("ck_cross_check_batch_of_those_paid_is_due"), "cross_check_batch", type_="check")
    op.drop_column("cross_check_batch", "due_on")
    op.drop_column("cross_check_batch", "of_those_paid")
    _know_sources(BEFORE)
