"""Alembic, without its command line; and what to do when the database turns out to be a restored one."""

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from server.core.database import async_url
from server.core.database_roles import grant_rights
from server.core.log import log
from server.core.paths import MIGRATIONS
from server.core.settings import Settings
from server.sync_feed.restore_detection import adopt_database


def alembic_config(database_url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    config.attributes["database_url"] = async_url(database_url)
    return config


def upgrade(database_url: str, revision: str = "head") -> None:
    """Bring the tables to a revision and, at the newest, notice data that was restored from a dump."""
    command.upgrade(alembic_config(database_url), revision)
    if revision == "head":
        _adopt(database_url)


def migrate(settings: Settings) -> None:
    """Bring the tables to this version as their owner, and give the other roles their rights on them."""
    upgrade(settings.owner_database_url or settings.database_url)
    grant_rights(settings)


def _adopt(database_url: str) -> None:
    engine = create_engine(async_url(database_url), poolclass=NullPool)
    try:
        with engine.begin() as connection:
            if adopt_database(connection):
                log.warning("database.restored", note="every phone starts its sync over")
    finally:
        engine.dispose()
