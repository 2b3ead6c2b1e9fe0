"""How connections are shared out when there are fewer than requests."""

import asyncio
import random

import pytest
from psycopg_pool import PoolTimeout
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from server.core.database import AutocommitPool, create_engine, open_pool, open_session, session_maker


async def test_connections_go_to_the_request_that_waited_longest(services):
    served: list[int] = []
    url = services.settings.database_url
    async with open_pool(url, size=1) as pool:
        engine = create_engine(url, pool)

        async def ask(number: int) -> None:
            for _ in range(3):
                async with engine.connect():
                    served.append(number)
                    await asyncio.sleep(0)

        await asyncio.gather(*(ask(number) for number in range(3)))
    assert served == [0, 1, 2] * 3


async def test_a_request_that_waited_too_long_gets_an_error_and_blocks_no_later_one(services):
    url = services.settings.database_url
    async with open_pool(url, size=1) as pool:
        pool.timeout = 0.05
        engine = create_engine(url, pool)
        async with engine.connect():
            with pytest.raises(DBAPIError) as failure:
                async with engine.connect():
                    pass
            assert isinstance(failure.value.orig, PoolTimeout)
        async with engine.connect():
            pass


async def test_a_connection_that_breaks_is_replaced(services):
    url = services.settings.database_url
    async with open_pool(url, size=1, autocommit=True) as pool:
        statements = AutocommitPool(pool)
        (first,) = await statements.run("SELECT pg_backend_pid() AS pid", {})
        await services.autocommit.run("SELECT pg_terminate_backend(%(pid)s)", {"pid": first.pid})
        with pytest.raises(Exception, match=r"terminat|closed|lost"):
            await statements.run("SELECT 1 AS x", {})
        (second,) = await statements.run("SELECT pg_backend_pid() AS pid", {})
        assert second.pid != first.pid


async def test_a_connection_comes_back_without_its_transaction(services):
    url = services.settings.database_url
    async with open_pool(url, size=1) as pool:
        engine = create_engine(url, pool)
        async with engine.connect() as connection:
            await connection.exec_driver_sql("CREATE TEMP TABLE left_over (x int)")
        async with engine.connect() as connection:
            found = await connection.exec_driver_sql("SELECT to_regclass('left_over')")
            assert found.scalar_one() is None


async def test_requests_that_are_cancelled_leave_no_connection_behind(services):
    """Phones hang up at any moment: while they wait for a connection, while a statement runs, while it commits."""
    url = services.settings.database_url
    chance = random.Random(11)
    async with open_pool(url, size=3) as pool:
        sessions = session_maker(create_engine(url, pool))

        async def serve() -> None:
            async with open_session(sessions) as session:
                await session.execute(text("SELECT pg_sleep(0.002)"))

        for _ in range(150):
            tasks = [asyncio.create_task(serve()) for _ in range(8)]
            await asyncio.sleep(chance.random() * 0.01)
            for task in chance.sample(tasks, 5):
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0.2)
        stats = pool.get_stats()
        assert stats["pool_available"] == stats["pool_size"]
        pool.timeout = 5
        await asyncio.gather(*(serve() for _ in range(6)))
