"""Certificates of dibao

Revision: 0085, after 0084
"""

import sqlalchemy as sa
from alembic import op

from migrations.area_rules import drop_rules, write_rules

revision = "0085"
down_revision = "0084"
branch_labels = None
depends_on = None

NUMBER = {"parts": ["letter", "town", "year"], "letters": {"urban": "C", "rural": "N"}, "digits": 5}
RULES: dict[str, tuple[object, str]] = {
    "certificate.issued": (True, "law: 《最低生活保障审核确认办法》§21; a certificate or the notice of the grant"),
    "certificate.number": (NUMBER, "practice: letter, nine digits of the town, year, five digits"),
    "certificate.months": (12, "practice of offices: renewed by the year"),
    "certificate.renewed": (True, "project default: renewed while the case is in force"),
    "roster.needs_certificate": (False, "law: 《最低生活保障审核确认办法》§21; the notice of the grant is enough"),
}


def upgrade() -> None:
    op.create_table(
        "certificate",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("number", sa.String(), nullable=False, unique=True),
        sa.Column("case_id", sa.Uuid(), sa.ForeignKey("case_file.id"), nullable=False),
        sa.Column("area_code", sa.String(12), sa.ForeignKey("area.code"), nullable=False),
        sa.Column("programme", sa.String(), nullable=False),
        sa.Column("holder_name", sa.String(), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("issued_by", sa.Uuid(), sa.ForeignKey("staff.id"), nullable=True),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=False),
        sa.Column("renewed_on", sa.Date(), nullable=True),
        sa.Column("ended_on", sa.Date(), nullable=True),
        sa.Column("ended_by", sa.String(), nullable=True),
        sa.CheckConstraint("programme IN ('urban', 'rural')", name="programme_is_known"),
        sa.CheckConstraint("valid_until > valid_from", name="valid_for_some_time"),
        sa.CheckConstraint("(ended_on IS NULL) = (ended_by IS NULL)", name="ended_by_something"),
        sa.CheckConstraint("ended_by IN ('stopped', 'replaced')", name="end_is_known"),
    )
    op.create_index(
        "uq_certificate_valid", "certificate", ["case_id"], unique=True, postgresql_where=sa.text("ended_on IS NULL")
    )
    op.create_index(
        "ix_certificate_valid_until", "certificate", ["valid_until", "id"], postgresql_where=sa.text("ended_on IS NULL")
    )
    op.create_index("ix_certificate_case_id", "certificate", ["case_id"])
    op.create_index("ix_certificate_area_code", "certificate", ["area_code"])
    write_rules(RULES)


def downgrade() -> None:
    """Numbers that were given out are on paper: they stay."""
    issued = op.get_bind().scalar(sa.text("SELECT count(*) FROM certificate"))
    if issued:
        raise RuntimeError(f"{issued} certificates were issued: keep this version")
    drop_rules(RULES)
    op.drop_table("certificate")
