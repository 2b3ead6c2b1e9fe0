"""Benefits over time and reports of change: what is paid from when, the register of stops, the desk's inbox

What was granted before gets its row, and what was reported before stands in the inbox.

Revision: 0012, after 0011
"""

import sqlalchemy as sa
from alembic import op

from migrations.area_rules import drop_rules, write_rules

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

OLD_STATES = (
    "applied",
    "materials",
    "accepted",
    "survey",
    "preliminary",
    "hearing",
    "posting",
    "objection",
    "county",
    "confirmed",
    "published",
    "in_force",
    "refused",
    "withdrawn",
)
STATES = (*OLD_STATES[:12], "stopped", *OLD_STATES[12:])
OLD_CLOSED = ("confirmed", "published", "in_force", "refused", "withdrawn")
CLOSED = ("confirmed", "published", "in_force", "stopped", "refused", "withdrawn")
KINDS = ("granted", "raised", "cut", "stopped")
GROUNDS = ("income", "property", "death", "moved", "own_wish", "not_reported", "other")
REPORTS = ("new_job", "job_lost", "birth", "death", "moved", "other")
OUTCOMES = ("visit", "recalculation", "nothing")
RULES: dict[str, tuple[object, str]] = {
    "change.death_months": (3, "practice of the offices asked: a death is handled within three months"),
}


def upgrade() -> None:
    op.create_table(
        "benefit_change",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("area_code", sa.String(length=12), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("before_fen", sa.Integer(), nullable=False),
        sa.Column("amount_fen", sa.Integer(), nullable=False),
        sa.Column("people", sa.Integer(), nullable=False),
        sa.Column("ground", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("class", sa.String(), nullable=True),
        sa.Column("decided_by", sa.Uuid(), nullable=True),
        sa.Column("decided_on", sa.Date(), nullable=False),
        sa.Column("in_effect_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(f"kind IN {KINDS}", name=op.f("ck_benefit_change_kind_is_known")),
        sa.CheckConstraint(f"ground IN {GROUNDS}", name=op.f("ck_benefit_change_ground_is_known")),
        sa.CheckConstraint(
            "before_fen >= 0 AND amount_fen >= 0", name=op.f("ck_benefit_change_amounts_are_not_negative")
        ),
        sa.CheckConstraint("date_part('day', month) = 1", name=op.f("ck_benefit_change_month_is_a_first")),
        sa.CheckConstraint("kind <> 'stopped' OR amount_fen = 0", name=op.f("ck_benefit_change_stopped_is_nothing")),
        sa.ForeignKeyConstraint(["area_code"], ["area.code"], name=op.f("fk_benefit_change_area_code_area")),
        sa.ForeignKeyConstraint(["case_id"], ["case_file.id"], name=op.f("fk_benefit_change_case_id_case_file")),
        sa.ForeignKeyConstraint(["decided_by"], ["staff.id"], name=op.f("fk_benefit_change_decided_by_staff")),
        sa.ForeignKeyConstraint(
            ["household_id"], ["household.id"], name=op.f("fk_benefit_change_household_id_household")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_benefit_change")),
    )
    op.create_index(op.f("ix_benefit_change_area_code"), "benefit_change", ["area_code"])
    op.create_index(op.f("ix_benefit_change_household_id"), "benefit_change", ["household_id"])
    op.create_index("ix_benefit_change_case", "benefit_change", ["case_id", "month"])
    op.create_index("ix_benefit_change_decided", "benefit_change", ["kind", "decided_on", "id"])
    op.create_index(
        "ix_benefit_change_to_come", "benefit_change", ["month"], postgresql_where=sa.text("in_effect_at IS NULL")
    )
    op.create_table(
        "change_report",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("resident_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("happened_on", sa.Date(), nullable=True),
        sa.Column("reported_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=True),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("reply", sa.String(), nullable=True),
        sa.Column("decided_by", sa.Uuid(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(f"kind IN {REPORTS}", name=op.f("ck_change_report_kind_is_known")),
        sa.CheckConstraint(f"outcome IN {OUTCOMES}", name=op.f("ck_change_report_outcome_is_known")),
        sa.CheckConstraint(
            "(outcome IS NULL) = (decided_at IS NULL) AND (outcome IS NULL) = (reply IS NULL)",
            name=op.f("ck_change_report_decided_has_a_reply"),
        ),
        sa.ForeignKeyConstraint(["case_id"], ["case_file.id"], name=op.f("fk_change_report_case_id_case_file")),
        sa.ForeignKeyConstraint(["decided_by"], ["staff.id"], name=op.f("fk_change_report_decided_by_staff")),
        sa.ForeignKeyConstraint(["resident_id"], ["resident.id"], name=op.f("fk_change_report_resident_id_resident")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_change_report")),
    )
    op.create_index(op.f("ix_change_report_case_id"), "change_report", ["case_id"])
    op.create_index(
        "ix_change_report_open",
        "change_report",
        ["reported_at", "id"],
        postgresql_where=sa.text("outcome IS NULL"),
    )
    op.add_column("case_file", sa.Column("stopped_from", sa.Date(), nullable=True))
    _replace_states(STATES, CLOSED)
    _bring_over()
    write_rules(RULES)


def _replace_states(states: tuple[str, ...], closed: tuple[str, ...]) -> None:
    op.drop_constraint(op.f("ck_case_file_state_is_known"), "case_file", type_="check")
    op.create_check_constraint(op.f("ck_case_file_state_is_known"), "case_file", f"state IN {states}")
    op.drop_index("uq_case_file_open_once", table_name="case_file")
    op.create_index(
        "uq_case_file_open_once",
        "case_file",
        ["household_id"],
        unique=True,
        postgresql_where=sa.text(f"state NOT IN {closed}"),
    )


def _bring_over() -> None:
    op.execute(
        """
        INSERT INTO benefit_change
            (id, case_id, household_id, area_code, kind, month, before_fen, amount_fen, people, reason, class,
             decided_on, in_effect_at)
        SELECT gen_random_uuid(), c.id, c.household_id, c.area_code, 'granted', c.paid_from, 0, c.amount_fen,
            coalesce(
                (SELECT jsonb_array_length(k.body -> 'covered') FROM calculation k WHERE k.case_id = c.id
                 ORDER BY k.made_at DESC, k.id DESC LIMIT 1),
                (SELECT count(*) FROM household_member m WHERE m.household_id = c.household_id)
            ),
            '审核确认', h.class, c.decided_on,
            CASE WHEN c.state = 'in_force' THEN c.updated_at END
        FROM case_file c JOIN household h ON h.id = c.household_id
        WHERE c.state IN ('confirmed', 'published', 'in_force') AND c.amount_fen IS NOT NULL
            AND c.paid_from IS NOT NULL AND c.decided_on IS NOT NULL
        """
    )
    op.execute(
        """
        INSERT INTO change_report (id, case_id, resident_id, kind, text, reported_at)
        SELECT substr(cause, 8)::uuid, case_id, (facts ->> 'residentId')::uuid, facts ->> 'kind', facts ->> 'reason', at
        FROM case_event WHERE step = 'change_reported' AND cause LIKE 'change:%'
        ON CONFLICT DO NOTHING
        """
    )


def downgrade() -> None:
    """Stops and replies have no place in the version before: while there are any, it stays."""
    stopped, replied, changed = (
        op.get_bind().scalar(sa.text(question))
        for question in (
            "SELECT count(*) FROM case_file WHERE state = 'stopped'",
            "SELECT count(*) FROM change_report WHERE outcome IS NOT NULL",
            "SELECT count(*) FROM benefit_change WHERE kind <> 'granted'",
        )
    )
    if stopped or replied or changed:
        raise RuntimeError(
            f"going back would lose {stopped} stopped cases, {changed} changes of an amount and {replied} answered "
            "reports: keep this version, or restore a backup made before it"
        )
    drop_rules(RULES)
    _replace_states(OLD_STATES, OLD_CLOSED)
    op.drop_column("case_file", "stopped_from")
    op.drop_table("change_report")
    op.drop_table("benefit_change")
