"""Times outside what a phone may report leave the columns, and a visit knows which household its phone had

Documents keep what was reported, so nothing is lost, and nothing comes back on the way down.

Revision: 0042, after 0041
"""

import sqlalchemy as sa
from alembic import op

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None

# As the settings of revision 0035 say for the whole country; the latest time with a day's margin.
_FIRST = "'2020-01-01T00:00:00+08:00'"
_MEND = f"""
UPDATE visit SET started_at = received_at
WHERE started_at < {_FIRST} OR started_at > received_at + interval '1 day';
UPDATE visit SET ended_at = received_at
WHERE ended_at < {_FIRST} OR ended_at > received_at + interval '1 day';
UPDATE attestation SET attested_at = received_at
WHERE attested_at < {_FIRST} OR attested_at > received_at + interval '1 day';
UPDATE evidence SET captured_at = NULL
WHERE captured_at < {_FIRST} OR captured_at > received_at + interval '1 day';
UPDATE seen_fix SET captured_at = v.received_at FROM visit v
WHERE v.id = seen_fix.visit_id AND (captured_at < {_FIRST} OR captured_at > v.received_at + interval '1 day');
"""  # noqa: S608  the day is a constant


def upgrade() -> None:
    op.add_column("visit", sa.Column("household_version", sa.Integer(), nullable=True))
    for statement in _MEND.split(";")[:-1]:
        op.execute(statement)


def downgrade() -> None:
    op.drop_column("visit", "household_version")
