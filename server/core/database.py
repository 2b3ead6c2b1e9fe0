"""PostgreSQL: one engine a process, one session a request, one transaction a session.

Only `open_session` commits (and the job runner through it), before the answer is built, so an
acknowledgement is always true. A statement that is whole by itself may go by `AutocommitPool`, with nothing around it.
PostgreSQL 18 or newer.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from typing import Any, NamedTuple

from psycopg import AsyncConnection
from psycopg.pq import TransactionStatus
from psycopg.rows import namedtuple_row
from sqlalchemy import (
    BigInteger,
    ClauseElement,
    CursorResult,
    MetaData,
    TypeDecorator,
    func,
    literal,
    select,
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
from sqlalchemy.pool import AsyncAdaptedQueuePool
from sqlalchemy.types import UserDefinedType
from sqlalchemy.util import await_only
from sqlalchemy.util.queue import AsyncAdaptedQueue, Empty

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMES)


class _Xid8Sql(UserDefinedType[int]):
    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "xid8"


# So that a migration check can read the column's type back.
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


class _FairQueue(AsyncAdaptedQueue[Any]):
    """Connections go to whoever has waited longest.

    SQLAlchemy's queue hands a free one to whoever asks at that moment, before those that it has just woken: with
    more requests than connections the unlucky wait several times as long as the others.
    """

    def __init__(self, maxsize: int = 0, use_lifo: bool = False) -> None:
        super().__init__(maxsize, use_lifo)
        self._turn = asyncio.Lock()
        # The lock alone doesn't tell: between one who leaves and the next, woken but not yet running, it is free.
        self._waiting = 0

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        if not (self._waiting or self.empty()):
            return self.get_nowait()
        if not block:
            raise Empty
        self._waiting += 1
        try:
            return await_only(asyncio.wait_for(self._in_turn(), timeout))
        except TimeoutError as error:
            raise Empty from error
        finally:
            self._waiting -= 1

    async def _in_turn(self) -> Any:
        async with self._turn:
            return await self._queue.get()


class _FairPool(AsyncAdaptedQueuePool):
    _queue_class = _FairQueue


def create_engine(url: str, *, pool_size: int) -> AsyncEngine:
    return create_async_engine(
        async_url(url),
        poolclass=_FairPool,
        pool_size=pool_size,
        max_overflow=0,
        connect_args={"options": OPTIONS},
    )


# Compiling a plan (jit) takes longer than any query here; a month of a province is sorted in memory.
OPTIONS = "-c statement_timeout=30000 -c idle_in_transaction_session_timeout=60000 -c jit=off -c work_mem=16MB"


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
    """A unit of work: commits when the block ends well, rolls back when it doesn't."""
    async with sessions() as session:
        yield session
        await session.commit()


async def advisory_lock(session: AsyncSession, what: str) -> None:
    """Whoever names the same waits here until this transaction ends: its next statement sees what the others wrote.

    A lock of the rows alone is not enough where a list is made of rows that no other list holds: the one who waited
    would still look for those lists as they were before.
    """
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtext(what))))


class CompiledQuery(NamedTuple):
    """A statement as it goes to the database, for those that are run so often that its making shows."""

    sql: str
    values: dict[str, Any]


def compile_query(statement: ClauseElement) -> CompiledQuery:
    """A bound parameter that has a name and stands as None is given its value with each run; all else stands."""
    compiled = statement.compile(dialect=_DIALECT, compile_kwargs={"render_postcompile": True})
    return CompiledQuery(str(compiled), dict(compiled.params))


# Its parameters are psycopg's own, so that what SQLAlchemy would do to each before it is sent is not missed.
_DIALECT = postgresql.psycopg.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy's has no types


async def run_compiled(session: AsyncSession, kept: CompiledQuery, values: dict[str, Any]) -> CursorResult[Any]:
    """In the session's transaction. What the session holds and has not flushed yet is not written first."""
    connection = await session.connection()
    return await connection.exec_driver_sql(kept.sql, kept.values | values)


class AutocommitPool:
    """Statements that are whole by themselves: each goes to the database and back once, with nothing around it.

    What one writes is committed when it returns. They reach psycopg as they stand, on a few connections of their
    own, first come, first served; most requests need no other. Errors are psycopg's.
    """

    def __init__(self, url: str, *, size: int) -> None:
        self._url = plain_url(url)
        self._turn = asyncio.Semaphore(size)
        self._idle: list[AsyncConnection[Any]] = []

    async def run(self, sql: str, values: dict[str, Any]) -> list[Any]:
        """The rows, with the names of their columns. The statement must return some, or none of them."""
        async with self._turn:
            connection = self._idle.pop() if self._idle else await self._connect()
            try:
                return await (await connection.execute(sql, values)).fetchall()
            finally:
                await self._give_back(connection)

    async def aclose(self) -> None:
        while self._idle:
            await self._idle.pop().close()

    async def _connect(self) -> AsyncConnection[Any]:
        return await AsyncConnection.connect(self._url, autocommit=True, row_factory=namedtuple_row, options=OPTIONS)

    async def _give_back(self, connection: AsyncConnection[Any]) -> None:
        if connection.info.transaction_status == TransactionStatus.IDLE:
            self._idle.append(connection)
            return
        await connection.close()
        # One that was lost is seldom lost alone: what the others would run into is not waited for.
        await self.aclose()


@asynccontextmanager
async def open_autocommit(sessions: Sessions) -> AsyncIterator[AsyncSession]:
    """As `AutocommitPool`, for a statement of SQLAlchemy's making."""
    async with sessions() as session:
        await session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})
        yield session


@asynccontextmanager
async def open_once(url: str) -> AsyncIterator[AsyncSession]:
    """A unit of work of a command that does one thing and ends."""
    engine = create_engine(url, pool_size=2)
    try:
        async with open_session(session_maker(engine)) as session:
            yield session
    finally:
        await engine.dispose()


async def raw_connection(session: AsyncSession) -> AsyncConnection[Any]:
    """Psycopg's own connection of this session's transaction, for a library that brings its own SQL."""
    connection = await session.connection()
    raw = await connection.get_raw_connection()
    driver = raw.driver_connection
    assert isinstance(driver, AsyncConnection)
    return driver


def inline_literal(told: str | date) -> Any:
    """A text or a day that stands in the statement itself. Of one it is not told, the planner of a statement that was
    prepared must guess how much of a table it is, and sorts all of it; nor does it see that a partial index fits.
    """
    return literal(told, literal_execute=True)
