"""Proofs that households which are paid hand in again and again

Revision: 0080, after 0079
"""

import sqlalchemy as sa
from alembic import op

from migrations.area_rules import drop_rules, write_rules

revision = "0080"
down_revision = "0079"
branch_labels = None
depends_on = None

OLD_KINDS = (
    "assigned",
    "returned",
    "due_tomorrow",
    "visit_blocked",
    "complaint_due",
    "papers",
    "accepted",
    "posted",
    "decided",
    "answered",
    "changed",
    "bound",
    "register_changed",
    "sign_in_changed",
    "deadline_moved",
)
NO_TEMPLATE = {"templateId": "", "page": "", "fields": {"thing1": "what", "time2": "when"}}
RULES: dict[str, tuple[object, str]] = {
    "proof.required": ([], "project default: none; each area writes which proofs it asks for, and how often"),
    "proof.days": (30, "project default; no law sets a number"),
    "notice.template.proof_due": (NO_TEMPLATE, "none until the mini-program has one"),
}


def upgrade() -> None:
    op.create_table(
        "periodic_proof",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("case_id", sa.Uuid(), sa.ForeignKey("case_file.id"), nullable=False),
        sa.Column("household_id", sa.Uuid(), sa.ForeignKey("household.id"), nullable=False),
        sa.Column("area_code", sa.String(12), sa.ForeignKey("area.code"), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("zh", sa.String(), nullable=False),
        sa.Column("en", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("asked_on", sa.Date(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("received_on", sa.Date(), nullable=True),
        sa.Column("received_by", sa.Uuid(), sa.ForeignKey("staff.id"), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_by", sa.Uuid(), sa.ForeignKey("staff.id"), nullable=True),
        sa.Column("closed_reason", sa.String(), server_default=sa.text("''"), nullable=False),
        sa.UniqueConstraint("case_id", "code"),
        sa.CheckConstraint("due_on >= asked_on", name="due_after_it_was_asked"),
        sa.CheckConstraint("(received_on IS NULL) = (received_by IS NULL)", name="received_by_somebody"),
        sa.CheckConstraint(
            "(closed_at IS NULL) = (closed_by IS NULL) AND (closed_at IS NULL) = (closed_reason = '')",
            name="closed_has_a_reason",
        ),
        sa.CheckConstraint("received_on IS NULL OR closed_at IS NULL", name="received_or_closed"),
    )
    op.create_index(
        "uq_periodic_proof_open",
        "periodic_proof",
        ["case_id", "kind"],
        unique=True,
        postgresql_where=sa.text("received_on IS NULL AND closed_at IS NULL"),
    )
    op.create_index("ix_periodic_proof_due", "periodic_proof", ["due_on", "id"])
    op.create_index("ix_periodic_proof_household_id", "periodic_proof", ["household_id"])
    op.create_index("ix_periodic_proof_area_code", "periodic_proof", ["area_code"])
    _know((*OLD_KINDS, "proof_due"))
    write_rules(RULES)


def _know(kinds: tuple[str, ...]) -> None:
    op.drop_constraint(op.f("ck_notice_kind_is_known"), "notice", type_="check")
    op.create_check_constraint(op.f("ck_notice_kind_is_known"), "notice", f"kind IN {kinds}")


def downgrade() -> None:
    """What was asked for and received has no place there."""
    lost = op.get_bind().scalar(sa.text("SELECT count(*) FROM periodic_proof"))
    if lost:
        raise RuntimeError(f"going back would lose {lost} proofs: keep this version")
    drop_rules(RULES)
    op.execute("DELETE FROM notice WHERE kind = 'proof_due'")
    _know(OLD_KINDS)
    op.drop_table("periodic_proof")
