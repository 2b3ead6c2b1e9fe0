"""Marks of photos, by which a photo is found that was cut, mirrored or turned

Revision: 0029, after 0028
"""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "seen_mark",
        sa.Column("evidence_id", sa.Uuid(), nullable=False),
        sa.Column("part", sa.String(), nullable=False),
        sa.Column("county_code", sa.String(length=6), nullable=False),
        sa.Column("key", sa.Integer(), nullable=False),
        sa.Column("bits", sa.BigInteger(), nullable=False),
        *(sa.Column(name, sa.SmallInteger(), nullable=False) for name in ("x", "y", "across", "down")),
        sa.ForeignKeyConstraint(
            ["evidence_id", "part"],
            ["seen_photo.evidence_id", "seen_photo.part"],
            name=op.f("fk_seen_mark_evidence_id_part_seen_photo"),
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_seen_mark_photo", "seen_mark", ["evidence_id"])
    op.create_index(
        "ix_seen_mark_key",
        "seen_mark",
        ["county_code", "key"],
        postgresql_include=["bits", "x", "y", "across", "down", "evidence_id", "part"],
    )
    # The index is read without its table where a vacuum has seen the page: it comes often.
    op.execute("ALTER TABLE seen_mark SET (autovacuum_vacuum_insert_scale_factor = 0.02)")


def downgrade() -> None:
    op.drop_table("seen_mark")
