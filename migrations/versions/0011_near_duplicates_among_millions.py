"""Near-duplicates: looks and insides of photos, and bands of their fingerprints to look them up by

Revision: 0011, after 0010
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("photo", sa.Column("look", sa.LargeBinary(), nullable=True))
    op.add_column("photo", sa.Column("inside_fingerprint", postgresql.BIT(length=256), nullable=True))
    op.add_column("photo", sa.Column("inside_quality", sa.Integer(), nullable=True))
    op.add_column("photo", sa.Column("inside_look", sa.LargeBinary(), nullable=True))
    op.add_column("seen_photo", sa.Column("part", sa.String(), server_default="whole", nullable=False))
    op.alter_column("seen_photo", "part", server_default=None)
    op.create_check_constraint(op.f("ck_seen_photo_part_is_known"), "seen_photo", "part IN ('whole', 'inside')")
    op.drop_constraint(op.f("pk_seen_photo"), "seen_photo", type_="primary")
    op.create_primary_key(op.f("pk_seen_photo"), "seen_photo", ["evidence_id", "part"])
    # The indices of bands are read without their table where a vacuum has seen the page: it comes often.
    op.execute("ALTER TABLE seen_photo SET (autovacuum_vacuum_insert_scale_factor = 0.02)")
    for number in range(16):
        op.execute(
            f"CREATE INDEX ix_seen_photo_band_{number:02} ON seen_photo (county_code, ({_band(number)}))"
            " INCLUDE (fingerprint, evidence_id, part)"
        )
    op.drop_index("ix_seen_photo_county", "seen_photo")


def downgrade() -> None:
    op.create_index("ix_seen_photo_county", "seen_photo", ["county_code"])
    for number in range(16):
        op.drop_index(f"ix_seen_photo_band_{number:02}", "seen_photo")
    op.execute("ALTER TABLE seen_photo RESET (autovacuum_vacuum_insert_scale_factor)")
    op.execute("DELETE FROM seen_photo WHERE part = 'inside'")
    op.drop_constraint(op.f("pk_seen_photo"), "seen_photo", type_="primary")
    op.create_primary_key(op.f("pk_seen_photo"), "seen_photo", ["evidence_id"])
    op.drop_constraint(op.f("ck_seen_photo_part_is_known"), "seen_photo", type_="check")
    op.drop_column("seen_photo", "part")
    for column in ("inside_look", "inside_quality", "inside_fingerprint", "look"):
        op.drop_column("photo", column)


def _band(number: int) -> str:
    """The 64 lowest frequencies, eight by eight, are bands 0 to 3."""
    half, block = divmod(number, 4)
    if half > 1:
        return f"((substring(fingerprint, {number * 16 + 1}, 16))::bit(16))::integer"
    first = block * 32 + half * 8 + 1
    return f"((substring(fingerprint, {first}, 8) || substring(fingerprint, {first + 16}, 8))::bit(16))::integer"
