"""Urban or rural as a field of the case

Cases that were calculated get the programme by which that was done, so that no amount moves. The others have none until an
officer confirms it.

Revision: 0061, after 0060
"""

import sqlalchemy as sa
from alembic import op

revision = "0061"
down_revision = "0060"
branch_labels = None
depends_on = None

PROGRAMMES = ("urban", "rural")


def upgrade() -> None:
    for name in ("programme", "stated_programme"):
        op.add_column("case_file", sa.Column(name, sa.String(), nullable=True))
        op.create_check_constraint(op.f(f"ck_case_file_{name}_is_known"), "case_file", f"{name} IN {PROGRAMMES}")
    op.execute(
        "UPDATE case_file SET programme = CASE WHEN length(area_code) = 12 AND right(area_code, 3) >= '200'"
        " THEN 'rural' ELSE 'urban' END"
        " WHERE EXISTS (SELECT 1 FROM calculation WHERE calculation.case_id = case_file.id)"
    )


def downgrade() -> None:
    """Before, the village code decides: a case that an officer has confirmed otherwise can't go back."""
    otherwise = op.get_bind().scalar(
        sa.text(
            "SELECT count(*) FROM case_file WHERE programme <> CASE WHEN length(area_code) = 12"
            " AND right(area_code, 3) >= '200' THEN 'rural' ELSE 'urban' END"
        )
    )
    if otherwise:
        raise RuntimeError(f"going back would lose the programme of {otherwise} cases: keep this version")
    for name in ("stated_programme", "programme"):
        op.drop_constraint(op.f(f"ck_case_file_{name}_is_known"), "case_file", type_="check")
        op.drop_column("case_file", name)
