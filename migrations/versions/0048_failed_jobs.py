"""Jobs that failed for good stand in a list, by area

Revision: 0048, after 0047
"""

import sqlalchemy as sa
from alembic import op

revision = "0048"
down_revision = "0047"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "failed_job",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("job_id", sa.BigInteger(), nullable=False),
        sa.Column("task", sa.String(), nullable=False),
        sa.Column("thing_kind", sa.String(), nullable=True),
        sa.Column("thing_id", sa.String(), nullable=True),
        sa.Column("area_code", sa.String(12), nullable=False),
        sa.Column("error", sa.String(), nullable=False),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_failed_job")),
        sa.UniqueConstraint("job_id", name=op.f("uq_failed_job_job_id")),
    )
    op.create_index(op.f("ix_failed_job_area_code"), "failed_job", ["area_code"])
    # Few of a long queue have failed; metrics count them by task every few seconds.
    op.create_index(
        "ix_failed_jobs_of_queue", "procrastinate_jobs", ["task_name"], postgresql_where=sa.text("status = 'failed'")
    )


def downgrade() -> None:
    """The jobs themselves stay in the queue, failed."""
    op.drop_index("ix_failed_jobs_of_queue", table_name="procrastinate_jobs")
    op.drop_table("failed_job")
