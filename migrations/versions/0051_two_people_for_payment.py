"""Two people for what is paid, grounds of stops as codes of an area, and coming back after a stop

Revision: 0051, after 0050
"""

import sqlalchemy as sa
from alembic import op

from migrations.area_rules import drop_rules, write_rules

revision = "0051"
down_revision = "0050"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
GROUNDS = {
    "income": ("收入超过标准", "Income over the standard"),
    "property": ("财产超过规定", "Property over the limit"),
    "employment": ("就业增收", "Employment"),
    "pension": ("领取养老金", "Pension"),
    "moved": ("迁出", "Moved away"),
    "death": ("死亡", "Death"),
    "found_by_report": ("经举报查实", "Found by a report"),
    "wrongly_granted": ("认定有误", "Wrongly granted"),
    "wrongly_granted.concealed": ("认定有误：隐瞒收入财产", "Wrongly granted: income or property concealed"),
    "wrongly_granted.favour": ("认定有误：人情保、关系保", "Wrongly granted: favour or connections"),
    "wrongly_granted.split": ("认定有误：拆户", "Wrongly granted: a household split up"),
    "wrongly_granted.mistake": ("认定有误：审核差错", "Wrongly granted: a mistake of the office"),
    "refused_work": ("无正当理由拒绝就业", "Refused work without reason"),
    "not_reported": ("未如实报告", "Not reported"),
    "own_wish": ("自愿退出", "Own wish"),
    "other": ("其他", "Other"),
}
OLD_GROUNDS = ("income", "property", "death", "moved", "own_wish", "not_reported", "other")
RULES: dict[str, tuple[object, str]] = {
    "case.stop_grounds": (
        [{"code": code, "zh": zh, "en": en} for code, (zh, en) in GROUNDS.items()],
        "practice: the registers of stops that counties publish; an area writes its own",
    ),
    "case.come_back_months": (0, "project default: off; a stopped household applies anew unless its area allows more"),
}


def upgrade() -> None:
    op.create_table(
        "payment_proposal",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("case_id", sa.Uuid(), sa.ForeignKey("case_file.id"), nullable=False),
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("ground", sa.String(), nullable=True),
        sa.Column("from_month", sa.Date(), nullable=True),
        sa.Column("calculation_id", sa.Uuid(), sa.ForeignKey("calculation.id"), nullable=True),
        sa.Column("amount_fen", sa.Integer(), nullable=False),
        sa.Column("proposed_by", sa.Uuid(), sa.ForeignKey("staff.id"), nullable=False),
        sa.Column("proposed_at", TIME, nullable=False),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("answer", sa.String(), server_default=sa.text("''"), nullable=False),
        sa.Column("decided_by", sa.Uuid(), sa.ForeignKey("staff.id"), nullable=True),
        sa.Column("decided_at", TIME, nullable=True),
        sa.CheckConstraint("step IN ('amount_changed', 'stopped', 'came_back')", name="step_moves_money"),
        sa.CheckConstraint("outcome IN ('decided', 'declined')", name="outcome_is_known"),
        sa.CheckConstraint("reason <> ''", name="reason_is_written"),
        sa.CheckConstraint("amount_fen >= 0", name="amount_is_not_negative"),
        sa.CheckConstraint("outcome <> 'decided' OR decided_by <> proposed_by", name="payment_takes_two"),
        sa.CheckConstraint(
            "(outcome IS NULL) = (decided_by IS NULL) AND (outcome IS NULL) = (decided_at IS NULL)",
            name="outcome_is_a_persons",
        ),
    )
    op.create_index(
        "uq_payment_proposal_open",
        "payment_proposal",
        ["case_id"],
        unique=True,
        postgresql_where=sa.text("outcome IS NULL"),
    )
    _name_grounds()
    _know_steps("'opinion_grant', 'confirmed', 'amount_changed', 'came_back'")
    write_rules(RULES)


def _name_grounds() -> None:
    """Grounds become codes of an area: each change keeps the names that its code had on the day."""
    op.drop_constraint(op.f("ck_benefit_change_ground_is_known"), "benefit_change", type_="check")
    for column in ("ground_zh", "ground_en"):
        op.add_column("benefit_change", sa.Column(column, sa.String(), nullable=True))
    for code in OLD_GROUNDS:
        zh, en = GROUNDS[code]
        op.execute(
            sa.text("UPDATE benefit_change SET ground_zh = :zh, ground_en = :en WHERE ground = :code").bindparams(
                zh=zh, en=en, code=code
            )
        )
    op.create_check_constraint(
        op.f("ck_benefit_change_ground_is_a_code"), "benefit_change", "ground ~ '^[a-z][a-z0-9_.]*$'"
    )
    op.create_check_constraint(
        op.f("ck_benefit_change_ground_has_names"),
        "benefit_change",
        "(ground IS NULL) = (ground_zh IS NULL) AND (ground IS NULL) = (ground_en IS NULL)",
    )


def _know_steps(steps: str) -> None:
    name = op.f("ck_difference_reason_step_may_differ")
    op.drop_constraint(name, "difference_reason", type_="check")
    op.create_check_constraint(name, "difference_reason", f"step IN ({steps})")


def downgrade() -> None:
    """Proposals that wait, and what was decided on a ground that had no code before, have no place there."""
    lost = op.get_bind().scalar(
        sa.text(
            "SELECT (SELECT count(*) FROM payment_proposal WHERE outcome IS NULL)"
            " + (SELECT count(*) FROM benefit_change WHERE ground <> ALL(:grounds))"
            " + (SELECT count(*) FROM case_event WHERE step = 'came_back')"
        ).bindparams(grounds=list(OLD_GROUNDS))
    )
    if lost:
        raise RuntimeError(f"going back would lose {lost} proposals, grounds or returns: keep this version")
    drop_rules(RULES)
    op.execute("DELETE FROM difference_reason WHERE step = 'came_back'")
    _know_steps("'opinion_grant', 'confirmed', 'amount_changed'")
    op.drop_constraint(op.f("ck_benefit_change_ground_has_names"), "benefit_change")
    op.drop_constraint(op.f("ck_benefit_change_ground_is_a_code"), "benefit_change")
    for column in ("ground_en", "ground_zh"):
        op.drop_column("benefit_change", column)
    op.create_check_constraint(op.f("ck_benefit_change_ground_is_known"), "benefit_change", f"ground IN {OLD_GROUNDS}")
    op.drop_table("payment_proposal")
