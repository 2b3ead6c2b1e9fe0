"""Masks of ID numbers keep the first and the last character, and numbers are found without their dashes

The area, the birth date and the sex of a person stand elsewhere: with them the former masks (six and four characters)
gave the whole number. Phones receive their households again, with the shorter masks. The former masks are not
restored by a downgrade, whose code works with either.

Revision: 0037, after 0036
"""

from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None

SHORTER = "left({0}, 1) || repeat('*', length({0}) - 2) || right({0}, 1)"
SEARCHED = ("case_file", "complaint", "objection")


def upgrade() -> None:
    for table in SEARCHED:
        op.execute(f"CREATE INDEX ix_{table}_bare_number ON {table} (replace(number, '-', ''))")
    op.execute(
        f"UPDATE household_member SET id_number_mask = {SHORTER.format('id_number_mask')} "  # noqa: S608  constants
        "WHERE length(id_number_mask) > 2"
    )
    mask = "(member->>'idNumberMask')"
    op.execute(
        f"""
        UPDATE household_version SET body = jsonb_set(body, '{{members}}', (
            SELECT jsonb_agg(
                CASE WHEN length({mask}) > 2
                THEN jsonb_set(member, '{{idNumberMask}}', to_jsonb({SHORTER.format(mask)}))
                ELSE member END ORDER BY place)
            FROM jsonb_array_elements(body->'members') WITH ORDINALITY AS listed(member, place)))
        WHERE jsonb_typeof(body->'members') = 'array' AND jsonb_array_length(body->'members') > 0
        """  # noqa: S608  constants
    )
    op.execute("UPDATE feed SET xid = pg_current_xact_id() WHERE collection = 'households' AND NOT is_deleted")


def downgrade() -> None:
    for table in SEARCHED:
        op.execute(f"DROP INDEX ix_{table}_bare_number")
