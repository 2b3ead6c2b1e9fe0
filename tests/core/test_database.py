"""How connections are shared out when there are fewer than requests."""

import asyncio

import pytest
from sqlalchemy import exc
from sqlalchemy.util import greenlet_spawn

from server.core.database import _FairQueue, create_engine


async def test_a_connection_goes_to_whoever_has_waited_longest(services):
    engine = create_engine(services.settings.database_url, pool_size=1)
    served: list[int] = []

    async def ask(number: int) -> None:
        for _ in range(3):
            async with engine.connect():
                served.append(number)
                await asyncio.sleep(0)

    try:
        await asyncio.gather(*(ask(number) for number in range(3)))
    finally:
        await engine.dispose()
    assert served == [0, 1, 2] * 3


@pytest.mark.parametrize("turns", range(6))
async def test_a_newcomer_does_not_pass_those_who_wait(turns):
    """It may ask in the very moment when two are free, the first who waited has one, and the second is only woken."""
    queue = _FairQueue(3)
    served: dict[str, int] = {}

    async def ask(name: str) -> None:
        served[name] = await greenlet_spawn(queue.get, block=True, timeout=5)

    asking = [asyncio.create_task(ask(name)) for name in ("first", "second")]
    await asyncio.sleep(0.01)
    queue.put_nowait(1)
    queue.put_nowait(2)
    for _ in range(turns):
        await asyncio.sleep(0)
    asking.append(asyncio.create_task(ask("newcomer")))
    await asyncio.sleep(0.01)
    queue.put_nowait(3)
    await asyncio.gather(*asking)
    assert served == {"first": 1, "second": 2, "newcomer": 3}


async def test_whoever_waited_too_long_is_told_and_keeps_nobody_out(services):
    engine = create_engine(services.settings.database_url, pool_size=1)
    engine.pool._timeout = 0.05
    try:
        async with engine.connect():
            with pytest.raises(exc.TimeoutError):
                async with engine.connect():
                    pass
        async with engine.connect():
            pass
    finally:
        await engine.dispose()
