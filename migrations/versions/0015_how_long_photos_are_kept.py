"""How long photos are kept: rules by kind, and a tombstone for each that was deleted

Revision: 0015, after 0014
"""

import sqlalchemy as sa
from alembic import op

from migrations.area_rules import drop_rules, write_rules

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

SHORTEST = "《个人信息保护法》第十九条:保存期限为实现处理目的所必要的最短时间"
# Days, by kind. What is in use (a household that receives aid or applies for it) is kept in any case.
DEFAULT_RULES: dict[str, tuple[object, str]] = {
    "retention.visit_photo_days": (1096, f"审核确认档案自停保之日起至少保存三年;{SHORTEST}"),
    "retention.posting_photo_days": (1096, f"同审核确认档案,自张贴之日起至少保存三年;{SHORTEST}"),
    "retention.unsubmitted_photo_days": (365, f"project default: no visit came for it within a year;{SHORTEST}"),
    "retention.returned_paper_days": (180, f"project default: an officer could not use it;{SHORTEST}"),
    "retention.mismatched_days": (90, f"project default: bytes that nobody announced;{SHORTEST}"),
}
CLAIMS = ("evidence", "paper_photo", "posting_place", "mismatched_upload")


def upgrade() -> None:
    for table in CLAIMS:
        op.add_column(table, sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "photo_tombstone",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("shelf", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("kept_days", sa.Integer(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("kept_since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("shelf IN ('photos', 'mismatched')", name=op.f("ck_photo_tombstone_shelf_is_known")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_photo_tombstone")),
    )
    op.create_index("ix_photo_tombstone_content", "photo_tombstone", ["sha256"])
    op.create_index(
        "ix_photo_tombstone_half_done", "photo_tombstone", ["id"], postgresql_where=sa.text("removed_at IS NULL")
    )
    write_rules(DEFAULT_RULES)


def downgrade() -> None:
    drop_rules(DEFAULT_RULES)
    op.drop_table("photo_tombstone")
    for table in CLAIMS:
        op.drop_column(table, "erased_at")
