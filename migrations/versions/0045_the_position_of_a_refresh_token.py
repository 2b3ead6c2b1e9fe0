"""The position of a refresh token among those of its device

A lost response is told from a stolen token by which token was used, not by a clock. Tokens issued before have none.

Revision: 0045, after 0044
"""

import sqlalchemy as sa
from alembic import op

revision = "0045"
down_revision = "0044"
branch_labels = None
depends_on = None

_SUCCESSOR = "fk_refresh_token_successor_id_refresh_token"


def upgrade() -> None:
    op.add_column("refresh_token", sa.Column("position", sa.Integer(), nullable=True))
    op.create_index(op.f("ix_refresh_token_issued_at"), "refresh_token", ["issued_at"])
    op.create_index(op.f("ix_refresh_token_successor_id"), "refresh_token", ["successor_id"])
    op.drop_constraint(op.f(_SUCCESSOR), "refresh_token", type_="foreignkey")
    op.create_foreign_key(
        op.f(_SUCCESSOR), "refresh_token", "refresh_token", ["successor_id"], ["id"], ondelete="SET NULL"
    )


def downgrade() -> None:
    op.drop_constraint(op.f(_SUCCESSOR), "refresh_token", type_="foreignkey")
    op.create_foreign_key(op.f(_SUCCESSOR), "refresh_token", "refresh_token", ["successor_id"], ["id"])
    op.drop_index(op.f("ix_refresh_token_successor_id"), "refresh_token")
    op.drop_index(op.f("ix_refresh_token_issued_at"), "refresh_token")
    op.drop_column("refresh_token", "position")
