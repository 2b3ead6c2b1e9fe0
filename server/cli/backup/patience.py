"""A backup or a restore runs for hours: one moment without the store must not end it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from media.store import StoreUnavailable

T = TypeVar("T")
# Two minutes in all: a store that is started anew is back by then.
PAUSES: Final = [0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 40.0]


async def outlast_store(work: Callable[[], Awaitable[T]]) -> T:
    """Repeat work that may be repeated while the store does not answer; raise its last StoreUnavailable."""
    for pause in PAUSES:
        try:
            return await work()
        except StoreUnavailable:
            await asyncio.sleep(pause)
    return await work()
