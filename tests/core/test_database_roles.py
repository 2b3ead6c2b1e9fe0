"""The database's roles: an ordinary owner migrates, the application can't rewrite its past, maintenance only reads."""

import asyncio

import msgspec
import psycopg
import pytest
from click.testing import CliRunner
from sqlalchemy import select, text
from sqlalchemy.engine import make_url

from server import audit
from server.__main__ import main
from server.app import create_app
from server.cli.migrate import migrate
from server.core.database import open_session, plain_url
from server.core.database_roles import Login, RoleError, set_up_roles
from server.core.services import open_services
from server.models.audit import AuditEntry
from tests.conftest import environment
from tests.phones import System, make_kit
from tests.test_first_path import push_whole

LOGINS = {role: Login(f"test_{role}", f"password-of-{role}") for role in ("owner", "application", "maintenance")}


def as_roles(settings, postgres, database):
    return msgspec.structs.replace(
        settings,
        admin_database_url=postgres.url(database),
        owner_database_url=postgres.url(database, LOGINS["owner"]),
        database_url=postgres.url(database, LOGINS["application"]),
        maintenance_database_url=postgres.url(database, LOGINS["maintenance"]),
    )


@pytest.fixture
def divided(settings, postgres):
    """The settings of a database of before, which a superuser owned, after its roles were set up."""
    settings = as_roles(settings, postgres, make_url(settings.database_url).database)
    set_up_roles(settings.admin_database_url, **LOGINS)
    migrate(settings)
    return settings


def run_sql(url, statement):
    with psycopg.connect(plain_url(url)) as connection:
        return connection.execute(statement)


def test_an_ordinary_role_migrates_an_empty_database(settings, postgres):
    """On a PostgreSQL of one's own: no superuser, no extension. Again, and by the commands."""
    postgres.create_database("of_ordinary_owner")
    own = as_roles(settings, postgres, "of_ordinary_owner")
    for command in ("database-roles", "migrate", "database-roles", "migrate"):
        result = CliRunner().invoke(main, [command], env=environment(own))
        assert result.exit_code == 0, (command, result.output, result.exception)
    with psycopg.connect(plain_url(own.database_url)) as connection:
        owners = connection.execute("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'").fetchall()
        assert owners == [("test_owner",)]
        roles = "SELECT bool_or(rolsuper OR rolcreaterole OR rolcreatedb) FROM pg_roles WHERE rolname LIKE 'test\\_%'"
        assert connection.execute(roles).fetchone() == (False,)
    postgres.drop_database("of_ordinary_owner")


def test_one_role_migrates_a_database_it_owns(settings, postgres):
    """Nothing but an address: the role that owns the database does everything."""
    postgres.create_database("of_one_role")
    own = as_roles(settings, postgres, "of_one_role")
    set_up_roles(own.admin_database_url, **LOGINS)
    migrate(
        msgspec.structs.replace(
            settings, database_url=own.owner_database_url, owner_database_url="", maintenance_database_url=""
        )
    )
    assert run_sql(own.owner_database_url, "SELECT count(*) FROM alembic_version").fetchone() == (1,)
    postgres.drop_database("of_one_role")


FORBIDDEN = [
    "TRUNCATE visit",
    "TRUNCATE audit_entry",
    "ALTER TABLE visit ADD COLUMN more text",
    "ALTER TABLE audit_entry DISABLE TRIGGER ALL",
    "DROP TABLE audit_seal CASCADE",
    "DROP TRIGGER audit_entry_is_append_only ON audit_entry",
    "CREATE TABLE mine (id int)",
    "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
    "UPDATE audit_entry SET action = 'x'",
    "DELETE FROM audit_entry",
    "UPDATE audit_seal SET signature = NULL",
    "DELETE FROM audit_seal",
    "UPDATE alembic_version SET version_num = '0001'",
    "DELETE FROM installation",
    "SET session_replication_role = replica",
    "SELECT setval(pg_get_serial_sequence('audit_entry', 'id'), 1)",
    "SET ROLE test_owner",
    "CREATE ROLE another",
]


def test_the_application_can_neither_alter_nor_empty_a_table_nor_rewrite_the_trail(divided):
    for statement in FORBIDDEN:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            run_sql(divided.database_url, statement)


def test_maintenance_reads_everything_and_changes_nothing(divided):
    assert run_sql(divided.maintenance_database_url, "SELECT count(*) FROM household").fetchone() > (0,)
    for statement in (
        *FORBIDDEN,
        "UPDATE household SET address = ''",
        "DELETE FROM visit",
        "SELECT nextval('audit_entry_id_seq')",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            run_sql(divided.maintenance_database_url, statement)


async def test_the_application_does_all_its_work_as_a_role_that_owns_nothing(divided, county):
    """From the phone to the decision, with the jobs and the seals, on a database that a superuser owned before."""
    async with open_services(divided) as services:
        system = System(create_app(divided, services=services), services)
        due = next(assignment for assignment in county.assignments if assignment.kind == "intake")
        phone = await system.sign_in(due.caseworker_login, "caseworker")
        partner = await system.sign_in(due.partner_login, "caseworker")
        await push_whole(phone, partner, await make_kit(phone, partner.id))
        await system.run_jobs()
        async with open_session(services.sessions) as session:
            assert await session.scalar(text("SELECT count(*) FROM review_item")) == 1
            assert await audit.seal(session, services.audit_signer) > 0
            assert await session.scalar(select(AuditEntry.id).where(AuditEntry.action == "visit.complete")) is not None
        for command in ("verify-audit", "audit-head", "reseal"):
            result = await asyncio.to_thread(CliRunner().invoke, main, [command], env=environment(divided))
            assert result.exit_code == 0, (command, result.output, result.exception)


def test_a_superuser_and_one_role_for_all_are_refused(settings, postgres):
    with pytest.raises(RoleError, match="superuser"):
        set_up_roles(settings.database_url, **LOGINS | {"application": Login("zoufang", "x")})
    with pytest.raises(RoleError, match="each"):
        set_up_roles(settings.database_url, **LOGINS | {"application": LOGINS["owner"]})
