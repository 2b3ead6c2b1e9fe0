"""The limits of `visit.same_spot`: two homes visited from one spot

Revision: 0022, after 0021
"""

from datetime import date
from uuid import uuid4

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

RULES = {
    "visit.same_spot_m": (10, "project default: so near are fixes of one phone that lies still"),
    "visit.same_spot_accuracies": (2, "project default: two homes are apart beyond twice what both accuracies explain"),
}


def upgrade() -> None:
    table = sa.table(
        "area_rule",
        sa.column("id", sa.Uuid),
        sa.column("key", sa.String),
        sa.column("area_code", sa.String),
        sa.column("effective_from", sa.Date),
        sa.column("value", postgresql.JSONB),
        sa.column("source", sa.String),
    )
    whole = {"area_code": "", "effective_from": date(2020, 1, 1)}
    op.bulk_insert(
        table,
        [
            {"id": uuid4(), "key": key, "value": value, "source": source, **whole}
            for key, (value, source) in RULES.items()
        ],
    )


def downgrade() -> None:
    op.execute(sa.text("DELETE FROM area_rule WHERE area_code = '' AND key = ANY(:keys)").bindparams(keys=list(RULES)))
