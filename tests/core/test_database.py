"""How connections are shared out when there are fewer than requests."""

import asyncio

from server.core.database import create_engine


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
