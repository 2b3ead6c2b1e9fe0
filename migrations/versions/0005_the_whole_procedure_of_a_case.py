"""Cases: the whole procedure, deadlines, papers, incomes, calculations, hearings, postings, complaints

Revision: 0005, after 0004
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.area_rules import drop_rules, write_rules

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

OLD_STATES = ("applied", "accepted", "survey", "preliminary", "posting", "confirmed", "refused", "withdrawn")
STATES = (
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
OLD_CLOSED = ("confirmed", "refused", "withdrawn")
CLOSED = ("confirmed", "published", "in_force", "refused", "withdrawn")

LAW = "law, as read: 审核确认办法"
PAPERS = [
    {"code": "application_form", "zh": "低保申请书", "en": "application form"},
    {"code": "household_register", "zh": "户口簿", "en": "household register"},
    {"code": "id_cards", "zh": "身份证", "en": "identity cards"},
    {"code": "means_declared", "zh": "家庭收入财产声明", "en": "declaration of income and property"},
    {"code": "consent", "zh": "核对授权书", "en": "consent to the cross-check"},
    {"code": "disability_card", "zh": "残疾人证", "en": "disability card", "situation": "disability"},
    {"code": "diagnosis", "zh": "诊断证明及医疗费票据", "en": "diagnosis and medical bills", "situation": "illness"},
    {"code": "school_letter", "zh": "在学证明", "en": "letter of the school", "situation": "school"},
    {"code": "divorce_papers", "zh": "离婚证或判决书", "en": "divorce certificate or judgment", "situation": "divorce"},
    {"code": "wage_slips", "zh": "工资证明", "en": "wage slips", "situation": "employment"},
]
RULES: dict[str, tuple[object, str]] = {
    "case.cross_check_start_working_days": (3, LAW),
    "case.county_opinion_working_days": (10, LAW),
    "case.refusal_notice_working_days": (3, LAW),
    "case.decision_delegated_working_days": (20, LAW),
    "case.decided_by": ("county", "project default: not delegated to the town"),
    "case.hearing_required": (False, "law: only after an objection; some offices hear every case"),
    "case.posting_rounds": (1, "law: one; some offices post two or three times"),
    "case.papers": (PAPERS, "project default: the usual papers of a county's service guide"),
    "posting.places_least": (3, "practice of the offices asked"),
    "hearing.quorum_percent": (67, "project default: two thirds of the panel"),
    "hearing.panel_size": (7, "project default"),
    "complaint.register_days": (15, "law, as read: 信访工作条例"),
    "complaint.decide_days": (60, "law, as read: 信访工作条例"),
    "complaint.extension_days": (30, "law, as read: 信访工作条例"),
    "amount.method": ("differential", "law: the difference to the standard, or steps"),
    "amount.steps": ([{"untilFen": None, "perHeadFen": 0}], "none until an area writes its own"),
    "amount.uplifts": ({}, "none until an area writes its own"),
    "amount.uplifts_combine": ("highest", "project default: one uplift a person"),
    "amount.gradual_exit_months": (3, "practice of one office; the law allows up to 6"),
    "amount.single_person_percent": (150, "law, as read: under 1.5 times the standard"),
    "amount.rounding": ({"toFen": 1, "mode": "half_up"}, "project default: to the fen"),
    "amount.least_fen": (0, "project default: no least amount"),
    "amount.not_counted": (
        ["veteran_benefit", "family_planning", "scholarship", "bravery"],
        "law, as read: 优抚, 计生奖扶, 奖学金, 见义勇为",
    ),
}


def upgrade() -> None:
    op.create_table(
        "posting",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("area_code", sa.String(length=12), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("made_by", sa.Uuid(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=True),
        sa.Column("ends_on", sa.Date(), nullable=True),
        sa.Column("ends_certain", sa.Boolean(), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(state = 'draft') = (starts_on IS NULL)", name=op.f("ck_posting_open_has_dates")),
        sa.CheckConstraint("state IN ('draft', 'open', 'ended')", name=op.f("ck_posting_state_is_known")),
        sa.ForeignKeyConstraint(["area_code"], ["area.code"], name=op.f("fk_posting_area_code_area")),
        sa.ForeignKeyConstraint(["made_by"], ["staff.id"], name=op.f("fk_posting_made_by_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_posting")),
        sa.UniqueConstraint("key", name=op.f("uq_posting_key")),
    )
    op.create_index(op.f("ix_posting_area_code"), "posting", ["area_code"], unique=False)
    op.create_index(
        "ix_posting_ending", "posting", ["ends_on"], unique=False, postgresql_where=sa.text("state = 'open'")
    )
    op.create_table(
        "bank_account",
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("holder_name", sa.String(), nullable=False),
        sa.Column("bank_name", sa.String(), nullable=False),
        sa.Column("card_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("card_mask", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["household_id"], ["household.id"], name=op.f("fk_bank_account_household_id_household")
        ),
        sa.PrimaryKeyConstraint("household_id", name=op.f("pk_bank_account")),
    )
    op.create_table(
        "household_version",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("body", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(["actor_id"], ["staff.id"], name=op.f("fk_household_version_actor_id_staff")),
        sa.ForeignKeyConstraint(
            ["household_id"], ["household.id"], name=op.f("fk_household_version_household_id_household")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_household_version")),
        sa.UniqueConstraint("household_id", "version", name=op.f("uq_household_version_household_id_version")),
    )
    op.create_table(
        "income_item",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("category", sa.String(), nullable=False),
        sa.Column("period", sa.String(), nullable=False),
        sa.Column("declared_fen", sa.Integer(), nullable=False),
        sa.Column("verified_fen", sa.Integer(), nullable=True),
        sa.Column("verified_by", sa.Uuid(), nullable=True),
        sa.Column("started_on", sa.Date(), nullable=True),
        sa.Column("ended_on", sa.Date(), nullable=True),
        sa.CheckConstraint(
            "kind IN ('wage', 'business', 'property', 'transfer', 'cost')", name=op.f("ck_income_item_kind_is_known")
        ),
        sa.CheckConstraint("period IN ('month', 'year')", name=op.f("ck_income_item_period_is_known")),
        sa.CheckConstraint(
            "declared_fen >= 0 AND verified_fen >= 0", name=op.f("ck_income_item_amounts_are_not_negative")
        ),
        sa.ForeignKeyConstraint(["household_id"], ["household.id"], name=op.f("fk_income_item_household_id_household")),
        sa.ForeignKeyConstraint(["verified_by"], ["staff.id"], name=op.f("fk_income_item_verified_by_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_income_item")),
    )
    op.create_index(op.f("ix_income_item_household_id"), "income_item", ["household_id"], unique=False)
    op.create_table(
        "posting_place",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("posting_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("latitude", sa.Double(), nullable=False),
        sa.Column("longitude", sa.Double(), nullable=False),
        sa.Column("datum", sa.String(), nullable=False),
        sa.Column("accuracy_m", sa.Double(), nullable=True),
        sa.Column("captured_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("staff_id", sa.Uuid(), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("datum IN ('wgs84', 'gcj02', 'bd09')", name=op.f("ck_posting_place_datum_is_known")),
        sa.ForeignKeyConstraint(["posting_id"], ["posting.id"], name=op.f("fk_posting_place_posting_id_posting")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_posting_place_staff_id_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_posting_place")),
        sa.UniqueConstraint("posting_id", "sha256", name=op.f("uq_posting_place_posting_id_sha256")),
    )
    op.create_table(
        "relative_on_staff",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("office", sa.String(), nullable=False),
        sa.Column("relation", sa.String(), nullable=False),
        sa.Column("declared_on", sa.Date(), nullable=False),
        sa.ForeignKeyConstraint(
            ["household_id"], ["household.id"], name=op.f("fk_relative_on_staff_household_id_household")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_relative_on_staff")),
    )
    op.create_index(op.f("ix_relative_on_staff_household_id"), "relative_on_staff", ["household_id"], unique=False)
    op.create_table(
        "calculation",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("made_by", sa.Uuid(), nullable=True),
        sa.Column("amount_fen", sa.Integer(), nullable=False),
        sa.Column("eligible", sa.Boolean(), nullable=False),
        sa.Column("body", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.CheckConstraint("date_part('day', month) = 1", name=op.f("ck_calculation_month_is_a_first")),
        sa.CheckConstraint("amount_fen >= 0", name=op.f("ck_calculation_amount_is_not_negative")),
        sa.ForeignKeyConstraint(["case_id"], ["case_file.id"], name=op.f("fk_calculation_case_id_case_file")),
        sa.ForeignKeyConstraint(["household_id"], ["household.id"], name=op.f("fk_calculation_household_id_household")),
        sa.ForeignKeyConstraint(["made_by"], ["staff.id"], name=op.f("fk_calculation_made_by_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_calculation")),
    )
    op.create_index("ix_calculation_case", "calculation", ["case_id", "month", "made_at"], unique=False)
    op.create_index(op.f("ix_calculation_household_id"), "calculation", ["household_id"], unique=False)
    op.create_table(
        "case_deadline",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("started_on", sa.Date(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("unit", sa.String(), nullable=False),
        sa.Column("paused_on", sa.Date(), nullable=True),
        sa.Column("paused", sa.Integer(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("certain", sa.Boolean(), nullable=False),
        sa.Column("met_on", sa.Date(), nullable=True),
        sa.CheckConstraint(
            "kind IN ('survey', 'cross_check', 'total', 'county_opinion', 'notice')",
            name=op.f("ck_case_deadline_kind_is_known"),
        ),
        sa.CheckConstraint("unit IN ('days', 'working_days')", name=op.f("ck_case_deadline_unit_is_known")),
        sa.ForeignKeyConstraint(["case_id"], ["case_file.id"], name=op.f("fk_case_deadline_case_id_case_file")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_case_deadline")),
    )
    op.create_index(op.f("ix_case_deadline_case_id"), "case_deadline", ["case_id"], unique=False)
    op.create_index(
        "ix_case_deadline_due",
        "case_deadline",
        ["due_on", "case_id"],
        unique=False,
        postgresql_where=sa.text("met_on IS NULL"),
    )
    op.create_index(
        "uq_case_deadline_runs_once",
        "case_deadline",
        ["case_id", "kind"],
        unique=True,
        postgresql_where=sa.text("met_on IS NULL"),
    )
    op.create_table(
        "case_paper",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("received_on", sa.Date(), nullable=True),
        sa.Column("received_by", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(["case_id"], ["case_file.id"], name=op.f("fk_case_paper_case_id_case_file")),
        sa.ForeignKeyConstraint(["received_by"], ["staff.id"], name=op.f("fk_case_paper_received_by_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_case_paper")),
        sa.UniqueConstraint("case_id", "code", name=op.f("uq_case_paper_case_id_code")),
    )
    op.create_table(
        "complaint",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("area_code", sa.String(length=12), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=True),
        sa.Column("case_id", sa.Uuid(), nullable=True),
        sa.Column("resident_id", sa.Uuid(), nullable=True),
        sa.Column("is_named", sa.Boolean(), nullable=False),
        sa.Column("reporter_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("text_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("handler_id", sa.Uuid(), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("is_extended", sa.Boolean(), nullable=False),
        sa.Column("registered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finding", sa.String(), nullable=True),
        sa.Column("reply", sa.String(), nullable=True),
        sa.CheckConstraint(
            "(state = 'decided') = (finding IS NOT NULL)", name=op.f("ck_complaint_decided_has_a_finding")
        ),
        sa.CheckConstraint(
            "channel IN ('letter', 'visit', 'phone', 'web', 'box', 'proposal')",
            name=op.f("ck_complaint_channel_is_known"),
        ),
        sa.CheckConstraint("finding IN ('upheld', 'partly', 'unfounded')", name=op.f("ck_complaint_finding_is_known")),
        sa.CheckConstraint("kind IN ('complaint', 'appeal')", name=op.f("ck_complaint_kind_is_known")),
        sa.CheckConstraint(
            "state IN ('received', 'registered', 'decided', 'declined')", name=op.f("ck_complaint_state_is_known")
        ),
        sa.ForeignKeyConstraint(["area_code"], ["area.code"], name=op.f("fk_complaint_area_code_area")),
        sa.ForeignKeyConstraint(["case_id"], ["case_file.id"], name=op.f("fk_complaint_case_id_case_file")),
        sa.ForeignKeyConstraint(["handler_id"], ["staff.id"], name=op.f("fk_complaint_handler_id_staff")),
        sa.ForeignKeyConstraint(["household_id"], ["household.id"], name=op.f("fk_complaint_household_id_household")),
        sa.ForeignKeyConstraint(["resident_id"], ["resident.id"], name=op.f("fk_complaint_resident_id_resident")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_complaint")),
        sa.UniqueConstraint("number", name=op.f("uq_complaint_number")),
    )
    op.create_index(op.f("ix_complaint_area_code"), "complaint", ["area_code"], unique=False)
    op.create_index(
        "ix_complaint_due",
        "complaint",
        ["due_on", "id"],
        unique=False,
        postgresql_where=sa.text("state IN ('received', 'registered')"),
    )
    op.create_index(op.f("ix_complaint_household_id"), "complaint", ["household_id"], unique=False)
    op.create_index(op.f("ix_complaint_resident_id"), "complaint", ["resident_id"], unique=False)
    op.create_table(
        "hearing",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("held_on", sa.Date(), nullable=False),
        sa.Column("place", sa.String(), nullable=False),
        sa.Column("quorum", sa.Integer(), nullable=False),
        sa.Column("made_by", sa.Uuid(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("presenter", sa.String(), nullable=False),
        sa.Column("observers", sa.String(), nullable=False),
        sa.Column("counted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ayes", sa.Integer(), nullable=True),
        sa.Column("noes", sa.Integer(), nullable=True),
        sa.Column("blanks", sa.Integer(), nullable=True),
        sa.Column("passed", sa.Boolean(), nullable=True),
        sa.CheckConstraint("(counted_at IS NULL) = (ayes IS NULL)", name=op.f("ck_hearing_counted_has_numbers")),
        sa.CheckConstraint("ayes >= 0 AND noes >= 0 AND blanks >= 0", name=op.f("ck_hearing_counts_are_not_negative")),
        sa.ForeignKeyConstraint(["case_id"], ["case_file.id"], name=op.f("fk_hearing_case_id_case_file")),
        sa.ForeignKeyConstraint(["made_by"], ["staff.id"], name=op.f("fk_hearing_made_by_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hearing")),
    )
    op.create_index(op.f("ix_hearing_case_id"), "hearing", ["case_id"], unique=False)
    op.create_index(
        "uq_hearing_open_once", "hearing", ["case_id"], unique=True, postgresql_where=sa.text("counted_at IS NULL")
    )
    op.create_table(
        "posting_entry",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("posting_id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("members", sa.Integer(), nullable=False),
        sa.Column("amount_fen", sa.Integer(), nullable=False),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["case_id"], ["case_file.id"], name=op.f("fk_posting_entry_case_id_case_file")),
        sa.ForeignKeyConstraint(["posting_id"], ["posting.id"], name=op.f("fk_posting_entry_posting_id_posting")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_posting_entry")),
        sa.UniqueConstraint("posting_id", "position", name=op.f("uq_posting_entry_posting_id_position")),
    )
    op.create_index(op.f("ix_posting_entry_case_id"), "posting_entry", ["case_id"], unique=False)
    op.create_table(
        "objection",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("entry_id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("contact_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answered_by", sa.Uuid(), nullable=True),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("answer", sa.String(), nullable=True),
        sa.CheckConstraint("outcome IN ('dismissed', 'upheld')", name=op.f("ck_objection_outcome_is_known")),
        sa.CheckConstraint(
            "(outcome IS NULL) = (answered_at IS NULL)", name=op.f("ck_objection_answered_has_an_outcome")
        ),
        sa.ForeignKeyConstraint(["answered_by"], ["staff.id"], name=op.f("fk_objection_answered_by_staff")),
        sa.ForeignKeyConstraint(["case_id"], ["case_file.id"], name=op.f("fk_objection_case_id_case_file")),
        sa.ForeignKeyConstraint(["entry_id"], ["posting_entry.id"], name=op.f("fk_objection_entry_id_posting_entry")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_objection")),
        sa.UniqueConstraint("number", name=op.f("uq_objection_number")),
    )
    op.create_index(op.f("ix_objection_case_id"), "objection", ["case_id"], unique=False)
    op.create_index(op.f("ix_objection_entry_id"), "objection", ["entry_id"], unique=False)
    op.create_table(
        "panel_seat",
        sa.Column("hearing_id", sa.Uuid(), nullable=False),
        sa.Column("staff_id", sa.Uuid(), nullable=False),
        sa.Column("drawn_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("conflict", sa.String(), nullable=True),
        sa.Column("attended", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["hearing_id"], ["hearing.id"], name=op.f("fk_panel_seat_hearing_id_hearing")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_panel_seat_staff_id_staff")),
        sa.PrimaryKeyConstraint("hearing_id", "staff_id", name=op.f("pk_panel_seat")),
    )
    op.create_index(op.f("ix_panel_seat_staff_id"), "panel_seat", ["staff_id"], unique=False)
    op.add_column("case_file", sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False))
    op.add_column(
        "case_file",
        sa.Column(
            "situations", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'"), nullable=False
        ),
    )
    op.add_column("case_file", sa.Column("consented_on", sa.Date(), nullable=True))
    op.add_column("case_file", sa.Column("suspended_on", sa.Date(), nullable=True))
    op.add_column("case_file", sa.Column("is_extended", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column(
        "case_file", sa.Column("needs_county_visit", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
    op.add_column("case_file", sa.Column("county_visited_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("case_file", sa.Column("posting_round", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.add_column("case_file", sa.Column("amount_fen", sa.Integer(), nullable=True))
    op.add_column("case_file", sa.Column("decided_on", sa.Date(), nullable=True))
    op.add_column("case_file", sa.Column("paid_from", sa.Date(), nullable=True))
    _replace_states(STATES, CLOSED)
    op.create_check_constraint(op.f("ck_case_file_amount_is_not_negative"), "case_file", "amount_fen >= 0")
    write_rules(RULES)


def _replace_states(states: tuple[str, ...], closed: tuple[str, ...]) -> None:
    """A wider check, and the index of open cases with the new closed states."""
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


def downgrade() -> None:
    """States, notices and complaints of this version have no place in the one before: while there are any, it stays."""
    new = tuple(one for one in STATES if one not in OLD_STATES)
    cases = op.get_bind().scalar(sa.text(f"SELECT count(*) FROM case_file WHERE state IN {new}"))  # noqa: S608
    kept = {
        table: op.get_bind().scalar(sa.text(f"SELECT count(*) FROM {table}"))  # noqa: S608  names of this file
        for table in ("calculation", "posting", "objection", "complaint", "hearing", "income_item", "household_version")
    }
    if cases or any(kept.values()):
        lost = ", ".join(f"{count} rows of {table}" for table, count in kept.items() if count)
        raise RuntimeError(
            f"going back would lose {lost or 'nothing else'} and leave {cases} cases without a state: "
            "keep this version, or restore a backup made before it"
        )
    drop_rules(RULES)
    op.drop_constraint(op.f("ck_case_file_amount_is_not_negative"), "case_file", type_="check")
    _replace_states(OLD_STATES, OLD_CLOSED)
    op.drop_column("case_file", "paid_from")
    op.drop_column("case_file", "decided_on")
    op.drop_column("case_file", "amount_fen")
    op.drop_column("case_file", "posting_round")
    op.drop_column("case_file", "county_visited_at")
    op.drop_column("case_file", "needs_county_visit")
    op.drop_column("case_file", "is_extended")
    op.drop_column("case_file", "suspended_on")
    op.drop_column("case_file", "consented_on")
    op.drop_column("case_file", "situations")
    op.drop_column("case_file", "version")
    op.drop_index(op.f("ix_panel_seat_staff_id"), table_name="panel_seat")
    op.drop_table("panel_seat")
    op.drop_index(op.f("ix_objection_entry_id"), table_name="objection")
    op.drop_index(op.f("ix_objection_case_id"), table_name="objection")
    op.drop_table("objection")
    op.drop_index(op.f("ix_posting_entry_case_id"), table_name="posting_entry")
    op.drop_table("posting_entry")
    op.drop_index("uq_hearing_open_once", table_name="hearing", postgresql_where=sa.text("counted_at IS NULL"))
    op.drop_index(op.f("ix_hearing_case_id"), table_name="hearing")
    op.drop_table("hearing")
    op.drop_index(op.f("ix_complaint_resident_id"), table_name="complaint")
    op.drop_index(op.f("ix_complaint_household_id"), table_name="complaint")
    op.drop_index(
        "ix_complaint_due", table_name="complaint", postgresql_where=sa.text("state IN ('received', 'registered')")
    )
    op.drop_index(op.f("ix_complaint_area_code"), table_name="complaint")
    op.drop_table("complaint")
    op.drop_table("case_paper")
    op.drop_index("uq_case_deadline_runs_once", table_name="case_deadline", postgresql_where=sa.text("met_on IS NULL"))
    op.drop_index("ix_case_deadline_due", table_name="case_deadline", postgresql_where=sa.text("met_on IS NULL"))
    op.drop_index(op.f("ix_case_deadline_case_id"), table_name="case_deadline")
    op.drop_table("case_deadline")
    op.drop_index(op.f("ix_calculation_household_id"), table_name="calculation")
    op.drop_index("ix_calculation_case", table_name="calculation")
    op.drop_table("calculation")
    op.drop_index(op.f("ix_relative_on_staff_household_id"), table_name="relative_on_staff")
    op.drop_table("relative_on_staff")
    op.drop_table("posting_place")
    op.drop_index(op.f("ix_income_item_household_id"), table_name="income_item")
    op.drop_table("income_item")
    op.drop_table("household_version")
    op.drop_table("bank_account")
    op.drop_index("ix_posting_ending", table_name="posting", postgresql_where=sa.text("state = 'open'"))
    op.drop_index(op.f("ix_posting_area_code"), table_name="posting")
    op.drop_table("posting")
