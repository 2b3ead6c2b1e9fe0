"""Households are found by any member's name or its pinyin, by number, phone, address

The terms of what stands are written here. The blind index of phones needs a key, which migrations do not have:
`python -m server reseal` writes it.

Revision: 0053, after 0052
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from server.core.search_terms import (
    list_address_terms,
    list_name_terms,
    list_number_terms,
    spell_for_search,
    to_vector,
)

revision = "0053"
down_revision = "0052"
branch_labels = None
depends_on = None

BATCH = 5000
_HOUSEHOLD = sa.table("household", *map(sa.column, ("id", "number", "address", "search_terms")))
_MEMBER = sa.table("household_member", *map(sa.column, ("id", "name", "pinyin", "search_terms")))


def upgrade() -> None:
    op.add_column("household", sa.Column("phone_index", sa.LargeBinary(), nullable=True))
    op.add_column("household", sa.Column("search_terms", postgresql.TSVECTOR(), nullable=True))
    op.add_column("household_member", sa.Column("pinyin", sa.String(), server_default="", nullable=False))
    op.add_column("household_member", sa.Column("search_terms", postgresql.TSVECTOR(), nullable=True))
    _write_terms()
    op.create_index(op.f("ix_household_phone_index"), "household", ["phone_index"])
    op.create_index("ix_household_search_terms", "household", ["search_terms"], postgresql_using="gin")
    op.create_index("ix_household_member_search_terms", "household_member", ["search_terms"], postgresql_using="gin")


def _write_terms() -> None:
    connection = op.get_bind()
    write_household = sa.text("UPDATE household SET search_terms = CAST(:terms AS tsvector) WHERE id = :id")
    write_member = sa.text(
        "UPDATE household_member SET pinyin = :pinyin, search_terms = CAST(:terms AS tsvector) WHERE id = :id"
    )
    households = connection.execute(sa.select(_HOUSEHOLD.c.id, _HOUSEHOLD.c.number, _HOUSEHOLD.c.address))
    for page in households.partitions(BATCH):
        rows = [
            {"id": id_, "terms": to_vector(list_number_terms(number) | list_address_terms(address))}
            for id_, number, address in page
        ]
        connection.execute(write_household, rows)
    members = connection.execute(sa.select(_MEMBER.c.id, _MEMBER.c.name))
    for page in members.partitions(BATCH):
        rows = [
            {"id": id_, "pinyin": spell_for_search(name), "terms": to_vector(list_name_terms(name))}
            for id_, name in page
        ]
        connection.execute(write_member, rows)


def downgrade() -> None:
    op.drop_column("household_member", "search_terms")
    op.drop_column("household_member", "pinyin")
    op.drop_column("household", "search_terms")
    op.drop_column("household", "phone_index")
