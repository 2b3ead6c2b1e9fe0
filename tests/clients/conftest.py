"""The real client against the real server process."""

from collections.abc import AsyncIterator

import pytest

from tests.clients.rxdb import Phones


@pytest.fixture
async def phones() -> AsyncIterator[Phones]:
    async with Phones() as running:
        yield running
    assert running.unhandled == []
