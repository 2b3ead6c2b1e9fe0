"""Alembic's environment: one transaction per migration, short lock waits, the models as the target."""

import asyncio

from alembic import context
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from server.models import Base

# A migration that waits for a lock blocks every later request for the table, so it gives up after this time.
LOCK_TIMEOUT = "5s"
STATEMENT_TIMEOUT = "10min"


def include_object(thing: object, name: str | None, kind: str, reflected: bool, compare_to: object) -> bool:
    """Exclude the tables of procrastinate, which manages them itself."""
    del thing, reflected, compare_to
    return not (kind == "table" and name is not None and name.startswith("procrastinate_"))


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        include_object=include_object,
        compare_server_default=False,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
        connection.execute(text(f"SET statement_timeout = '{STATEMENT_TIMEOUT}'"))
        context.run_migrations()


async def run_online() -> None:
    engine = create_async_engine(context.config.attributes["database_url"], poolclass=NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(run)
        await connection.commit()
    await engine.dispose()


asyncio.run(run_online())
