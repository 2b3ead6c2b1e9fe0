"""What an objection says is sealed; counts of attempts under clear addresses go

Texts from before are sealed by a job, which has the keys. Going back keeps sealed texts as they are, marked, and
coming again finds them.

Revision: 0043, after 0042
"""

import sqlalchemy as sa
from alembic import op

revision = "0043"
down_revision = "0042"
branch_labels = None
depends_on = None

MARK = "sealed:"


def upgrade() -> None:
    op.add_column("objection", sa.Column("text_sealed", sa.LargeBinary(), nullable=True))
    op.alter_column("objection", "text", nullable=True)
    op.execute(
        sa.text(
            "UPDATE objection SET text_sealed = decode(substr(text, length(:mark) + 1), 'base64'), text = NULL "
            "WHERE starts_with(text, :mark)"
        ).bindparams(mark=MARK)
    )
    op.create_check_constraint(op.f("ck_objection_one_text"), "objection", "num_nonnulls(text, text_sealed) = 1")
    # They count the last quarter of an hour. From here a subject is a keyed hash.
    op.execute("DELETE FROM attempt_window")


def downgrade() -> None:
    op.drop_constraint(op.f("ck_objection_one_text"), "objection")
    op.execute(
        sa.text("UPDATE objection SET text = :mark || encode(text_sealed, 'base64') WHERE text IS NULL").bindparams(
            mark=MARK
        )
    )
    op.alter_column("objection", "text", nullable=False)
    op.drop_column("objection", "text_sealed")
