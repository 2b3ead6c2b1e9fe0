"""The database's three roles: the owner migrates, the application works, maintenance looks.

The application's role owns nothing: it can neither alter nor empty a table, and what is written once (the audit trail)
it can only read and add to. Whoever takes over the application can't rewrite its past.
"""

from typing import NamedTuple

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from server.core.database import plain_url
from server.core.settings import Settings

# What `migrate` alone writes.
OWNER_TABLES = ("alembic_version", "installation")

# After so long without a statement a transaction is ended with its session.
IDLE = "10min"

_APPEND_ONLY = """
SELECT tgrelid::regclass::text FROM pg_trigger
WHERE tgfoid = 'public.refuse_change'::regproc AND NOT tgisinternal GROUP BY 1
"""

# Everything in the schema that has an owner of its own: sequences of a column follow its table, members of an
# extension follow the extension.
_OWNED = """
WITH members AS (SELECT classid, objid FROM pg_depend WHERE deptype = 'e')
SELECT CASE relkind WHEN 'S' THEN 'SEQUENCE' WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'TABLE' END,
    oid::regclass::text
FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S')
    AND ('pg_class'::regclass, oid) NOT IN (SELECT * FROM members)
    AND NOT EXISTS (
        SELECT FROM pg_depend
        WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid AND relkind = 'S' AND deptype IN ('a', 'i')
    )
UNION ALL
SELECT 'ROUTINE', oid::regprocedure::text FROM pg_proc
WHERE pronamespace = 'public'::regnamespace AND ('pg_proc'::regclass, oid) NOT IN (SELECT * FROM members)
UNION ALL
SELECT 'TYPE', oid::regtype::text FROM pg_type
WHERE typnamespace = 'public'::regnamespace AND ('pg_type'::regclass, oid) NOT IN (SELECT * FROM members)
    AND (typtype IN ('e', 'd') OR typrelid IN (SELECT oid FROM pg_class WHERE relkind = 'c'))
"""


class RoleError(Exception):
    """The roles can't be set up; the message is one line that says what to change."""


class Login(NamedTuple):
    user: str
    password: str


def read_login(url: str) -> Login:
    parts = conninfo_to_dict(plain_url(url))
    return Login(str(parts.get("user") or ""), str(parts.get("password") or ""))


def set_up_roles(admin_url: str, *, owner: Login, application: Login, maintenance: Login) -> None:
    """Create the roles or set their passwords, and give the owner the database with all that is in it. Idempotent.

    `admin_url` names the database and a role that may create roles and owns what is there: a superuser, for example.
    """
    if len({owner.user, application.user, maintenance.user}) < 3:  # noqa: PLR2004  three roles
        raise RoleError("owner, application and maintenance need a role each")
    with psycopg.connect(plain_url(admin_url)) as connection:
        for login in (owner, application, maintenance):
            _create_login(connection, login)
        connection.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(sql.Identifier(owner.user)))
        database = sql.Identifier(connection.info.dbname)
        _run(connection, "ALTER DATABASE {} OWNER TO {}", database, sql.Identifier(owner.user))
        _run(connection, "REVOKE ALL ON DATABASE {} FROM PUBLIC", database)
        for login in (application, maintenance):
            _run(connection, "GRANT CONNECT ON DATABASE {} TO {}", database, sql.Identifier(login.user))
        _run(connection, "REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        _run(connection, "GRANT ALL ON SCHEMA public TO {}", sql.Identifier(owner.user))
        # Of every session, also of somebody with psql: a transaction left open holds back the news of all phones. The
        # application's own sessions have a shorter limit (server/core/database.py).
        _run(connection, "ALTER DATABASE {} SET idle_in_transaction_session_timeout = {}", database, sql.Literal(IDLE))
        for kind, name in connection.execute(_OWNED).fetchall():
            # Names as PostgreSQL quotes them.
            _run(connection, f"ALTER {kind} {name} OWNER TO {{}}", sql.Identifier(owner.user))


def _create_login(connection: psycopg.Connection, login: Login) -> None:
    if not login.user or not login.password:
        raise RoleError("each of the three addresses needs a user and a password")
    found = connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = %s", [login.user]).fetchone()
    if found is not None and found[0]:
        raise RoleError(f"{login.user} is a superuser: name another role in its address")
    verb = "CREATE" if found is None else "ALTER"
    _run(connection, verb + " ROLE {} LOGIN PASSWORD {}", sql.Identifier(login.user), sql.Literal(login.password))


def grant_rights(settings: Settings) -> None:
    """Give application and maintenance their rights on the tables as they are now. Runs after every migration.

    Does nothing where one role does everything.
    """
    application = read_login(settings.database_url).user
    maintenance = read_login(settings.maintenance_database_url).user if settings.maintenance_database_url else ""
    with psycopg.connect(plain_url(settings.owner_database_url or settings.database_url)) as connection:
        if application and application != connection.info.user:
            _grant_application(connection, sql.Identifier(application))
        if maintenance and maintenance not in {connection.info.user, application}:
            _run(connection, "GRANT USAGE ON SCHEMA public TO {}", sql.Identifier(maintenance))
            for things in ("TABLES", "SEQUENCES"):
                _run(connection, f"GRANT SELECT ON ALL {things} IN SCHEMA public TO {{}}", sql.Identifier(maintenance))


def _grant_application(connection: psycopg.Connection, role: sql.Identifier) -> None:
    _run(connection, "GRANT USAGE ON SCHEMA public TO {}", role)
    _run(connection, "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {}", role)
    _run(connection, "GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {}", role)
    for (table,) in connection.execute(_APPEND_ONLY).fetchall():
        _run(connection, f"REVOKE UPDATE, DELETE ON {table} FROM {{}}", role)
    for table in OWNER_TABLES:
        _run(connection, f"REVOKE INSERT, UPDATE, DELETE ON {table} FROM {{}}", role)


def _run(connection: psycopg.Connection, statement: str, *parts: sql.Composable) -> None:
    connection.execute(sql.SQL(statement).format(*parts))
