"""PostgreSQL: one engine a process, one session a request, one transaction a session.

Only `open_session` commits (and the job runner through it), before the response is built, so an
acknowledgement is always true. A single statement may go through `AutocommitPool`, without a transaction around it.
PostgreSQL 18 or newer.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import date
from typing import Any, NamedTuple

from psycopg import AsyncConnection
from psycopg.rows import namedtuple_row, tuple_row
from psycopg_pool import AsyncConnectionPool
from sqlalchemy import (
    BigInteger,
    ClauseElement,
    CursorResult,
    MetaData,
    TypeDecorator,
    func,
    literal,
    select,
    text,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql.base import ischema_names
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.pool import NullPool
from sqlalchemy.types import UserDefinedType

NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING_CONVENTION)


class _Xid8Sql(UserDefinedType[int]):
    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "xid8"


# Lets SQLAlchemy reflect the column type, for the check that migrations match the models.
ischema_names["xid8"] = _Xid8Sql


class Xid8(TypeDecorator[int]):
    """PostgreSQL's 64-bit transaction number, as an int. psycopg sends and reads it as text."""

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        return dialect.type_descriptor(_Xid8Sql())

    def process_bind_param(self, value: int | None, dialect: Dialect) -> Any:
        del dialect
        return None if value is None else str(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> int | None:
        del dialect
        return None if value is None else int(value)


@asynccontextmanager
async def open_pool(url: str, *, size: int, autocommit: bool = False) -> AsyncIterator[AsyncConnectionPool]:
    """Connections that are opened when first needed and handed out first come, first served.

    `getconn` raises `psycopg_pool.PoolTimeout` after 30 s. Closing a connection returns it to the pool.
    """
    kwargs = {
        "autocommit": autocommit,
        "row_factory": namedtuple_row if autocommit else tuple_row,
        "options": CONNECTION_OPTIONS,
    }
    pool = AsyncConnectionPool(
        plain_url(url), min_size=0, max_size=size, timeout=30, close_returns=True, open=False, kwargs=kwargs
    )
    async with pool:
        yield pool


def create_engine(url: str, pool: AsyncConnectionPool) -> AsyncEngine:
    """Return an engine that takes its connections from a pool which the caller opens and closes."""
    return create_async_engine(async_url(url), poolclass=NullPool, async_creator=pool.getconn)


# JIT compilation takes longer than any query here. `work_mem` lets a month of a province be sorted in memory.
# Who waits for a lock holds a connection, and a lock on one table would take all of them.
CONNECTION_OPTIONS = (
    "-c statement_timeout=30000 -c lock_timeout=3000 -c idle_in_transaction_session_timeout=60000 "
    "-c jit=off -c work_mem=16MB"
)


def async_url(url: str) -> str:
    """SQLAlchemy's form of any PostgreSQL URL."""
    scheme, separator, rest = url.partition("://")
    return f"postgresql+psycopg{separator}{rest}" if scheme in {"postgres", "postgresql"} else url


def plain_url(url: str) -> str:
    """Libpq's form of the URL, for psycopg itself."""
    return url.replace("postgresql+psycopg://", "postgresql://", 1)


Sessions = async_sessionmaker[AsyncSession]


def session_maker(engine: AsyncEngine) -> Sessions:
    return async_sessionmaker(engine, expire_on_commit=False, autoflush=True)


@asynccontextmanager
async def open_session(sessions: Sessions) -> AsyncIterator[AsyncSession]:
    """A unit of work: commit when the block succeeds, roll back when it raises."""
    async with sessions() as session:
        yield session
        await session.commit()


# The key of a reading session's `info` under which its statements wait.
_AFTER_READING = "after_reading"


class LaterStatement(NamedTuple):
    """A statement that runs by itself once the reading is over. It returns rows, or none."""

    sql: str
    values: dict[str, Any]


def reading_session_maker(engine: AsyncEngine) -> Sessions:
    """Sessions whose transactions the database keeps from writing."""
    return session_maker(engine.execution_options(postgresql_readonly=True))


@asynccontextmanager
async def open_reading_session(sessions: Sessions) -> AsyncIterator[AsyncSession]:
    """A session that only reads: a transaction that has written holds back the feed of every phone until it ends.

    What a look leaves behind, as its line of the trail, is given to `write_later`.
    """
    async with sessions() as session:
        session.info[_AFTER_READING] = []
        yield session


def is_reading(session: AsyncSession) -> bool:
    return _AFTER_READING in session.info


def write_later(session: AsyncSession, sql: str, values: dict[str, Any]) -> None:
    """Have a statement run by itself once this reading session has ended, and before the answer leaves."""
    session.info[_AFTER_READING].append(LaterStatement(sql, values))


def later_statements(session: AsyncSession) -> list[LaterStatement]:
    """Return the statements that wait for the end of a reading session."""
    waiting: list[LaterStatement] = session.info[_AFTER_READING]
    return waiting


@asynccontextmanager
async def write_despite_failure(session: AsyncSession) -> AsyncIterator[None]:
    """Roll back what the request has done, and commit what the block writes; the caller then raises its error.

    On the request's own connection: with a second one of the same pool, a few requests that each hold one and wait for
    another would stop the process.
    """
    await session.rollback()
    yield
    await session.commit()


async def advisory_lock(session: AsyncSession, name: str) -> None:
    """Hold the lock `name` until this transaction ends; callers with the same name run one after the other.

    Row locks are not enough where a list takes rows that no other list has: a caller that waited for a row lock would
    still see the other lists as they were before.
    """
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtext(name))))


class CompiledQuery(NamedTuple):
    """A statement that is compiled once, because it runs so often that compiling it is expensive."""

    sql: str
    values: dict[str, Any]


def compile_query(statement: ClauseElement) -> CompiledQuery:
    """Compile a statement. A named bind parameter whose value is None gets its value with each run."""
    compiled = statement.compile(dialect=_DIALECT, compile_kwargs={"render_postcompile": True})
    return CompiledQuery(str(compiled), dict(compiled.params))


# Values go to psycopg directly, so the dialect must leave them unprocessed.
_DIALECT = postgresql.psycopg.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy's has no types


async def run_compiled(session: AsyncSession, query: CompiledQuery, values: dict[str, Any]) -> CursorResult[Any]:
    """Run it in the session's transaction, without flushing the session first."""
    connection = await session.connection()
    return await connection.exec_driver_sql(query.sql, query.values | values)


class AutocommitPool:
    """Single statements outside the session's transaction: one round trip each, committed when they return.

    They reach psycopg unchanged, on a few connections of their own. Errors are psycopg's.
    """

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._pool = pool

    async def run(self, sql: str, values: dict[str, Any]) -> list[Any]:
        """Return the rows as named tuples. The statement must be one that returns rows, or none of them."""
        async with self._pool.connection() as connection:
            return await (await connection.execute(sql, values)).fetchall()


@asynccontextmanager
async def open_autocommit(sessions: Sessions) -> AsyncIterator[AsyncSession]:
    """A session without a transaction: each of its statements commits by itself."""
    async with sessions() as session:
        await session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})
        yield session


@asynccontextmanager
async def open_once(url: str) -> AsyncIterator[AsyncSession]:
    """Open a unit of work for a command, with a pool of its own."""
    async with open_pool(url, size=2) as pool, open_session(session_maker(create_engine(url, pool))) as session:
        yield session


async def raw_connection(session: AsyncSession) -> AsyncConnection[Any]:
    """Return psycopg's connection of this session's transaction, for a library that brings its own SQL."""
    connection = await session.connection()
    raw = await connection.get_raw_connection()
    driver = raw.driver_connection
    assert isinstance(driver, AsyncConnection)
    return driver


async def fetch_pieces(session: AsyncSession, query: str, rows: int) -> AsyncIterator[Sequence[Any]]:
    """Yield the rows of a query piece by piece, from a cursor of the database.

    A streamed result holds all of its rows in memory at once. A cursor takes no parameters: the query has its values.
    """
    await session.execute(text(f"DECLARE pieces NO SCROLL CURSOR FOR {query}"))
    while piece := (await session.execute(text(f"FETCH {rows} FROM pieces"))).all():
        yield piece
    await session.execute(text("CLOSE pieces"))


def inline_literal(value: str | date) -> Any:
    """Write a value into the statement instead of binding it.

    With a bound value the planner of a prepared statement must guess the selectivity and sorts the whole table, and it
    can't use a partial index.
    """
    return literal(value, literal_execute=True)
