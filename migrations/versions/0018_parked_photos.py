"""Photos whose examination failed for good show at the desk; copies are known by their hashes

Revision: 0018, after 0017
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("photo", sa.Column("parked_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("photo", sa.Column("parked_error", sa.String(), nullable=True))
    op.add_column("photo", sa.Column("copies", postgresql.JSONB(), nullable=True))
    op.create_check_constraint(
        op.f("ck_photo_parked_has_an_error"), "photo", "(parked_at IS NULL) = (parked_error IS NULL)"
    )
    op.create_index("ix_photo_parked", "photo", ["parked_at"], postgresql_where=sa.text("parked_at IS NOT NULL"))


def downgrade() -> None:
    op.drop_index("ix_photo_parked", "photo")
    op.drop_constraint(op.f("ck_photo_parked_has_an_error"), "photo", type_="check")
    op.drop_column("photo", "copies")
    op.drop_column("photo", "parked_error")
    op.drop_column("photo", "parked_at")
