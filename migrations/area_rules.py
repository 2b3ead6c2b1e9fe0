"""Functions for migrations that insert policy settings for the whole country.

They use the column names of revision 0001 and no models, so that an existing migration never changes with the code.
"""

from collections.abc import Mapping
from datetime import date
from uuid import uuid4

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

SINCE = date(2020, 1, 1)


def write_rules(rules: Mapping[str, tuple[object, str]], *, since: date = SINCE) -> None:
    """Insert settings that hold from a day. `rules` maps each key to its value and source."""
    table = sa.table(
        "area_rule",
        sa.column("id", sa.Uuid),
        sa.column("key", sa.String),
        sa.column("area_code", sa.String),
        sa.column("effective_from", sa.Date),
        sa.column("value", postgresql.JSONB),
        sa.column("source", sa.String),
    )
    row = {"area_code": "", "effective_from": since}
    op.bulk_insert(
        table,
        [
            {"id": uuid4(), "key": key, "value": value, "source": source, **row}
            for key, (value, source) in rules.items()
        ],
    )


def drop_rules(rules: Mapping[str, object], *, since: date = SINCE) -> None:
    """Delete the country's rows of these settings that hold from a day; rows of an area stay."""
    delete = "DELETE FROM area_rule WHERE area_code = '' AND key = ANY(:keys) AND effective_from = :since"
    op.execute(sa.text(delete).bindparams(keys=list(rules), since=since))
