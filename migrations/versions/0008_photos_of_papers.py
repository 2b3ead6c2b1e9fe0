"""Photos of papers: announced by residents, uploaded and examined like the photos of visits

An upload may now be of either kind of photo and by either kind of person, so it no longer names one table.

Revision: 0008, after 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

STATES = ("announced", "received", "verified", "refused")


def upgrade() -> None:
    op.create_table(
        "paper_photo",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("resident_id", sa.Uuid(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("refused_code", sa.String(), nullable=True),
        sa.Column("announced_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("uploaded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("returned_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("returned_by", sa.Uuid(), nullable=True),
        sa.Column("return_reason", sa.String(), nullable=True),
        sa.CheckConstraint(f"state IN {STATES}", name=op.f("ck_paper_photo_state_is_known")),
        sa.CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'", name=op.f("ck_paper_photo_sha256_is_hex")),
        sa.CheckConstraint(
            "(returned_at IS NULL) = (return_reason IS NULL)", name=op.f("ck_paper_photo_returned_has_a_reason")
        ),
        sa.ForeignKeyConstraint(["case_id"], ["case_file.id"], name=op.f("fk_paper_photo_case_id_case_file")),
        sa.ForeignKeyConstraint(["resident_id"], ["resident.id"], name=op.f("fk_paper_photo_resident_id_resident")),
        sa.ForeignKeyConstraint(["returned_by"], ["staff.id"], name=op.f("fk_paper_photo_returned_by_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_paper_photo")),
    )
    op.create_index("ix_paper_photo_case", "paper_photo", ["case_id", "code"])
    op.create_index("ix_paper_photo_content", "paper_photo", ["sha256"])
    op.drop_constraint(op.f("fk_upload_evidence_id_evidence"), "upload", type_="foreignkey")
    op.drop_constraint(op.f("fk_upload_author_id_staff"), "upload", type_="foreignkey")
    op.drop_constraint(op.f("fk_mismatched_upload_evidence_id_evidence"), "mismatched_upload", type_="foreignkey")


def downgrade() -> None:
    found = op.get_bind().scalar(sa.text("SELECT count(*) FROM paper_photo"))
    if found:
        raise RuntimeError(f"{found} photos of papers would be lost: take them out of paper_photo first")
    op.drop_table("paper_photo")
    op.create_foreign_key(op.f("fk_upload_evidence_id_evidence"), "upload", "evidence", ["evidence_id"], ["id"])
    op.create_foreign_key(op.f("fk_upload_author_id_staff"), "upload", "staff", ["author_id"], ["id"])
    op.create_foreign_key(
        op.f("fk_mismatched_upload_evidence_id_evidence"), "mismatched_upload", "evidence", ["evidence_id"], ["id"]
    )
