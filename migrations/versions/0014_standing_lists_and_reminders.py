"""Standing lists of who receives, whom a complaint is about, and notices of more kinds

Revision: 0014, after 0013
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.area_rules import drop_rules, write_rules

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

OLD_KINDS = ("assigned", "returned", "due_tomorrow", "accepted", "posted", "decided")
KINDS = (
    "assigned",
    "returned",
    "due_tomorrow",
    "complaint_due",
    "papers",
    "accepted",
    "posted",
    "decided",
    "answered",
    "changed",
)
NEW_KINDS = tuple(one for one in KINDS if one not in OLD_KINDS)
NO_TEMPLATE = {"templateId": "", "page": "", "fields": {"thing1": "what", "time2": "when"}}
RULES: dict[str, tuple[object, str]] = {
    **{f"notice.template.{kind}": (NO_TEMPLATE, "none until the mini-program has one") for kind in NEW_KINDS},
    "complaint.remind_days_before": (3, "project default: three days before each limit"),
}


def upgrade() -> None:
    op.create_table(
        "disclosure",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("area_code", sa.String(length=12), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("made_by", sa.Uuid(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["area_code"], ["area.code"], name=op.f("fk_disclosure_area_code_area")),
        sa.ForeignKeyConstraint(["made_by"], ["staff.id"], name=op.f("fk_disclosure_made_by_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_disclosure")),
        sa.UniqueConstraint("key", name=op.f("uq_disclosure_key")),
    )
    op.create_index(op.f("ix_disclosure_area_code"), "disclosure", ["area_code"])
    op.create_index(
        "uq_disclosure_one_address",
        "disclosure",
        ["area_code"],
        unique=True,
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.add_column(
        "complaint",
        sa.Column("against", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'"), nullable=False),
    )
    _know(KINDS)
    write_rules(RULES)


def _know(kinds: tuple[str, ...]) -> None:
    op.drop_constraint(op.f("ck_notice_kind_is_known"), "notice", type_="check")
    op.create_check_constraint(op.f("ck_notice_kind_is_known"), "notice", f"kind IN {kinds}")


def downgrade() -> None:
    """Whom a complaint is about and notices of the new kinds have no place before: while there are any, it stays."""
    told = op.get_bind().scalar(
        sa.text("SELECT count(*) FROM notice WHERE NOT kind = ANY(:kinds)"), {"kinds": list(OLD_KINDS)}
    )
    named = op.get_bind().scalar(sa.text("SELECT count(*) FROM complaint WHERE against <> '[]'"))
    if told or named:
        raise RuntimeError(
            f"going back would lose {told} notices and the accused of {named} complaints: keep this version, or "
            "restore a backup made before it"
        )
    drop_rules(RULES)
    _know(OLD_KINDS)
    op.drop_column("complaint", "against")
    op.drop_table("disclosure")
